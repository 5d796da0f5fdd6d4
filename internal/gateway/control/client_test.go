package control_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/chat"
	"composer-api/internal/api/known"
	"composer-api/internal/api/responses"
	"composer-api/internal/gateway/control"
	"composer-api/internal/sse"
)

// An ask is a request in no surface's spelling.
type ask struct {
	System    string          `json:"system"`
	Prompt    string          `json:"prompt"`
	Tools     []tool          `json:"tools"`
	Choice    string          `json:"tool_choice"` // "required", a tool's name, or names with commas: any of these
	Serial    bool            `json:"one_at_a_time"`
	MaxTokens int             `json:"max_tokens"`
	Stop      []string        `json:"stop"`   // Responses has none
	Format    json.RawMessage `json:"schema"` // json_schema; "object" is json_object

	Forgetful bool `json:"upstream_forgets"` // upstream keeps no conversation

	MaxCost  float64        `json:"max_cost"` // x-composer-max-cost
	Settings control.Config `json:"settings"` // of the gateway
}

// change replaces the fields of a that changes has; null tools and a null schema are left out of the request.
func (a *ask) change(t *testing.T, changes string) {
	t.Helper()
	a.Tools, a.Format = slices.Clone(a.Tools), slices.Clone(a.Format) // which are decoded into
	d := json.NewDecoder(strings.NewReader(changes))
	d.DisallowUnknownFields()
	if err := d.Decode(a); err != nil {
		t.Fatal(err)
	}
	if string(a.Format) == "null" {
		a.Format = nil
	}
}

type tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"`
}

// An answer is what a client got, in no surface's spelling.
type answer struct {
	status   int
	header   http.Header // x-composer headers and trailers
	thinking string
	text     string
	refusal  string
	calls    []agent.ToolCall
	end      string // finish reason or error
	usage    string
}

// costs reports whether the answer tells what it has cost, which depends on estimates and so stands in no case.
func (a *answer) costs() bool {
	usd, err := strconv.ParseFloat(a.header.Get("X-Composer-Cost"), 64)
	return err == nil && usd > 0
}

// String is an answer as the cases' got section has it.
func (a *answer) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", a.status)
	for _, name := range []string{"X-Composer-Resume", "X-Composer-System", "X-Composer-Repair"} {
		if v := a.header.Get(name); v != "" {
			fmt.Fprintf(&b, " %s: %s", strings.ToLower(strings.TrimPrefix(name, "X-Composer-")), v)
		}
	}
	b.WriteByte('\n')
	if a.thinking != "" {
		fmt.Fprintf(&b, "thinks %q\n", a.thinking)
	}
	if a.text != "" {
		fmt.Fprintf(&b, "says %q\n", a.text)
	}
	if a.refusal != "" {
		fmt.Fprintf(&b, "declines %q\n", a.refusal)
	}
	for _, c := range a.calls {
		fmt.Fprintf(&b, "calls %s %s\n", c.Name, c.Arguments)
	}
	fmt.Fprintf(&b, "ends %s\n", a.end)
	if a.usage != "" {
		fmt.Fprintf(&b, "usage %s\n", a.usage)
	}
	return b.String()
}

// A surface is one of the six clients.
type surface struct {
	name    string
	stream  bool
	request func(*client) any
	handler func(*world) api.Handler
	read    func(a *answer, events []json.RawMessage)
}

var surfaces = []surface{
	{"chat", false, chatRequest, chatHandler, readChat},
	{"chat stream", true, chatRequest, chatHandler, readChatStream},
	{"responses", false, responsesRequest, responsesHandler, readResponse},
	{"responses stream", true, responsesRequest, responsesHandler, readResponseStream},
	{"messages", false, messagesRequest, messagesHandler, readMessage},
	{"messages stream", true, messagesRequest, messagesHandler, readMessageStream},
}

// can reports whether the surface has a way to ask for that.
func (s *surface) can(a *ask) bool {
	switch api, _, _ := strings.Cut(s.name, " "); api {
	case "messages":
		return !strings.Contains(a.Choice, ",") && string(a.Format) != `"object"`
	case "responses":
		return a.Stop == nil
	}
	return true
}

// A client has one conversation.
type client struct {
	t       *testing.T
	world   *world
	surface surface
	ask     ask
	history []said
}

// said is an answer of the model, the results for it, or the next question.
type said struct {
	answer   *answer
	results  []string
	question string
}

