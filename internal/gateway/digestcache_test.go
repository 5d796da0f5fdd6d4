package gateway

import (
	"fmt"
	"strings"
	"testing"

	"composer-api/internal/agent"
)

// What is remembered of a call is what it would be found to ask for.
func TestARememberedCallAsksForTheSame(t *testing.T) {
	remembered := newDigestCache()
	long := strings.Repeat("x", longJSON)
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
			if remembered.call(&c) != callDigest(&c) {
				t.Errorf("%s of %s: the cache says something else", c.Arguments, c.ID)
			}
		}
	}
	for range 2 {
		for _, schema := range []string{`{"type":"object","title":"` + long + `"}`, `{ "title": "` + long + `", "type": "object" }`, `{}`, "", long} {
			if got, want := remembered.schema([]byte(schema)), (*digestCache)(nil).schema([]byte(schema)); got != want {
				t.Errorf("%s: the cache says something else", schema)
			}
		}
	}
	for i := range 2 * maxRemembered {
		remembered.call(&agent.ToolCall{Name: fmt.Sprint(i), Arguments: []byte(long)})
	}
	if n := remembered.known.Len(); n != maxRemembered {
		t.Errorf("%d calls are remembered", n)
	}
}
