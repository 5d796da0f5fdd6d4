package apitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/agent"
)

// A turnScript is what the gateway does with a surface's sink in one turn. A nil one, for a
// case without events, does nothing and returns nil.
// It replaces the gateway: what a real turn may never do, such as an answer without usage, can be
// tried here.
type turnScript []step

// A step does one thing to the sink. An error that it returns is the turn's failure. Steps are
// made once and may be played several times.
type step func(agent.Sink) error

// play carries out the turn. The error is what the gateway's Turn would return.
func (s turnScript) play(sink agent.Sink) error {
	for _, step := range s {
		if err := step(sink); err != nil {
			return err
		}
	}
	return nil
}

// parseScript reads events, one a line:
//
//	accept UPSTREAM RESUME MODEL [PARAM=VALUE…]
//	text "…"
//	reasoning "…"
//	refusal "…"
//	call ID NAME ARGUMENTS
//	usage NAME=NUMBER… [estimated]      input cache_read cache_write output reasoning; price=INPUT/CACHE_WRITE/CACHE_READ/OUTPUT
//	done stop ["STOP TEXT"]|tool_calls|length
//	flush
//	fail CODE ["MESSAGE"] [param=PARAM] [retry_after=DURATION]
//
// Quoted text is quoted as in Go. Empty lines and lines that begin with # are ignored.
func parseScript(text string) (turnScript, error) {
	var script turnScript
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, rest, _ := strings.Cut(line, " ")
		// The error names the line within the file's part, which is short.
		parse, ok := verbs[verb]
		if !ok {
			return nil, fmt.Errorf("line %d: %q is none of %q", n+1, verb, slices.Sorted(maps.Keys(verbs)))
		}
		step, err := parse(strings.TrimSpace(rest))
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", n+1, verb, err)
		}
		script = append(script, step)
	}
	return script, nil
}

// verbs are the parsers of the lines, by their first word.
var verbs = map[string]func(string) (step, error){
	"accept":    parseAccept,
	"text":      func(s string) (step, error) { return parseText(agent.Text, s) },
	"reasoning": func(s string) (step, error) { return parseText(agent.Reasoning, s) },
	"refusal":   func(s string) (step, error) { return parseText(agent.Refusal, s) },
	"call":      parseCall,
	"usage":     parseUsage,
	"done":      parseDone,
	"flush":     func(string) (step, error) { return agent.Sink.Flush, nil },
	"fail":      parseFail,
}

// event is the step that gives the sink an event. Each play has a copy of its own.
//
// A sink that keeps the text beyond the call would show #### in its golden file.
func event(e agent.Event) step {
	return func(s agent.Sink) error {
		copied := e
		copied.Text = slices.Clone(e.Text)
		err := s.Event(&copied)
		// The text is valid during the call only. Overwriting it shows whether the sink has kept it.
		for i := range copied.Text {
			copied.Text[i] = '#'
		}
		return err
	}
}

// parseAccept reads how the gateway accepts a run that is silent then: the backend's name, how it goes on, and the model.
func parseAccept(s string) (step, error) {
	f := strings.Fields(s)
	if len(f) < 3 {
		return nil, fmt.Errorf("want upstream, resume and model")
	}
	a := agent.Accepted{Upstream: f[0], Resume: agent.Resume(f[1]), Model: agent.Model{ID: f[2], Name: f[2]}}
	for _, p := range f[3:] {
		id, value, _ := strings.Cut(p, "=")
		// The name is what an answer calls the model; the id and the parameters are what upstream
		// is asked for.
		if id == "fast" && value == "true" { // as the catalogue calls it
			a.Model.Name += "-fast"
		}
		a.Model.Params = append(a.Model.Params, agent.Param{ID: id, Value: value})
	}
	return func(s agent.Sink) error {
		if err := s.Accept(a); err != nil {
			return err
		}
		return s.Flush()
	}, nil
}

// parseText reads a piece of text of one kind.
func parseText(kind agent.Kind, s string) (step, error) {
	text, err := strconv.Unquote(s)
	return event(agent.Event{Kind: kind, Text: []byte(text)}), err
}

// parseCall reads a tool call. The arguments are the rest of the line and are not reformatted.
func parseCall(s string) (step, error) {
	// Three, so that the arguments may have blanks in them.
	f := strings.SplitN(s, " ", 3)
	if len(f) < 3 || !json.Valid([]byte(f[2])) {
		return nil, fmt.Errorf("want an id, a name and arguments as JSON")
	}
	return event(agent.Event{Kind: agent.Call, Call: &agent.ToolCall{ID: f[0], Name: f[1], Arguments: []byte(f[2])}}), nil
}

// parseUsage reads the tokens of a turn, and prices in US dollars for a million tokens.
func parseUsage(s string) (step, error) {
	var u agent.Usage
	// A name that isn't here is an error, so that a typing mistake doesn't pass for a zero.
	counts := map[string]*int64{
		"input": &u.Input, "cache_read": &u.CacheRead, "cache_write": &u.CacheWrite, "output": &u.Output, "reasoning": &u.Reasoning,
	}
	for f := range strings.FieldsSeq(s) {
		name, value, _ := strings.Cut(f, "=")
		var err error
		switch {
		case f == "estimated":
			u.Estimated = true
		case name == "price":
			_, err = fmt.Sscanf(value, "%g/%g/%g/%g", &u.Price.Input, &u.Price.CacheWrite, &u.Price.CacheRead, &u.Price.Output)
		case counts[name] != nil:
			*counts[name], err = strconv.ParseInt(value, 10, 64)
		default:
			err = fmt.Errorf("%q is not known", name)
		}
		if err != nil {
			return nil, err
		}
	}
	return event(agent.Event{Kind: agent.UsageKind, Usage: &u}), nil
}

// parseDone reads why a turn ends well.
func parseDone(s string) (step, error) {
	name, quoted, _ := strings.Cut(s, " ")
	reason, ok := map[string]agent.Reason{"stop": agent.Stop, "tool_calls": agent.ToolCalls, "length": agent.Length, "declined": agent.Declined}[name]
	if !ok {
		return nil, fmt.Errorf("%q is no reason", s)
	}
	done := agent.Done{Reason: reason}
	var err error
	if quoted != "" {
		done.StopText, err = strconv.Unquote(quoted)
	}
	return event(agent.Event{Kind: agent.DoneKind, Done: &done}), err
}

// parseFail reads an error of the gateway. Its cause must not appear in any answer, which the
// golden files show.
func parseFail(s string) (step, error) {
	name, rest, _ := strings.Cut(s, " ")
	// A cause is for logs.
	e := agent.Error{Err: fmt.Errorf("a cause that no client may see")}
	for _, code := range agent.Codes() {
		if code.String() == name {
			e.Code = code
		}
	}
	if e.Code == 0 {
		return nil, fmt.Errorf("%q is no code", name)
	}
	// Without a message the code has its own sentence.
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		e.Message, _ = strconv.Unquote(quoted)
		rest = rest[len(quoted):]
	}
	for f := range strings.FieldsSeq(rest) {
		name, value, _ := strings.Cut(f, "=")
		var err error
		switch name {
		case "param":
			e.Param = value
		case "retry_after":
			e.RetryAfter, err = time.ParseDuration(value)
		default:
			err = fmt.Errorf("%q is not known", name)
		}
		if err != nil {
			return nil, err
		}
	}
	// A copy for each play: the surface may change what it is given.
	return func(agent.Sink) error { failure := e; return &failure }, nil
}
