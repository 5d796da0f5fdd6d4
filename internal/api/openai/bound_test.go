package openai_test

import (
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
