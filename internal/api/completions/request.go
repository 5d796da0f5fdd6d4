package completions

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// Decoding of a request for the older completions. One request may hold several prompts, each
// of which becomes a turn of its own; what they have in common is decoded once.

// A request is a decoded completion request.
//
// It isn't changed once it is decoded; turn makes copies.
type request struct {
	// Prompts are the texts to complete, at least one.
	Prompts []string
	// Echo puts the prompt before its completion.
	Echo bool
	// Stream asks for a stream, and IncludeUsage for a last chunk with its usage.
	Stream, IncludeUsage bool

	all agent.Request // what the turns have in common
}

// wireRequest is the request as it is sent. Fields that aren't named here are ignored.
//
//	{"model": "composer-1", "prompt": "Once upon a time", "max_tokens": 16}
//	{"model": "composer-1", "prompt": ["Once", "Twice"], "echo": true, "stream": true}
type wireRequest struct {
	Model    string         `json:"model"`
	Prompt   jsontext.Value `json:"prompt"`
	Messages jsontext.Value `json:"messages"` // for the error's hint alone
	Suffix   string         `json:"suffix"`
	Echo     bool           `json:"echo"`

	Stream        bool `json:"stream"`
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`

	MaxTokens *openai.Int               `json:"max_tokens"`
	Stop      openai.StringOr[[]string] `json:"stop"`
	N         *openai.Int               `json:"n"`
	BestOf    *openai.Int               `json:"best_of"`
	Logprobs  *openai.Int               `json:"logprobs"`

	openai.Sampling

	// These can't change the shape of the answer. Only their types are checked.
	Seed      *float64      `json:"seed"`
	LogitBias openai.Object `json:"logit_bias"`
	User      string        `json:"user"`
}

// maxPrompts bounds the prompts of one request, which are completed one after the other. LangChain, the client with the
// largest batches, sends so many.
const maxPrompts = 20

// decode reads a request body. Errors are *agent.Error with the field's path as Param. The
// order of the checks decides which error a request with several mistakes gets.
//
// The gateway and httpd fill in the rest of agent.Request, see api.Call.Fill.
func decode(body []byte) (*request, error) {
	var w wireRequest
	if err := openai.Decode(body, &w); err != nil {
		return nil, err
	}
	if w.Model == "" {
		return nil, openai.Missing("model")
	}
	req := &request{Echo: w.Echo, Stream: w.Stream}
	req.all.ModelName = w.Model
	// Some editors send the options without "stream", where they mean nothing.
	req.IncludeUsage = w.Stream && w.StreamOptions != nil && w.StreamOptions.IncludeUsage
	var err error
	// The prompt before the rest: a client with the wrong address hears of that first.
	if req.Prompts, err = prompts(&w); err != nil {
		return nil, err
	}
	if err := checkUnsupported(&w); err != nil {
		return nil, err
	}
	if err := w.Sampling.Check(); err != nil {
		return nil, err
	}
	if req.all.MaxOutputTokens, err = openai.MaxTokens("max_tokens", w.MaxTokens); err != nil {
		return nil, err
	}
	req.all.Stop, err = openai.Stops("stop", w.Stop)
	return req, err
}

// prompts reads the prompt: a text, or an array of texts. OpenAI also takes the numbers of its
// own tokens, which mean nothing here. An empty text is a prompt, too.
func prompts(w *wireRequest) ([]string, error) {
	const param = "prompt"
	switch w.Prompt.Kind() {
	case '"':
		var one string
		err := json.Unmarshal(w.Prompt, &one, openai.Liberal)
		return []string{one}, err
	case '[':
		return promptList(w.Prompt)
	// null or absent. Who sends messages here has the wrong address, which the error says.
	case 'n', 0:
		if w.Messages.Kind() == '[' {
			return nil, agent.ParamError(agent.MissingParameter, param, "Missing required parameter: 'prompt'. A request with 'messages' goes to /v1/chat/completions.")
		}
		return nil, openai.Missing(param)
	}
	return nil, agent.ParamError(agent.InvalidType, param, "Invalid type for 'prompt': expected a string or an array of strings.")
}

// promptList reads a list of texts. A list of numbers, or of lists of them, is a prompt in
// tokens. The first entry that can't be used is the error.
func promptList(raw jsontext.Value) ([]string, error) {
	const param = "prompt"
	var list []jsontext.Value
	if err := json.Unmarshal(raw, &list, openai.Liberal); err != nil {
		return nil, err
	}
	switch {
	case len(list) == 0:
		return nil, agent.ParamError(agent.InvalidValue, param, "'prompt' is an empty array. Send at least one text.")
	// A list of numbers is longer than that, and gets the error about tokens below.
	case len(list) > maxPrompts && list[0].Kind() == '"':
		return nil, agent.ParamError(agent.InvalidValue, param, "'prompt' has %d entries; at most %d are allowed. Send several requests.", len(list), maxPrompts)
	}
	// An empty text in a list is a prompt of its own, as one that stands alone.
	texts := make([]string, len(list))
	for i, v := range list {
		at := fmt.Sprintf("%s[%d]", param, i)
		switch v.Kind() {
		case '"':
			if err := json.Unmarshal(v, &texts[i], openai.Liberal); err != nil {
				return nil, err
			}
		case '0', '[':
			return nil, agent.ParamError(agent.UnsupportedValue, at, "The prompt is made of token numbers, which these models don't share. Send it as text.")
		default:
			return nil, agent.ParamError(agent.InvalidType, at, "Invalid type for '%s': expected a string.", at)
		}
	}
	return texts, nil
}

// checkUnsupported refuses what would silently give the caller something other than asked.
func checkUnsupported(w *wireRequest) error {
	for _, f := range []struct {
		asked   bool
		code    agent.Code
		param   string
		message string
	}{
		{w.Suffix != "", agent.UnsupportedParameter, "suffix", "The models can't fill in the text before a suffix. Leave 'suffix' out, or describe the gap to /v1/chat/completions."},
		{w.N != nil && *w.N > 1, agent.UnsupportedValue, "n", "There is one completion for a prompt. Leave 'n' out, or send the request several times."},
		{w.BestOf != nil && *w.BestOf > 1, agent.UnsupportedValue, "best_of", "There is one completion for a prompt. Leave 'best_of' out."},
		{w.Logprobs != nil && *w.Logprobs > 0, agent.UnsupportedValue, "logprobs", "Log probabilities are not available. Leave 'logprobs' out."},
	} {
		if f.asked {
			return agent.ParamError(f.code, f.param, "%s", f.message)
		}
	}
	return openai.InRange("n", w.N, 1, 1)
}

// turn is the request of the turn that completes the prompt at index. It belongs to whoever
// carries it out. Each turn gets a request of its own, because the gateway fills in fields.
// index counts from 0 and must be one of Prompts.
func (r *request) turn(index int) *agent.Request {
	req := r.all
	req.Messages = []agent.Message{{Role: agent.User, Parts: []agent.Part{{Text: r.Prompts[index]}}}}
	// What is shared otherwise is only read.
	req.Stop = slices.Clone(r.all.Stop)
	return &req
}