// send asks for an answer.
func (c *client) send() *answer {
	c.t.Helper()
	return c.sendUntil(c.t.Context())
}

// sendUntil asks for an answer, and leaves when ctx ends.
func (c *client) sendUntil(ctx context.Context) *answer {
	c.t.Helper()
	body, err := json.Marshal(c.surface.request(c))
	if err != nil {
		c.t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
	c.world.handle(rec, r, c.surface.handler(c.world))
	a := readAnswer(c.t, rec, c.surface)
	c.history = append(c.history, said{answer: a})
	return a
}

// results are what the client's tools said to the last answer's calls.
func (c *client) results(texts []string) { c.history = append(c.history, said{results: texts}) }

// question is what the user says next.
func (c *client) question(text string) { c.history = append(c.history, said{question: text}) }

func readAnswer(t *testing.T, rec *httptest.ResponseRecorder, s surface) *answer {
	t.Helper()
	result := rec.Result()
	a := &answer{status: rec.Code, header: result.Header}
	for name, values := range result.Trailer {
		a.header[name] = values
	}
	var events []json.RawMessage
	if strings.HasPrefix(result.Header.Get("Content-Type"), "text/event-stream") {
		for e, err := range sse.Scan(rec.Body) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Data != "[DONE]" {
				events = append(events, json.RawMessage(e.Data))
			}
		}
	} else {
		events = append(events, rec.Body.Bytes())
	}
	if rec.Code != http.StatusOK {
		readError(a, events[0])
		return a
	}
	s.read(a, events)
	return a
}

// An apiError is how both surfaces say an error.
type apiError struct {
	Code, Type, Message string
	Param               *string
}

func readError(a *answer, body []byte) {
	var e struct{ Error apiError }
	if err := json.Unmarshal(body, &e); err != nil {
		a.end = "in what is no error: " + string(body)
		return
	}
	a.end = "in the error " + cmp.Or(e.Error.Code, e.Error.Type)
	if e.Error.Param != nil {
		a.end += " about " + *e.Error.Param
	}
	a.end += ": " + e.Error.Message
}

// Chat completions.

func chatHandler(w *world) api.Handler { return chat.Routes(w.gateway, nil, nil)[0].Handle }

// object is a JSON object that a client makes.
type object = map[string]any

func chatRequest(c *client) any {
	messages := []object{{"role": "user", "content": c.ask.Prompt}}
	if c.ask.System != "" {
		messages = append([]object{{"role": "system", "content": c.ask.System}}, messages...)
	}
	var ids []string
	for _, s := range c.history {
		if s.answer == nil {
			for i, text := range s.results {
				messages = append(messages, object{"role": "tool", "tool_call_id": ids[i], "content": text})
			}
			if s.question != "" {
				messages = append(messages, object{"role": "user", "content": s.question})
			}
			continue
		}
		m := object{"role": "assistant", "content": s.answer.text}
		var calls []object
		ids = nil
		for _, call := range s.answer.calls {
			ids = append(ids, call.ID)
			calls = append(calls, object{"id": call.ID, "type": "function", "function": object{"name": call.Name, "arguments": string(call.Arguments)}})
		}
		if calls != nil {
			m["tool_calls"] = calls
		}
		messages = append(messages, m)
	}
	var tools []object
	function := func(name string) object { return object{"type": "function", "function": object{"name": name}} }
	for _, t := range c.ask.Tools {
		tools = append(tools, object{"type": "function", "function": t})
	}
	request := object{"model": "composer-2.5", "messages": messages, "stream": c.surface.stream}
	if c.surface.stream {
		request["stream_options"] = object{"include_usage": true}
	}
	if c.ask.MaxTokens > 0 {
		request["max_completion_tokens"] = c.ask.MaxTokens
	}
	if c.ask.Stop != nil {
		request["stop"] = c.ask.Stop
	}
	if tools != nil {
		request["tools"], request["parallel_tool_calls"] = tools, !c.ask.Serial
	}
	switch names := strings.Split(c.ask.Choice, ","); {
	case c.ask.Choice == "":
	case slices.Contains([]string{"none", "required"}, c.ask.Choice):
		request["tool_choice"] = c.ask.Choice
	case len(names) == 1:
		request["tool_choice"] = function(names[0])
	default:
		var allowed []object
		for _, name := range names {
			allowed = append(allowed, function(name))
		}
		request["tool_choice"] = object{"type": "allowed_tools", "allowed_tools": object{"mode": "required", "tools": allowed}}
	}
	switch {
	case c.ask.Format == nil:
	case string(c.ask.Format) == `"object"`:
		request["response_format"] = object{"type": "json_object"}
	default:
		request["response_format"] = object{"type": "json_schema", "json_schema": object{"name": "answer", "strict": true, "schema": c.ask.Format}}
	}
	return request
}

