package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/markup"
	"composer-api/internal/cursor/sections"
)

// The conversation as one text. The endpoint takes a single user message, so everything has to
// go into it: who said what, the tools, the calls and their results, and what the client asks
// of the form of the answer.
//
// Nothing of a client's text may pass for the structure around it. sections.Writer sees to
// that: Own writes what is ours as it is, Text and JSON write what is the client's so that it
// holds no tag and no marker.

// A prompt is a whole conversation as one user message. The images are referred to by their order.
type prompt struct {
	// text names images by their number, from 1, in the order of images.
	text   string
	images []*agent.Image
}

// render writes the conversation: what mode this is and how to call a tool, the tools, what the client asks of the
// answer, and then the transcript. A single user message that asks for nothing else is its own prompt.
//
//	(rules, tools as lines of JSON)
//
//	<system_instructions>
//	Be brief.
//	</system_instructions>
//	<user_message>
//	What does go.mod say?
//	</user_message>
//	<assistant_message>
//	<|tool_calls_begin|>…<|tool_calls_end|>
//	</assistant_message>
//	<tool_result tool="read" call="1" status="completed">
//	module example
//	</tool_result>
//
// Calls are written as the model writes them. What a client sent can be taken neither for a tag nor for a marker; see
// package sections.
//
// Also tells the writer what else, besides tags, must not stand in a client's text: the markers of calls.
func render(req *agent.Request, m mode) prompt {
	r := renderer{calls: map[string]calledTool{}, answered: map[string]bool{}}
	r.Also = markup.IsMarker
	if asks := m == agentMode || len(req.Tools) > 0 || req.Format.Kind != agent.PlainText; !asks && len(req.Messages) == 1 && req.Messages[0].Role == agent.User {
		r.parts(req.Messages[0].Parts)
	} else {
		if m == agentMode {
			r.Own(agentRule)
		}
		r.Own(answerRule)
		r.instructions(req)
		r.transcript(req.Messages)
	}
	return prompt{string(r.Bytes()), r.images}
}

// What the prompt tells the model, in the order in which it comes. The endpoint has no other place for tools
// and for the form of an answer. Source of the markers: the chat endpoint's description.
const (
	agentRule  = "You are in agent mode, behind an API.\n"
	answerRule = "The conversation so far stands below, in tags. Give the next answer of the assistant, without a tag around it.\n"
	toolRules  = `
You may call the client's tools. The client runs them and sends you their results; you can do nothing else but write text. To call tools, write exactly this, as the last thing in your answer:

<|tool_calls_begin|><|tool_call_begin|>
NAME
<|tool_sep|>ARGUMENT
VALUE
<|tool_sep|>ARGUMENT
VALUE
<|tool_call_end|><|tool_calls_end|>

Repeat <|tool_call_begin|>...<|tool_call_end|> within the block to make several calls at once. Write texts as they are, without quotes, and other values as JSON. Never only announce a call: make it. Never write a result yourself. What stands under a result in the conversation is done: don't repeat it.

The tools, one on a line:
`
	serialRule   = "\nMake at most one call in an answer.\n"
	noneRule     = "\nDon't call any tools; answer in text.\n"
	requiredRule = "\nYou must call at least one of these tools now.\n"
	objectRule   = "\nWrite nothing but one JSON object: no other text, no code fence.\n"
	schemaRule   = "\nWrite nothing but JSON that fits this JSON Schema: no other text, no code fence.\n"
)

// instructions writes what the client asks of the answer: the tools, and its form. Package control checks afterwards whether the
// model has kept to it.
func (r *renderer) instructions(req *agent.Request) {
	tools := req.Offered()
	if len(tools) > 0 {
		r.Own(toolRules)
		// Descriptions and schemas are the client's: r.JSON escapes what could be a tag.
		for i := range tools {
			r.JSON(toolLine(&tools[i]))
		}
		if req.SerialToolCalls {
			r.Own(serialRule)
		}
	}
	switch choice := req.ToolChoice; {
	// The tools are not listed then (Offered is empty), but the transcript may have calls of them.
	case choice.Mode == agent.ToolsNone && len(req.Tools) > 0:
		r.Own(noneRule)
	case choice.Mode == agent.ToolsRequired && len(tools) == 1:
		r.Own("\nYou must call the tool ")
		r.Text(oneLine(tools[0].Name))
		r.Own(" now.\n")
	case choice.Mode == agent.ToolsRequired && len(tools) > 0:
		r.Own(requiredRule)
	}
	switch req.Format.Kind {
	case agent.JSONObject:
		r.Own(objectRule)
	case agent.JSONSchema:
		r.Own(schemaRule)
		if req.Format.Description != "" {
			r.Text(req.Format.Description + "\n")
		}
		r.Own("<json_schema>\n")
		r.JSON(req.Format.Schema)
		r.Own("\n</json_schema>\n")
	}
}

