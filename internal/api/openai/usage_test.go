package openai_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

func TestUsageSaysTokensAndWhatTheyCost(t *testing.T) {
	counts := agent.Usage{Input: 10, CacheRead: 90, CacheWrite: 5, Output: 12, Reasoning: 4}
	const tokens = `{"prompt_tokens":105,"completion_tokens":12,"total_tokens":117,"prompt_tokens_details":{"cached_tokens":90,"cache_write_tokens":5},` +
		`"completion_tokens_details":{"reasoning_tokens":4}`
	for _, test := range []struct {
		name  string
		price agent.Price
		want  string
	}{
		{"price unknown", agent.Price{}, tokens + `}`},
		{"price known", agent.Price{Input: 3, CacheWrite: 4, CacheRead: 0.5, Output: 15}, tokens + `,"cost":0.000275,"cost_details":` +
			`{"currency":"USD","input_usd":0.000095,"output_usd":0.00018,"total_usd":0.000275,` +
			`"pricing":{"input_per_million_tokens_usd":3,"output_per_million_tokens_usd":15,"cache_read_per_million_tokens_usd":0.5,` +
			`"cache_write_per_million_tokens_usd":4,"source":"Cursor's published prices"}}}`},
		{"a sum that floats don't hold", agent.Price{Input: 0.1, Output: 1. / 60}, tokens + `,"cost":0.0000012,"cost_details":` +
			`{"currency":"USD","input_usd":0.000001,"output_usd":2e-7,"total_usd":0.0000012,` +
			`"pricing":{"input_per_million_tokens_usd":0.1,"output_per_million_tokens_usd":0.016666666666666666,"cache_read_per_million_tokens_usd":0,` +
			`"cache_write_per_million_tokens_usd":0,"source":"Cursor's published prices"}}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			usage := counts
			usage.Price = test.price
			if got := string(openai.AppendUsage(nil, &usage)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestUsageHoldsNoFlag has a client add up what Python takes for a number: a boolean is one there.
func TestUsageHoldsNoFlag(t *testing.T) {
	usage := agent.Usage{Input: 10, Output: 12, Estimated: true, Price: agent.Price{Input: 1, Output: 1}}
	var members map[string]any
	if err := json.Unmarshal(openai.AppendUsage(nil, &usage), &members); err != nil {
		t.Fatal(err)
	}
	for name, v := range members {
		if k := reflect.TypeOf(v).Kind(); k != reflect.Float64 && k != reflect.Map {
			t.Errorf("%s is a %v", name, k)
		}
	}
	if got := string(openai.AppendEstimated(nil, &usage)); got != `,"usage_estimated":true` {
		t.Errorf("beside it stands %s", got)
	}
	if got := string(openai.AppendEstimated(nil, &agent.Usage{})); got != "" {
		t.Errorf("beside what upstream said stands %s", got)
	}
}
