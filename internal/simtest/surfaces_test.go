package simtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/api/published"
	"composer-api/internal/sse"
)

// A reply is what came of one request.
type reply struct {
	request  string // its x-request-id; "" over a socket
	status   int
	resume   string // x-composer-resume
	err      string // why it failed; "" when it did not
	code     string // of the error
	after    bool   // the failure came after a 200
	left     bool   // the client has left
	text     string
	thinking string
	sealed   string
	calls    []call
	in, out  int64 // usage
	est      bool  // the usage is estimated
	done     bool  // it came to its proper end
	id       string
	kept     bool   // responses: it says that it is stored
	doc      string // responses: the whole document
	events   int    // responses: of the stream, up to now
	began    time.Time
	finished time.Time
	check    bool     // against the published document
	bad      []string // what is wrong with its form
}

func (r *reply) ok() bool { return r.done && r.err == "" }

// obj and list are JSON as it is written here; what a client sends is not the product's types on purpose.
type (
	obj  map[string]any
	list []any
)

// A surface is how one of the APIs is used.
type surface struct {
	path string
	// body writes a request.
	body func(c *talk, p *person, t *task) obj
	// whole reads an answer that is not streamed, event one event of a stream; end is how a stream ends.
	whole func(r *reply, data []byte)
	event func(r *reply, e sse.Event)
}

var apis = map[string]*surface{
	"chat":      {"/v1/chat/completions", chatBody, chatWhole, chatEvent},
	"responses": {"/v1/responses", responsesBody, responsesWhole, responsesEvent},
	"messages":  {"/v1/messages", messagesBody, messagesWhole, messagesEvent},
	// Not an API of its own: how what is asked about conversations is answered.
	"conversations": {path: "/v1/conversations", whole: conversationsWhole},
}

// parameters are those of every tool.
var parameters = json.RawMessage(`{"type":"object","properties":{"n":{"type":"string"}},"required":["n"]}`)

// answerSchema is the schema of task.Ask schema.
var answerSchema = json.RawMessage(`{"type":"object","properties":{"said":{"type":"string"}},"required":["said"],"additionalProperties":false}`)

func chatBody(c *talk, p *person, t *task) obj {
	b := obj{"model": c.model, "stream": p.Stream}
	if p.Stream {
		b["stream_options"] = obj{"include_usage": true}
	}
	var messages, tools list
	for _, m := range c.messages {
		switch m.role {
		case "tool":
			messages = append(messages, obj{"role": "tool", "tool_call_id": m.callID, "content": m.text})
		case "assistant":
			a := obj{"role": "assistant", "content": m.text}
			if p.Echo == "thinking" && m.thinking != "" {
				a["reasoning_content"] = m.thinking
			}
			var calls list
			for _, k := range m.calls {
				calls = append(calls, obj{"id": k.id, "type": "function", "function": obj{"name": k.tool, "arguments": k.args}})
			}
			if calls != nil {
				a["tool_calls"] = calls
			}
			messages = append(messages, a)
		default:
			messages = append(messages, obj{"role": m.role, "content": m.text})
		}
	}
	for _, name := range c.tools {
		tools = append(tools, obj{"type": "function", "function": obj{"name": name, "parameters": parameters}})
	}
	b["messages"] = messages
	switch t.Ask {
	case "stop":
		b["stop"] = list{stopWord}
	case "schema":
		b["response_format"] = obj{"type": "json_schema", "json_schema": obj{"name": "said", "strict": true, "schema": answerSchema}}
		tools = nil
	case "title":
		tools = nil
	case "required":
		if !c.answered() {
			b["tool_choice"] = "required"
		}
	}
	if tools != nil {
		b["tools"] = tools
	}
	return b
}

// stopWord ends the answers of tasks that ask for stop, where the API has a way to say so.
const stopWord = "w3"

// stops reports whether the answers of a task end at stopWord.
func (c *talk) stops(t *task) bool { return t.Ask == "stop" && c.surface != "responses" }