// toolLine is a tool as one line of JSON. It stands on one line, whatever white space the
// client's schema has.
func toolLine(t *agent.Tool) []byte {
	parameters := t.Parameters
	if len(parameters) == 0 {
		parameters = json.RawMessage(`{"type":"object"}`)
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line) // it ends the line, and makes one of parameters
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters"`
	}{t.Name, t.Description, parameters})
	if err != nil { // a schema that isn't JSON: the surfaces let none through
		return fmt.Appendf(nil, "{\"name\":%q}\n", t.Name)
	}
	return line.Bytes()
}

// A renderer writes a prompt. It is for one prompt and one goroutine.
type renderer struct {
	sections.Writer
	// images are those of the prompt so far.
	images   []*agent.Image
	calls    map[string]calledTool // that the transcript holds so far, by id
	count    int                   // of calls
	answered map[string]bool       // ids of the calls that have a result
}

// A calledTool is the tool of a call, and the call's number in the transcript: results name their call by it.
type calledTool struct {
	// name is the tool's; number counts the calls of the transcript from 1.
	name   string
	number int
}

// elements are the tags of messages, by role. A tool's result has one of its own.
var elements = map[agent.Role]string{agent.System: "system_instructions", agent.User: "user_message", agent.Assistant: "assistant_message"}

// transcript writes the messages, each in its section. The results are looked through first,
// because a call has to be marked as unanswered where it stands.
func (r *renderer) transcript(messages []agent.Message) {
	for i := range messages {
		if messages[i].Role == agent.ToolRole {
			r.answered[messages[i].CallID] = true
		}
	}
	r.Own("\n")
	for i := range messages {
		m := &messages[i]
		if m.Role == agent.ToolRole {
			r.result(m)
			continue
		}
		// Every role but a tool's has one.
		name := elements[m.Role]
		r.Own("<", name)
		if m.Name != "" {
			r.Own(" name=", sections.Attribute(m.Name))
		}
		r.Own(">\n")
		r.parts(m.Parts)
		r.makeCalls(m)
		r.Own("\n</", name, ">\n")
		r.unanswered(m.Calls)
	}
}

// result writes what a tool said: <tool_result tool="read" call="2" status="completed">. A call that the transcript no
// longer holds has no number.
func (r *renderer) result(m *agent.Message) {
	r.Own("<tool_result")
	if call, known := r.calls[m.CallID]; known {
		r.Own(" tool=", sections.Attribute(call.name), ` call="`, strconv.Itoa(call.number), `"`)
	}
	status := "completed"
	if m.IsError {
		status = "failed"
	}
	r.Own(` status="`, status, "\">\n")
	r.parts(m.Parts)
	r.Own("\n</tool_result>\n")
}

// unanswered says of calls that they have no result, or the model would go on waiting for it. That happens when a user interrupts
// a tool.
func (r *renderer) unanswered(calls []agent.ToolCall) {
	for i := range calls {
		if id := calls[i].ID; !r.answered[id] {
			r.Own("<tool_result tool=", sections.Attribute(calls[i].Name), ` call="`, strconv.Itoa(r.calls[id].number), "\" status=\"unanswered\"/>\n")
		}
	}
}

// parts writes texts as they are and a mark where an image belongs. The only image of a message that is nothing else
// needs none.
func (r *renderer) parts(parts []agent.Part) {
	for _, p := range parts {
		if p.Image == nil {
			r.Text(p.Text)
			continue
		}
		r.images = append(r.images, p.Image)
		// With one image there is no question which is meant.
		if len(parts) > 1 || len(r.images) > 1 {
			r.Own("\n", sections.ImageMark(len(r.images)), "\n")
		}
	}
}

// makeCalls writes the calls of a message as the model itself writes them. They look as the
// model has written them, so that it goes on writing them so.
func (r *renderer) makeCalls(m *agent.Message) {
	if len(m.Calls) == 0 {
		return
	}
	if len(m.Parts) > 0 {
		r.Own("\n")
	}
	r.Own(markup.BlockBegin)
	for i := range m.Calls {
		c := &m.Calls[i]
		r.count++
		// An id that comes twice means the later call from here on.
		r.calls[c.ID] = calledTool{c.Name, r.count}
		markup.WriteCall(&r.Writer, oneLine(c.Name), c.Arguments)
	}
	r.Own(markup.BlockEnd)
}

// oneLine makes a name fit for a line of its own.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
