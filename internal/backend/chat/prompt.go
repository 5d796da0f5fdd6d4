package chat

import (
	"encoding/json"
	"fmt"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/markup"
)

// A prompt is a whole conversation as one user message.
type prompt struct {
	text   string
	images []*agent.Image
}

// render writes the conversation: the mode and how to call a tool, the tools, what the client asks of the
// answer, and then the transcript. A single user message that asks for nothing else is sent as it is.
//
//	(rules, tools as lines of JSON)
//
//	[system]
//	Be brief.
//
//	[user]
//	What does go.mod say?
//
//	[assistant]
//	<|tool_calls_begin|>…<|tool_calls_end|>
//
//	[result of call 1, read]
//	module example
func render(req *agent.Request, m mode) prompt {
	r := renderer{names: map[string]string{}, numbers: map[string]int{}}
	rules := instructions(req)
	if rules == "" && m == askMode && len(req.Messages) == 1 && req.Messages[0].Role == agent.User {
		r.parts(req.Messages[0].Parts)
	} else {
		if m == agentMode {
			r.text.WriteString(agentRule)
		}
		r.text.WriteString(answerRule + rules)
		r.transcript(req.Messages)
	}
	return prompt{r.text.String(), r.images}
}

// What the prompt tells the model, in the order in which it comes. The endpoint has no other place for tools
// and for the form of an answer. Source of the markers: the chat endpoint's description.
const (
	agentRule  = "You are in agent mode, behind an API.\n"
	answerRule = "The conversation so far stands below. Give the next answer of [assistant], without a heading.\n"
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
	serialRule    = "\nMake at most one call in an answer.\n"
	noneRule      = "\nDon't call any tools; answer in text.\n"
	requiredRule  = "\nYou must call at least one of these tools now.\n"
	namedRule     = "\nYou must call the tool %s now.\n"
	objectRule    = "\nWrite nothing but one JSON object: no other text, no code fence.\n"
	schemaRule    = "\nWrite nothing but JSON that fits this JSON Schema: no other text, no code fence.\n%s%s\n"
	beforeMessage = "\n[%s]\n"
)

// instructions is what the client asks of the answer: the tools, the choice among them, and the answer's form;
// "" when it asks for nothing.
func instructions(req *agent.Request) string {
	var b strings.Builder
	tools := req.Offered()
	if len(tools) > 0 {
		b.WriteString(toolRules)
		for i := range tools {
			writeTool(&b, &tools[i])
		}
		if req.SerialToolCalls {
			b.WriteString(serialRule)
		}
	}
	switch choice := req.ToolChoice; {
	case choice.Mode == agent.ToolsNone && len(req.Tools) > 0:
		b.WriteString(noneRule)
	case choice.Mode == agent.ToolsRequired && len(tools) == 1:
		fmt.Fprintf(&b, namedRule, tools[0].Name)
	case choice.Mode == agent.ToolsRequired && len(tools) > 0:
		b.WriteString(requiredRule)
	}
	switch req.Format.Kind {
	case agent.JSONObject:
		b.WriteString(objectRule)
	case agent.JSONSchema:
		about := req.Format.Description
		if about != "" {
			about += "\n"
		}
		fmt.Fprintf(&b, schemaRule, about, req.Format.Schema)
	}
	return b.String()
}

// writeTool writes a tool as one line of JSON.
func writeTool(b *strings.Builder, t *agent.Tool) {
	parameters := t.Parameters
	if len(parameters) == 0 {
		parameters = json.RawMessage(`{"type":"object"}`)
	}
	encoder := json.NewEncoder(b) // it ends the line, and makes one of parameters
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters"`
	}{t.Name, t.Description, parameters})
	if err != nil { // a schema that isn't JSON: the surfaces let none through
		fmt.Fprintf(b, "{\"name\":%q}\n", t.Name)
	}
}

// A renderer writes a transcript. It is used once.
type renderer struct {
	text   strings.Builder
	images []*agent.Image
	// names are the names of the tools that were called, and numbers the numbers of the calls from 1,
	// both by call id: a result refers to its call by number, because the model has never seen our ids.
	names   map[string]string
	numbers map[string]int
}

// headings are the transcript's names for roles. A tool's result has a heading of its own.
var headings = map[agent.Role]string{agent.System: "system", agent.User: "user", agent.Assistant: "assistant"}

// transcript writes the messages, each under its heading.
func (r *renderer) transcript(messages []agent.Message) {
	for i := range messages {
		m := &messages[i]
		fmt.Fprintf(&r.text, beforeMessage, r.heading(m))
		r.parts(m.Parts)
		if len(m.Calls) > 0 {
			r.calls(m.Calls)
		}
		r.text.WriteByte('\n')
	}
}

// heading names the speaker: "user", "user Ada", "result of call 2, read", "error from call 2, read".
func (r *renderer) heading(m *agent.Message) string {
	if m.Role != agent.ToolRole {
		return strings.TrimSpace(headings[m.Role] + " " + oneLine(m.Name))
	}
	number, known := r.numbers[m.CallID]
	if !known { // the transcript does not have the call
		return "result of an earlier call"
	}
	what := "result of"
	if m.IsError {
		what = "error from"
	}
	return fmt.Sprintf("%s call %d, %s", what, number, r.names[m.CallID])
}

// parts writes texts as they are, and a note where an image belongs, unless the image is all there is.
func (r *renderer) parts(parts []agent.Part) {
	for _, p := range parts {
		if p.Image == nil {
			r.text.WriteString(p.Text)
			continue
		}
		r.images = append(r.images, p.Image)
		if len(parts) > 1 || len(r.images) > 1 {
			fmt.Fprintf(&r.text, "\n[image %d]\n", len(r.images))
		}
	}
}

// calls writes calls in the markup that the model itself uses.
func (r *renderer) calls(calls []agent.ToolCall) {
	var block []byte
	for i := range calls {
		r.numbers[calls[i].ID] = len(r.numbers) + 1
		r.names[calls[i].ID] = calls[i].Name
		block = markup.AppendCall(block, calls[i].Name, calls[i].Arguments)
	}
	if r.text.Len() > 0 && !strings.HasSuffix(r.text.String(), "\n") {
		r.text.WriteByte('\n')
	}
	r.text.Write(markup.Block(block))
}

// oneLine makes a name fit for a heading: no line breaks and no brackets, so that it can't imitate one.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == '[' || r == ']' }), " ")
}