// answered reports whether there were calls since the last task, so that no more are asked for.
func (c *talk) answered() bool {
	for i := len(c.messages) - 1; i >= 0 && !taskMark.MatchString(c.messages[i].text); i-- {
		if len(c.messages[i].calls) > 0 {
			return true
		}
	}
	return false
}

func (r *reply) fail(err any, code string) {
	r.err, r.code = fmt.Sprint(err), code
	if r.err == "" {
		r.err = "(no message)"
	}
}

func (r *reply) wrong(format string, args ...any) {
	r.bad = append(r.bad, fmt.Sprintf(format, args...))
}

// An apiError is the error of all APIs.
type apiError struct {
	Message, Type string
	Code          any
}

func (r *reply) failed(e *apiError) {
	code := e.Type
	if c, ok := e.Code.(string); ok && c != "" {
		code = c
	}
	r.fail(e.Message, code)
}

type chatMessage struct {
	Content          string
	ReasoningContent string `json:"reasoning_content"`
	ToolCalls        []struct {
		Index    int
		ID       string
		Function struct{ Name, Arguments string }
	} `json:"tool_calls"`
}

type chatDoc struct {
	ID      string
	Choices []struct {
		Message, Delta chatMessage
		FinishReason   string `json:"finish_reason"`
	}
	Usage *struct {
		PromptTokens     int64 `json:"prompt_tokens"`
		CompletionTokens int64 `json:"completion_tokens"`
		UsageEstimated   bool  `json:"usage_estimated"`
	}
	Error *apiError
}

func (r *reply) decode(data []byte, into any) bool {
	if err := json.Unmarshal(data, into); err != nil {
		r.wrong("not JSON: %v: %.100s", err, data)
		return false
	}
	return true
}

func (r *reply) chatUsage(d *chatDoc) {
	if d.Usage != nil {
		r.in, r.out, r.est = d.Usage.PromptTokens, d.Usage.CompletionTokens, d.Usage.UsageEstimated
	}
}

func chatWhole(r *reply, data []byte) {
	var d chatDoc
	if !r.decode(data, &d) {
		return
	}
	r.published("CreateChatCompletionResponse", data)
	r.id = d.ID
	for _, c := range d.Choices {
		r.text, r.thinking = c.Message.Content, c.Message.ReasoningContent
		for _, k := range c.Message.ToolCalls {
			r.calls = append(r.calls, call{id: k.ID, tool: k.Function.Name, args: k.Function.Arguments})
		}
		r.done = c.FinishReason != ""
		r.finish(c.FinishReason == "tool_calls")
	}
	r.chatUsage(&d)
}

// finish checks the reason for which an answer says that it ended.
func (r *reply) finish(forCalls bool) {
	if forCalls != (len(r.calls) > 0) {
		r.wrong("it ended for calls: %v, and has %d", forCalls, len(r.calls))
	}
}

// published checks a document against OpenAI's published document.
func (r *reply) published(name string, data []byte) {
	if !r.check {
		return
	}
	if err := published.Check(name, data); err != nil {
		r.wrong("it is no %s: %v", name, err)
	}
}

func chatEvent(r *reply, e sse.Event) {
	if r.done && e.Data != "[DONE]" && !strings.Contains(e.Data, `"usage"`) {
		r.wrong("after its end: %.100s", e.Data)
	}
	if e.Data == "[DONE]" {
		if r.code == "" && !r.done {
			r.wrong("[DONE] without a finish_reason")
		}
		r.id += " over"
		return
	}
	var d chatDoc
	if !r.decode([]byte(e.Data), &d) {
		return
	}
	if d.Error != nil {
		r.failed(d.Error)
		return
	}
	r.published("CreateChatCompletionStreamResponse", []byte(e.Data))
	r.id = d.ID
	r.chatUsage(&d)
	for _, c := range d.Choices {
		r.text += c.Delta.Content
		r.thinking += c.Delta.ReasoningContent
		for _, k := range c.Delta.ToolCalls {
			switch {
			case k.Index == len(r.calls):
				r.calls = append(r.calls, call{id: k.ID, tool: k.Function.Name, args: k.Function.Arguments})
			case k.Index < len(r.calls):
				r.calls[k.Index].args += k.Function.Arguments
			default:
				r.wrong("call %d after %d", k.Index, len(r.calls))
			}
		}
		if c.FinishReason != "" {
			r.done = true
			r.finish(c.FinishReason == "tool_calls")
		}
	}
}

