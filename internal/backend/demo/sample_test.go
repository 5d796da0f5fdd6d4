package demo

import (
	"encoding/json"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

func TestASampleFitsItsSchema(t *testing.T) {
	for schema, want := range map[string]string{
		``:      `{}`,
		`true`:  `"sample"`,
		`"odd"`: `{}`,
		`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"boolean"}},"required":["a"]}`: `{"a":1,"b":true}`,
		`{"type":"object","required":["x"]}`:                                                                    `{"x":"sample"}`,
		`{"type":["string","null"],"minLength":8}`:                                                              `"samplexx"`,
		`{"type":"string","maxLength":3}`:                                                                       `"sam"`,
		`{"type":"string","format":"date"}`:                                                                     `"2026-01-02"`,
		`{"type":"number","exclusiveMinimum":3}`:                                                                `3.5`,
		`{"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991}`:                             `1`,
		`{"type":"integer","minimum":-9,"maximum":0}`:                                                           `-9`,
		`{"type":"integer","minimum":-9,"exclusiveMaximum":1}`:                                                  `-9`,
		`{"type":"integer","minimum":5}`:                                                                        `5`,
		`{"type":"integer","maximum":-2}`:                                                                       `-2`,
		`{"type":"array","items":{"enum":["red","blue"]},"minItems":2}`:                                         `["red","red"]`,
		`{"anyOf":[{"const":7},{"type":"null"}]}`:                                                               `7`,
		`{"type":"array","maxItems":0}`:                                                                         `[]`,
		`{"$ref":"#/$defs/p","$defs":{"p":{"type":"object","properties":{"n":{"type":"string"}}}}}`:             `{"n":"sample"}`,
		`{"$ref":"https://example.com/other"}`:                                                                  `null`,
		`{"allOf":[{"properties":{"a":{"type":"null"}}}],"properties":{"b":{"type":"number"}},"type":"object"}`: `{"a":null,"b":0.5}`,
	} {
		if got := string(sample(json.RawMessage(schema))); got != want {
			t.Errorf("%s\n got %s\nwant %s", schema, got, want)
		}
	}
}

// TestASampleIsBounded has schemas that refer to themselves, in depth and in breadth.
func TestASampleIsBounded(t *testing.T) {
	wide := `{"type":"object","properties":{` + strings.TrimSuffix(strings.Repeat(`"a%":{"$ref":"#"},`, 9), ",") + `}}`
	for i := range 9 {
		wide = strings.Replace(wide, "%", string(rune('0'+i)), 1)
	}
	for _, schema := range []string{`{"$ref":"#"}`, wide, `{"type":"array","minItems":1000000,"items":{"$ref":"#"}}`} {
		if got := sample(json.RawMessage(schema)); !json.Valid(got) || len(got) > 100_000 {
			t.Errorf("%s: %d bytes, valid %v", schema, len(got), json.Valid(got))
		}
	}
}

// TestWhatIsAskedForIsGiven: a form is met at once, so that clients that need one can be tried without a model.
func TestWhatIsAskedForIsGiven(t *testing.T) {
	tool := agent.Tool{Name: "weather", Parameters: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}}}`)}
	schema := agent.Format{Kind: agent.JSONSchema, Schema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}}}`)}
	for name, c := range map[string]struct {
		prompt     string
		choice     agent.ToolChoice
		format     agent.Format
		call, text string // the arguments of the call, and the text after its result
	}{
		"schema":              {format: schema, text: `{"n":1}`},
		"object":              {format: agent.Format{Kind: agent.JSONObject}, text: `{"answer": "sample"}`},
		"required":            {choice: agent.ToolChoice{Mode: agent.ToolsRequired}, call: `{"city":"sample"}`, text: "The tools said: sunny"},
		"required and schema": {choice: agent.ToolChoice{Mode: agent.ToolsRequired}, format: schema, call: `{"city":"sample"}`, text: `{"n":1}`},
		"a call by hand":      {prompt: `call weather {"city":"Bonn"}`, format: schema, call: `{"city":"Bonn"}`, text: "The tools said: sunny"},
		"a script":            {prompt: "sim: text prose", format: schema, text: "prose"},
	} {
		t.Run(name, func(t *testing.T) {
			req := backendtest.Request(c.prompt)
			req.Tools, req.ToolChoice, req.Format = []agent.Tool{tool}, c.choice, c.format
			run, err := New(nil).Start(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			turn, err := backendtest.Collect(t.Context(), run)
			if err != nil {
				t.Fatal(err)
			}
			if c.call != "" {
				if len(turn.Calls) != 1 || string(turn.Calls[0].Arguments) != c.call {
					t.Fatalf("%d calls, %q; want one with %s", len(turn.Calls), turn.Text, c.call)
				}
				results := []agent.ToolResult{{CallID: turn.Calls[0].ID, Parts: []agent.Part{{Text: "sunny"}}}}
				if err := run.Resume(t.Context(), results); err != nil {
					t.Fatal(err)
				}
				if turn, err = backendtest.Collect(t.Context(), run); err != nil {
					t.Fatal(err)
				}
			}
			if turn.Text != c.text {
				t.Errorf("%q, want %q", turn.Text, c.text)
			}
		})
	}
}

// A call has an object of arguments, whatever the tool's schema leaves out.
func TestArgumentsAreAnObject(t *testing.T) {
	for schema, want := range map[string]string{
		``: `{}`, `{}`: `{}`, `{"type":"string"}`: `{}`, `{"type":"nonsense"}`: `{}`, `{"type":"object","properties":{"a":{"type":"string"}}}`: `{"a":"sample"}`,
	} {
		if got := string(arguments(json.RawMessage(schema))); got != want {
			t.Errorf("%s: %s, want %s", schema, got, want)
		}
	}
}