// A chatMessage is a message or a delta of one.
type chatMessage struct {
	Content   string
	Refusal   string
	Thinking  string     `json:"reasoning_content"`
	ToolCalls []chatCall `json:"tool_calls"`
}

type chatCall struct {
	Index    int
	ID       string
	Function struct{ Name, Arguments string }
}

type chatUsage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
}

// usageText leaves out estimated numbers, which depend on how long a prompt of ours is.
func usageText(in, out int, estimated bool) string {
	if estimated {
		return "estimated"
	}
	return fmt.Sprintf("%d in, %d out", in, out)
}

func (a *answer) addChat(m *chatMessage) {
	a.thinking += m.Thinking
	a.text += m.Content
	a.refusal += m.Refusal
	for _, c := range m.ToolCalls {
		if c.ID != "" {
			a.calls = append(a.calls, agent.ToolCall{ID: c.ID, Name: c.Function.Name})
		}
		last := &a.calls[len(a.calls)-1]
		last.Arguments = append(last.Arguments, c.Function.Arguments...)
	}
}

func readChat(a *answer, events []json.RawMessage) {
	var body struct {
		Choices []struct {
			Message chatMessage
			Finish  string `json:"finish_reason"`
		}
		Usage     *chatUsage
		Estimated bool `json:"usage_estimated"`
	}
	if err := json.Unmarshal(events[0], &body); err != nil || len(body.Choices) != 1 {
		a.end = "in what is no completion: " + string(events[0])
		return
	}
	a.addChat(&body.Choices[0].Message)
	a.end, a.usage = body.Choices[0].Finish, usageText(body.Usage.Prompt, body.Usage.Completion, body.Estimated)
}

func readChatStream(a *answer, events []json.RawMessage) {
	for _, e := range events {
		var chunk struct {
			Choices []struct {
				Delta  chatMessage
				Finish *string `json:"finish_reason"`
			}
			Usage     *chatUsage
			Estimated bool `json:"usage_estimated"`
			Error     *apiError
		}
		if err := json.Unmarshal(e, &chunk); err != nil {
			a.end = "in what is no chunk: " + string(e)
			return
		}
		if chunk.Error != nil {
			readError(a, e)
			return
		}
		for _, choice := range chunk.Choices {
			a.addChat(&choice.Delta)
			if choice.Finish != nil {
				a.end = *choice.Finish
			}
		}
		if chunk.Usage != nil {
			a.usage = usageText(chunk.Usage.Prompt, chunk.Usage.Completion, chunk.Estimated)
		}
	}
}

// Responses.

func responsesHandler(w *world) api.Handler {
	return func(rw http.ResponseWriter, r *http.Request, call *api.Call) error {
		body, err := api.ReadBody(r)
		if err != nil {
			return err
		}
		req, err := responses.Decode(body, known.Sender{})
		if err != nil {
			return err
		}
		turn, _, err := req.Turn(nil, nil)
		if err != nil {
			return err
		}
		call.Fill(turn)
		answer := responses.NewAnswer(rw, req, responses.Options{ID: responses.NewID()})
		defer answer.Close()
		if err = w.gateway.Turn(r.Context(), turn, answer); err != nil && answer.Fail(agent.AsError(err)) {
			return &api.Told{Err: err}
		}
		return err
	}
}