// responsesItems are messages as items of the Responses API.
func responsesItems(messages []message) (items list) {
	for _, m := range messages {
		switch m.role {
		case "tool":
			items = append(items, obj{"type": "function_call_output", "call_id": m.callID, "output": m.text})
		case "assistant":
			if m.text != "" {
				items = append(items, obj{"type": "message", "role": "assistant", "content": list{obj{"type": "output_text", "text": m.text}}})
			}
			for _, k := range m.calls {
				items = append(items, obj{"type": "function_call", "call_id": k.id, "name": k.tool, "arguments": k.args})
			}
		default:
			items = append(items, obj{"type": "message", "role": m.role, "content": m.text})
		}
	}
	return items
}

func responsesBody(c *talk, p *person, t *task) obj {
	b := obj{"model": c.model, "stream": p.Stream}
	var tools list
	if c.previous != "" {
		b["previous_response_id"] = c.previous
	}
	if c.conversation != "" {
		b["conversation"] = c.conversation
	}
	b["input"] = responsesItems(c.messages[c.sent:])
	for _, name := range c.tools {
		tools = append(tools, obj{"type": "function", "name": name, "parameters": parameters})
	}
	switch t.Ask {
	case "schema":
		b["text"] = obj{"format": obj{"type": "json_schema", "name": "said", "strict": true, "schema": answerSchema}}
		tools = nil
	case "title":
		tools = nil
	case "background", "cancel":
		b["background"], b["stream"] = true, false
	case "follow":
		b["background"], b["stream"] = true, true
	case "required":
		if !c.answered() {
			b["tool_choice"] = "required"
		}
	}
	if tools != nil {
		b["tools"] = tools
	}
	return b
}

type responseDoc struct {
	ID, Status string
	Store      bool
	Output     []responseItem
	Usage      *struct {
		InputTokens    int64 `json:"input_tokens"`
		OutputTokens   int64 `json:"output_tokens"`
		UsageEstimated bool  `json:"usage_estimated"`
	}
	Error *apiError
}

type responseItem struct {
	Type, Name, Arguments string
	CallID                string `json:"call_id"`
	Content, Summary      []struct{ Text string }
}

func (d *responseDoc) text() (text string, calls []call) {
	for _, item := range d.Output {
		switch item.Type {
		case "message":
			for _, part := range item.Content {
				text += part.Text
			}
		case "function_call":
			calls = append(calls, call{id: item.CallID, tool: item.Name, args: item.Arguments})
		}
	}
	return text, calls
}

func responsesWhole(r *reply, data []byte) {
	var d responseDoc
	if !r.decode(data, &d) {
		return
	}
	r.published("Response", data)
	r.id, r.kept, r.doc = d.ID, d.Store, string(data)
	r.text, r.calls = d.text()
	r.done = d.Status == "completed"
	if d.Usage != nil {
		r.in, r.out, r.est = d.Usage.InputTokens, d.Usage.OutputTokens, d.Usage.UsageEstimated
	}
	if d.Error != nil {
		r.failed(d.Error)
	}
	if d.Status == "failed" && d.Error == nil {
		r.fail("failed without an error", "")
	}
}

