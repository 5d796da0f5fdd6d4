package chat

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// Some clients (Cursor's editor with a key of its own) send the body of the Responses API to the chat
// route: "input" in place of "messages", and tools whose name and parameters are beside their type. Such a
// body is converted to the messages of chat, and the answer has the form of chat.

// inputFields are the fields of a Responses body that chat has under another name.
//
// They are embedded in wireRequest, so a body may have fields of both forms; messages goes before
// input.
type inputFields struct {
	// A string is one message of the user.
	Input           openai.StringOr[[]wireItem] `json:"input"`
	Instructions    openai.StringOr[[]wireItem] `json:"instructions"`
	MaxOutputTokens *openai.Int                 `json:"max_output_tokens"`
	Reasoning       jsontext.Value              `json:"reasoning"` // some clients of chat send other types, which are ignored

	// What chat has in no form, or only in its own. A value of another type than the Responses API's asks for nothing.
	PreviousResponseID jsontext.Value `json:"previous_response_id"`
	Conversation       jsontext.Value `json:"conversation"`
	Text               jsontext.Value `json:"text"`

	// Parameters of Anthropic's Messages API, under their names there.
	System        jsontext.Value `json:"system"`
	StopSequences jsontext.Value `json:"stop_sequences"`
}

// refuseInputFields refuses parameters of the Responses API, and of Anthropic's, beside messages, as OpenAI does: without them, the
// answer would be another than was asked for. One whose form in chat was sent as well does no harm. A body that has the shape of
// the Responses API as a whole comes from a client that knows of no other route.
func refuseInputFields(w *wireRequest) error {
	if w.responsesShape {
		return nil
	}
	const openAI, anthropic = "/v1/responses", "/v1/messages"
	for _, f := range []struct {
		param string
		asked bool
		here  string // what chat has in its place
		route string // that has the parameter
	}{
		{"previous_response_id", w.PreviousResponseID.Kind() == '"' && len(w.PreviousResponseID) > len(`""`), "the whole conversation is sent as 'messages'", openAI},
		{"conversation", w.Conversation.Kind() == '"' || w.Conversation.Kind() == '{', "the whole conversation is sent as 'messages'", openAI},
		{"instructions", w.Instructions.String != "" || len(w.Instructions.Other) > 0, "they are a message with the role 'system'", openAI},
		{"max_output_tokens", w.MaxOutputTokens != nil && w.MaxCompletionTokens == nil && w.MaxTokens == nil, "it is 'max_completion_tokens'", openAI},
		{"text.format", w.asksForFormat() && w.ResponseFormat == nil, "it is 'response_format'", openAI},
		{"system", (w.System.Kind() == '"' || w.System.Kind() == '[') && len(w.System) > len(`""`), "it is a message with the role 'system'", anthropic},
		{"stop_sequences", w.StopSequences.Kind() == '[' && len(w.StopSequences) > len(`[]`) && w.Stop.IsZero(), "it is 'stop'", anthropic},
	} {
		if f.asked {
			return agent.ParamError(agent.UnsupportedParameter, f.param, "Chat completions have no '%s': there %s. Send that instead, or use %s.", f.param, f.here, f.route)
		}
	}
	return nil
}

// asksForFormat reports whether text.format asks for anything but plain text.
func (f *inputFields) asksForFormat() bool {
	var text struct {
		Format struct {
			Type string `json:"type"`
		} `json:"format"`
	}
	return f.Text.Kind() == '{' && json.Unmarshal(f.Text, &text, openai.Liberal) == nil && text.Format.Type != "" && text.Format.Type != "text"
}

// wireItem is an input item of the Responses API. Only what such clients were seen to send is
// read; the Responses API's own surface knows the rest.
type wireItem struct {
	// Type may be missing: an item with a role is a message.
	Type      string                      `json:"type"`
	Role      string                      `json:"role"`
	Content   openai.StringOr[[]wirePart] `json:"content"`
	CallID    string                      `json:"call_id"`
	Name      string                      `json:"name"`
	Arguments wireArguments               `json:"arguments"`
	Input     string                      `json:"input"`
	Output    openai.StringOr[[]wirePart] `json:"output"`
}

