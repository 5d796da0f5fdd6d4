package openai_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// A small body of very many values is refused before it takes memory.
func TestTooManyValuesAreRefused(t *testing.T) {
	for name, list := range map[string]string{
		"objects": strings.Repeat(`{},`, openai.MaxValues) + `{}`,
		"strings": strings.Repeat(`"",`, openai.MaxValues) + `""`,
		"nested":  strings.Repeat(`[[]],`, openai.MaxValues) + `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(`{"list":[` + list + `]}`)
			var v struct {
				List []any `json:"list"`
			}
			var err error
			allocations := testing.AllocsPerRun(1, func() { err = openai.Decode(body, &v) })
			if agent.CodeOf(err) != agent.InvalidValue || !strings.Contains(agent.AsError(err).UserMessage(), "250000") {
				t.Errorf("error %v", err)
			}
			if allocations > 50 {
				t.Errorf("%v allocations", allocations)
			}
		})
	}
}

// What stands inside strings, and the members of objects, don't count as list elements.
func TestTextIsNotCounted(t *testing.T) {
	text := strings.Repeat(`[{\",\\`, openai.MaxValues)
	var v struct {
		Text string `json:"text"`
	}
	if err := openai.Decode([]byte(`{"text":"`+text+`"}`), &v); err != nil {
		t.Error(err)
	}
}

// Where a document is cut into pieces changes nothing of the count.
func TestValuesInPieces(t *testing.T) {
	doc := []byte(`{"list":[` + strings.Repeat(`"\\\"[{,",{"a":[1,2]},`, openai.MaxValues/5-1) + `0]}`)
	for _, size := range []int{1, 2, 3, 7, len(doc)} {
		for _, fits := range []bool{true, false} {
			var v openai.Values
			var err error
			whole := doc
			if !fits {
				whole = append(bytes.TrimSuffix(doc, []byte("]}")), bytes.Repeat([]byte(",0"), 10)...)
			}
			for piece := range slices.Chunk(whole, size) {
				if err == nil {
					err = v.Add(piece)
				}
			}
			if (err == nil) != fits {
				t.Errorf("pieces of %d: %v", size, err)
			}
		}
	}
}