func responsesEvent(r *reply, e sse.Event) {
	if e.Data == "[DONE]" {
		return
	}
	var d struct {
		Type     string
		Sequence int `json:"sequence_number"`
		Delta    string
		Item     responseItem
		Response *responseDoc
		Error    *apiError
		Message  string
		Code     string
	}
	if !r.decode([]byte(e.Data), &d) {
		return
	}
	// On a socket, the event of a request that is not accepted also has what would be the status and the headers of an HTTP answer, as
	// Codex reads them. The published event has no place for these.
	if d.Type != "error" || r.request != "" {
		r.published("ResponseStreamEvent", []byte(e.Data))
	}
	if d.Type != "error" && d.Sequence != r.events {
		r.wrong("event %d where %d was to come", d.Sequence, r.events)
	}
	r.events = d.Sequence + 1
	if r.done {
		r.wrong("after its end: %.100s", e.Data)
	}
	switch d.Type {
	case "response.created":
		r.id = d.Response.ID
	case "response.output_text.delta":
		r.text += d.Delta
	case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
		r.thinking += d.Delta
	case "response.output_item.done":
		if d.Item.Type == "function_call" {
			r.calls = append(r.calls, call{id: d.Item.CallID, tool: d.Item.Name, args: d.Item.Arguments})
		}
	case "response.completed", "response.incomplete", "response.failed":
		streamed, calls := r.text, r.calls
		raw := struct{ Response json.RawMessage }{}
		r.decode([]byte(e.Data), &raw)
		responsesWhole(r, raw.Response)
		// Of a background response whose process was killed, what was streamed last may not have been written yet.
		killed := d.Type == "response.failed" && strings.HasPrefix(streamed, r.text) && strings.Contains(r.err, "restarted")
		if r.text != streamed && !killed {
			r.wrong("it streamed %q, and its response says %q", streamed, r.text)
		}
		if fmt.Sprint(calls) != fmt.Sprint(r.calls) && !(killed && len(r.calls) <= len(calls) && fmt.Sprint(calls[:len(r.calls)]) == fmt.Sprint(r.calls)) {
			r.wrong("it streamed the calls %v, and its response has %v", calls, r.calls)
		}
		r.done = d.Type == "response.completed"
	case "error":
		if d.Error == nil {
			d.Error = &apiError{Message: d.Message, Code: d.Code}
		}
		r.failed(d.Error)
	}
}

func messagesBody(c *talk, p *person, t *task) obj {
	b := obj{"model": c.model, "stream": p.Stream, "max_tokens": 100_000}
	var messages []obj
	add := func(role string, blocks ...any) {
		if n := len(messages); n > 0 && messages[n-1]["role"] == role {
			messages[n-1]["content"] = append(messages[n-1]["content"].(list), blocks...)
			return
		}
		messages = append(messages, obj{"role": role, "content": list(blocks)})
	}
	for _, m := range c.messages {
		switch m.role {
		case "tool":
			block := obj{"type": "tool_result", "tool_use_id": m.callID, "content": m.text}
			if m.isError {
				block["is_error"] = true
			}
			add("user", block)
		case "assistant":
			if p.Echo == "thinking" && m.sealed != "" {
				add("assistant", obj{"type": "thinking", "thinking": m.thinking, "signature": m.sealed})
			}
			if m.text != "" {
				add("assistant", obj{"type": "text", "text": m.text})
			}
			for _, k := range m.calls {
				add("assistant", obj{"type": "tool_use", "id": k.id, "name": k.tool, "input": json.RawMessage(k.args)})
			}
		default:
			add("user", obj{"type": "text", "text": m.text})
		}
	}
	b["messages"] = messages
	var tools list
	for _, name := range c.tools {
		tools = append(tools, obj{"name": name, "input_schema": parameters})
	}
	switch t.Ask {
	case "stop":
		b["stop_sequences"] = list{stopWord}
	case "schema":
		b["output_config"] = obj{"format": obj{"type": "json_schema", "schema": answerSchema}}
		tools = nil
	case "title":
		tools = nil
	case "required":
		if !c.answered() {
			b["tool_choice"] = obj{"type": "any"}
		}
	}
	if tools != nil {
		b["tools"] = tools
	}
	return b
}