// convertInput makes messages of the input of a body in Responses shape. It does nothing when the body has
// messages.
//
// Errors come later, when the messages are converted; params has where each of them stood in the body.
//
//	instructions: "…"                      system
//	input: "…"                             user
//	input: [{"role": …, "content": …}]     a message of that role
//	       [{"type": "function_call"}]     a call, in the assistant's message before it
//	       [{"type": "function_call_output"}] a tool's message
func (w *wireRequest) convertInput() {
	if len(w.Messages) > 0 || w.Input.IsZero() {
		return
	}
	w.responsesShape = true
	a := inputConverter{announced: map[string]bool{}}
	if w.Instructions.Kind == '"' && w.Instructions.String != "" {
		a.message("system", openai.StringOr[[]wirePart]{Kind: '"', String: w.Instructions.String}, "instructions")
	}
	a.items(w.Instructions.Other, "instructions")
	if w.Input.Kind == '"' {
		a.message("user", openai.StringOr[[]wirePart]{Kind: '"', String: w.Input.String}, "input")
	}
	a.items(w.Input.Other, "input")
	w.Messages, w.params = a.messages, a.params
	if w.MaxTokens == nil {
		w.MaxTokens = w.MaxOutputTokens
	}
	var reasoning struct {
		Effort string `json:"effort"`
	}
	// A value of another type is left alone, without an error: see inputFields.
	if w.Reasoning.Kind() == '{' && w.ReasoningEffort == "" && json.Unmarshal(w.Reasoning, &reasoning, openai.Liberal) == nil {
		w.ReasoningEffort = reasoning.Effort
	}
}

// An inputConverter turns items into messages. messages and params have the same length.
type inputConverter struct {
	// messages are in chat's form, as if the client had sent them so.
	messages  []wireMessage
	params    []string        // the path of each message in the request
	announced map[string]bool // ids of the calls in messages
}

// items adds a list of items.
func (a *inputConverter) items(items []wireItem, param string) {
	for i := range items {
		a.item(&items[i], fmt.Sprintf("%s[%d]", param, i))
	}
}

// item adds one item. Thinking, and items of types that chat has no place for, are left out: the Responses API's own route
// passes them on as text.
func (a *inputConverter) item(it *wireItem, param string) {
	switch {
	case it.Type == "message", it.Type == "" && (it.Role != "" || !it.Content.IsZero()):
		role := it.Role
		if role == "" {
			role = "user"
		}
		a.message(role, it.Content, param)
	case it.Type == "function_call" && it.CallID != "":
		a.call(wireCall{ID: it.CallID, Function: &wireFunctionCall{Name: it.Name, Arguments: it.Arguments}}, param)
	case it.Type == "custom_tool_call" && it.CallID != "":
		a.call(wireCall{ID: it.CallID, Custom: &wireCustomCall{Name: it.Name, Input: it.Input}}, param)
	case strings.HasSuffix(it.Type, "_call_output"):
		a.output(it, param)
	}
}

// message adds a message.
func (a *inputConverter) message(role string, content openai.StringOr[[]wirePart], param string) {
	a.messages = append(a.messages, wireMessage{Role: role, Content: content})
	a.params = append(a.params, param)
}

// call adds a call to the assistant's message that it belongs to, or to a new one.
//
// Several calls in a row become calls of one message, as chat's own clients send parallel calls.
func (a *inputConverter) call(c wireCall, param string) {
	if n := len(a.messages); n == 0 || a.messages[n-1].Role != "assistant" {
		a.message("assistant", openai.StringOr[[]wirePart]{}, param)
	}
	last := &a.messages[len(a.messages)-1]
	last.ToolCalls = append(last.ToolCalls, c)
	a.announced[c.ID] = true
}

// output adds the result of a call. A result whose call isn't there becomes a message of the user, where chat's own messages would
// be refused: the clients that send this shape shorten their histories.
func (a *inputConverter) output(it *wireItem, param string) {
	if !a.announced[it.CallID] {
		a.message("user", it.Output, param)
		return
	}
	a.message("tool", it.Output, param)
	a.messages[len(a.messages)-1].ToolCallID = it.CallID
}