func responsesRequest(c *client) any {
	input := []object{{"role": "user", "content": c.ask.Prompt}}
	var ids []string
	for _, s := range c.history {
		if s.answer == nil {
			for i, text := range s.results {
				input = append(input, object{"type": "function_call_output", "call_id": ids[i], "output": text})
			}
			if s.question != "" {
				input = append(input, object{"role": "user", "content": s.question})
			}
			continue
		}
		if s.answer.text != "" {
			input = append(input, object{"role": "assistant", "content": s.answer.text})
		}
		ids = nil
		for _, call := range s.answer.calls {
			ids = append(ids, call.ID)
			input = append(input, object{"type": "function_call", "call_id": call.ID, "name": call.Name, "arguments": string(call.Arguments)})
		}
	}
	var tools []object
	function := func(name string) object { return object{"type": "function", "name": name} }
	for _, t := range c.ask.Tools {
		f := function(t.Name)
		f["strict"] = t.Strict
		if t.Parameters != nil {
			f["parameters"] = t.Parameters
		}
		tools = append(tools, f)
	}
	request := object{"model": "composer-2.5", "input": input, "stream": c.surface.stream, "store": false}
	if c.ask.System != "" {
		request["instructions"] = c.ask.System
	}
	if c.ask.MaxTokens > 0 {
		request["max_output_tokens"] = c.ask.MaxTokens
	}
	if tools != nil {
		request["tools"], request["parallel_tool_calls"] = tools, !c.ask.Serial
	}
	switch names := strings.Split(c.ask.Choice, ","); {
	case c.ask.Choice == "":
	case slices.Contains([]string{"none", "required"}, c.ask.Choice):
		request["tool_choice"] = c.ask.Choice
	case len(names) == 1:
		request["tool_choice"] = function(names[0])
	default:
		var allowed []object
		for _, name := range names {
			allowed = append(allowed, function(name))
		}
		request["tool_choice"] = object{"type": "allowed_tools", "mode": "required", "tools": allowed}
	}
	switch {
	case c.ask.Format == nil:
	case string(c.ask.Format) == `"object"`:
		request["text"] = object{"format": object{"type": "json_object"}}
	default:
		request["text"] = object{"format": object{"type": "json_schema", "name": "answer", "strict": true, "schema": c.ask.Format}}
	}
	return request
}

type responseBody struct {
	Status     string
	Error      *apiError
	Incomplete *struct{ Reason string } `json:"incomplete_details"`
	Output     []struct {
		Type, Name, Arguments string
		CallID                string `json:"call_id"`
		Content, Summary      []struct{ Text, Refusal string }
	}
	Usage *struct {
		Input  int `json:"input_tokens"`
		Output int `json:"output_tokens"`
	}
	Estimated bool `json:"usage_estimated"`
}

func (a *answer) setResponse(r *responseBody) {
	for _, item := range r.Output {
		switch item.Type {
		case "reasoning":
			a.thinking += item.Summary[0].Text
		case "message":
			a.text += item.Content[0].Text
			a.refusal += item.Content[0].Refusal
		case "function_call":
			a.calls = append(a.calls, agent.ToolCall{ID: item.CallID, Name: item.Name, Arguments: json.RawMessage(item.Arguments)})
		}
	}
	switch {
	case r.Error != nil:
		a.end = "in the error " + r.Error.Code + ": " + r.Error.Message
	case r.Status == "cancelled":
		a.end = r.Status
	case r.Incomplete != nil:
		a.end = "length" // chat's word
	case len(a.calls) > 0:
		a.end = "tool_calls"
	default:
		a.end = "stop"
	}
	if r.Usage != nil {
		a.usage = usageText(r.Usage.Input, r.Usage.Output, r.Estimated)
	}
}

func readResponse(a *answer, events []json.RawMessage) {
	var body responseBody
	if err := json.Unmarshal(events[0], &body); err != nil {
		a.end = "in what is no response: " + string(events[0])
		return
	}
	a.setResponse(&body)
}

// readResponseStream reads the last event, and checks that the text of the deltas is no other.
func readResponseStream(a *answer, events []json.RawMessage) {
	var streamed, refused, failure string
	for _, e := range events {
		var event struct {
			Type          string
			Delta         string
			Code, Message string // of an error, which says more than the response's: that has OpenAI's few codes
			Response      *responseBody
		}
		if err := json.Unmarshal(e, &event); err != nil {
			a.end = "in what is no event: " + string(e)
			return
		}
		switch event.Type {
		case "response.output_text.delta":
			streamed += event.Delta
		case "response.refusal.delta":
			refused += event.Delta
		case "error":
			failure = "in the error " + event.Code + ": " + event.Message
		case "response.completed", "response.incomplete", "response.failed":
			a.setResponse(event.Response)
		}
	}
	if failure != "" {
		a.end = failure
	}
	if streamed != a.text || refused != a.refusal {
		a.end = fmt.Sprintf("with the text %q%q and deltas %q%q", a.text, a.refusal, streamed, refused)
	}
}