type messageUsage struct {
	InputTokens    int64 `json:"input_tokens"`
	OutputTokens   int64 `json:"output_tokens"`
	CacheRead      int64 `json:"cache_read_input_tokens"`
	CacheCreation  int64 `json:"cache_creation_input_tokens"`
	UsageEstimated bool  `json:"usage_estimated"`
}

type messageBlock struct {
	Type, Text, Thinking, Signature, ID, Name string
	Input                                     json.RawMessage
}

func (r *reply) messageUsage(u *messageUsage) {
	if u != nil {
		r.in, r.out, r.est = u.InputTokens+u.CacheRead+u.CacheCreation, u.OutputTokens, u.UsageEstimated
	}
}

func messagesWhole(r *reply, data []byte) {
	var d struct {
		ID         string
		Content    []messageBlock
		StopReason string `json:"stop_reason"`
		Usage      *messageUsage
		Error      *apiError
	}
	if !r.decode(data, &d) {
		return
	}
	r.id = d.ID
	for _, b := range d.Content {
		switch b.Type {
		case "text":
			r.text += b.Text
		case "thinking":
			r.thinking, r.sealed = r.thinking+b.Thinking, b.Signature
		case "tool_use":
			r.calls = append(r.calls, call{id: b.ID, tool: b.Name, args: string(b.Input)})
		}
	}
	r.done = d.StopReason != ""
	r.finish(d.StopReason == "tool_use")
	r.messageUsage(d.Usage)
}

func messagesEvent(r *reply, e sse.Event) {
	var d struct {
		Type         string
		ContentBlock messageBlock `json:"content_block"`
		Delta        struct {
			Type, Text, Thinking, Signature string
			PartialJSON                     string `json:"partial_json"`
			StopReason                      string `json:"stop_reason"`
		}
		Message struct{ ID string }
		Usage   *messageUsage
		Error   *apiError
	}
	if !r.decode([]byte(e.Data), &d) {
		return
	}
	if r.done && d.Type != "ping" {
		r.wrong("after its end: %.100s", e.Data)
	}
	switch d.Type {
	case "message_start":
		r.id = d.Message.ID
	case "content_block_start":
		if d.ContentBlock.Type == "tool_use" {
			r.calls = append(r.calls, call{id: d.ContentBlock.ID, tool: d.ContentBlock.Name})
		}
	case "content_block_delta":
		r.text += d.Delta.Text
		r.thinking += d.Delta.Thinking
		r.sealed += d.Delta.Signature
		if d.Delta.PartialJSON != "" {
			r.calls[len(r.calls)-1].args += d.Delta.PartialJSON
		}
	case "message_delta":
		r.messageUsage(d.Usage)
		r.finish(d.Delta.StopReason == "tool_use")
	case "message_stop":
		r.done = true
	case "error":
		if d.Error == nil {
			d.Error = new(apiError)
		}
		r.failed(d.Error)
	}
}

// readReply reads an answer into r. onText is called whenever there is more, and may make the client leave; it is not
// called for an answer that isn't streamed.
func (s *surface) readReply(r *reply, resp *http.Response, more func(r *reply) (leave bool)) {
	r.status, r.resume = resp.StatusCode, resp.Header.Get("X-Composer-Resume")
	if resp.StatusCode != http.StatusOK {
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			r.fail(err, "broken")
			return
		}
		var d struct{ Error *apiError }
		if json.Unmarshal(data, &d) != nil || d.Error == nil {
			r.wrong("status %d without an error: %.200s", resp.StatusCode, data)
			d.Error = new(apiError)
		}
		r.failed(d.Error)
		return
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			r.fail(err, "broken")
			return
		}
		s.whole(r, bytes.TrimSpace(data))
		return
	}
	r.after = true
	for e, err := range sse.Scan(resp.Body) {
		if err != nil {
			if !r.done {
				r.fail(err, "broken")
			}
			return
		}
		s.event(r, e)
		if more(r) {
			r.left = true
			return
		}
	}
	if !r.done && r.err == "" {
		r.fail("the stream ended early", "broken")
	}
}
