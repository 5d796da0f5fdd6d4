package gateway

import (
	"fmt"
	"strings"
	"testing"

	"composer-api/internal/agent"
)

// What is remembered of a call is what it would be found to ask for.
func TestARememberedCallAsksForTheSame(t *testing.T) {
	book := newCallBook()
	long := strings.Repeat("x", longCall)
	for range 2 {
		for _, c := range []agent.ToolCall{
			{ID: "1", Name: "write", Arguments: []byte(`{"text":"` + long + `"}`)},
			{ID: "2", Name: "write", Arguments: []byte(`{ "text": "` + long + `" }`)},
			{ID: "1", Name: "read", Arguments: []byte(`{"text":"` + long + `"}`)},
			{ID: "call_1", Name: "write", Arguments: []byte(`{"text":"` + long + `","id":"call_1"}`)},
			{ID: "call_2", Name: "write", Arguments: []byte(`{"text":"` + long + `","id":"call_1"}`)},
			{ID: "3", Name: "write", Arguments: []byte(long)},
			{ID: "3", Name: "write", Arguments: []byte(`{}`)},
		} {
			if book.asks(&c) != callDigest(&c) {
				t.Errorf("%s of %s: the book says something else", c.Arguments, c.ID)
			}
		}
	}
	for i := range 2 * maxCalls {
		book.asks(&agent.ToolCall{Name: fmt.Sprint(i), Arguments: []byte(long)})
	}
	if n := book.known.Len(); n != maxCalls {
		t.Errorf("%d calls are remembered", n)
	}
}
