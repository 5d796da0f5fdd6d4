package completions

import (
	"slices"
	"strings"
	"testing"

	"composer-api/internal/agent"
)

func TestDecodeRefuses(t *testing.T) {
	// Of duplicate members the last counts.
	const rest = `"model":"composer-2.5","prompt":"Once",`
	for _, test := range []struct {
		members string // of the request
		code    agent.Code
		param   string
	}{
		{`"model":""`, agent.MissingParameter, "model"},
		{`"model":null`, agent.MissingParameter, "model"},
		{`"prompt":null`, agent.MissingParameter, "prompt"},
		{`"prompt":null,"messages":[{"role":"user","content":"Hi"}]`, agent.MissingParameter, "prompt"},
		{`"prompt":7`, agent.InvalidType, "prompt"},
		{`"prompt":{}`, agent.InvalidType, "prompt"},
		{`"prompt":[]`, agent.InvalidValue, "prompt"},
		{`"prompt":["a",null]`, agent.InvalidType, "prompt[1]"},
		{`"prompt":[1,2]`, agent.UnsupportedValue, "prompt[0]"},
		{`"prompt":[` + strings.Repeat("1,", 5000) + `2]`, agent.UnsupportedValue, "prompt[0]"},
		{`"prompt":[[1,2],[3]]`, agent.UnsupportedValue, "prompt[0]"},
		{`"prompt":["a"` + strings.Repeat(`,"b"`, maxPrompts) + `]`, agent.InvalidValue, "prompt"},
		{`"suffix":"the end"`, agent.UnsupportedParameter, "suffix"},
		{`"suffix":7`, agent.InvalidType, "suffix"},
		{`"n":2`, agent.UnsupportedValue, "n"},
		{`"n":0`, agent.InvalidValue, "n"},
		{`"best_of":3`, agent.UnsupportedValue, "best_of"},
		{`"logprobs":5`, agent.UnsupportedValue, "logprobs"},
		{`"echo":"yes"`, agent.InvalidType, "echo"},
		{`"stream":1`, agent.InvalidType, "stream"},
		{`"stream":true,"stream_options":{"include_usage":1}`, agent.InvalidType, "stream_options.include_usage"},
		{`"max_tokens":-2`, agent.InvalidValue, "max_tokens"},
		{`"max_tokens":"many"`, agent.InvalidType, "max_tokens"},
		{`"stop":[` + strings.Repeat(`"a",`, 64) + `"b"]`, agent.InvalidValue, "stop"},
		{`"stop":7`, agent.InvalidType, "stop"},
		{`"temperature":3`, agent.InvalidValue, "temperature"},
		{`"top_p":-1`, agent.InvalidValue, "top_p"},
		{`"frequency_penalty":9`, agent.InvalidValue, "frequency_penalty"},
		{`"logit_bias":[]`, agent.InvalidType, "logit_bias"},
		{`"seed":"x"`, agent.InvalidType, "seed"},
		{`"user":7`, agent.InvalidType, "user"},
	} {
		_, err := decode([]byte("{" + rest + test.members + "}"))
		if e := agent.AsError(err); err == nil || e.Code != test.code || e.Param != test.param {
			t.Errorf("%.60s: %v of %q, want %v of %q", test.members, err, e.Param, test.code, test.param)
		}
	}
	if _, err := decode([]byte(`[]`)); agent.CodeOf(err) != agent.InvalidType {
		t.Errorf("a list: %v", err)
	}
}

func TestDecodeTakes(t *testing.T) {
	for _, test := range []struct {
		members string // of the request
		prompts []string
		limit   int
		stop    []string
	}{
		{`"prompt":"Once"`, []string{"Once"}, 0, nil},
		{`"prompt":""`, []string{""}, 0, nil},
		{`"prompt":["Once"]`, []string{"Once"}, 0, nil},
		{`"prompt":["a","b"],"max_tokens":7,"stop":"x"`, []string{"a", "b"}, 7, []string{"x"}},
		{`"prompt":"a","max_tokens":-1,"stop":["x","","y"],"n":1,"best_of":1,"logprobs":0,"suffix":""`, []string{"a"}, 0, []string{"x", "y"}},
		{`"prompt":"a","max_tokens":0,"stop":null,"n":null,"best_of":null,"logprobs":null,"suffix":null,"echo":null,"user":null`, []string{"a"}, 0, nil},
		{`"prompt":"a","temperature":0,"top_p":1,"presence_penalty":0,"frequency_penalty":0,"seed":1,"logit_bias":{},"user":"u","unheard":[]`, []string{"a"}, 0, nil},
		{`"prompt":"\ud800"`, []string{"\ufffd"}, 0, nil},
	} {
		req, err := decode([]byte(`{"model":"composer-2.5",` + test.members + `}`))
		if err != nil {
			t.Errorf("%s: %v", test.members, err)
			continue
		}
		if !slices.Equal(req.Prompts, test.prompts) || req.all.MaxOutputTokens != test.limit || !slices.Equal(req.all.Stop, test.stop) {
			t.Errorf("%s: prompts %q, limit %d, stops %q", test.members, req.Prompts, req.all.MaxOutputTokens, req.all.Stop)
		}
	}
}

// FuzzDecode checks that every request is either refused with one of our errors or makes turns that say what was asked.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{"model":"m","prompt":"a"}`, `{"model":"m","prompt":["a","b"],"echo":true,"stream":true}`, `{"model":"m","prompt":[[1]]}`,
		`{"model":"m","prompt":[1]}`, `{"model":"m","prompt":"a","stop":["b"],"max_tokens":1e3}`, "{", "",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := decode(body)
		if err != nil {
			if e := agent.AsError(err); e.Code == agent.Internal {
				t.Errorf("%s: %v", body, err)
			}
			return
		}
		if len(req.Prompts) == 0 || len(req.Prompts) > maxPrompts {
			t.Errorf("%d prompts", len(req.Prompts))
		}
		for i, prompt := range req.Prompts {
			turn := req.turn(i)
			if turn.ModelName == "" || len(turn.Messages) != 1 || turn.Messages[0].Text() != prompt {
				t.Errorf("%s: turn %d says %+v", body, i, turn.Messages)
			}
		}
	})
}
