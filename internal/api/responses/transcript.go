package responses

import (
	"encoding/json"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// A transcript grows item by item into the messages of an agent.Request, so that the same conversation becomes the same
// messages whichever surface it comes through: text and calls of the model with nothing in between are one assistant message,
// and each result is a tool message.
//
//	items                            messages
//	message user "read it"           user "read it"
//	reasoning                        (nothing)
//	message assistant "I'll look."   assistant "I'll look." with the call read
//	function_call read               ↑
//	function_call_output             tool "module …"
//
// That matters beyond tidiness: the gateway finds a run that waits by the digest of these
// messages. It is for one request and one goroutine. Its messages become the agent.Request's.
type transcript struct {
	messages []agent.Message
	calls    map[string]bool // ids of the calls that messages holds
	tools    *toolSet
	tail     *strings.Builder // the text that was lengthened last, see lengthen; never nil
	open     func(sealed string) (string, error)
	// unknown are the types of the items that were passed on as text because we don't know them.
	unknown []string
}

// itemTypes says what each type of item adds to a transcript. An item of another type is passed on as text.
var itemTypes = map[string]func(t *transcript, it *Item) error{
	messageType:               (*transcript).message,
	"function_call":           (*transcript).functionCall,
	"custom_tool_call":        (*transcript).customCall,
	"tool_search_call":        (*transcript).toolSearchCall,
	"function_call_output":    (*transcript).output,
	"custom_tool_call_output": (*transcript).output,
	"tool_search_output":      (*transcript).toolSearchOutput,
	"additional_tools":        (*transcript).additionalTools,
	"shell_call":              (*transcript).shellCall,
	"shell_call_output":       (*transcript).shellCallOutput,
	"apply_patch_call":        (*transcript).patchCall,
	"apply_patch_call_output": (*transcript).patchCallOutput,
	"computer_call_output":    (*transcript).screenshot,
	"image_generation_call":   (*transcript).generatedImage,
	compactionType:            (*transcript).compaction,
	// Upstream has no field for earlier thinking, ours or another's, sealed or not.
	"reasoning": (*transcript).nothing,
	triggerType: (*transcript).nothing,
	// Parts of a message without the message are not the API's form, but their meaning is clear.
	"input_text":  (*transcript).loosePart,
	"input_image": (*transcript).loosePart,
	"input_file":  (*transcript).loosePart,
}

// add adds one item. Errors are *agent.Error with the item's path; an item of an unknown type is no error.
func (t *transcript) add(it *Item) error {
	if it.wire.Type == "" {
		return openai.Missing(it.param + ".type")
	}
	if add, ok := itemTypes[it.wire.Type]; ok {
		return add(t, it)
	}
	t.asText(it)
	return nil
}

// loosePart adds a part that came without a message, as a message of the user.
func (t *transcript) loosePart(it *Item) error {
	var p wirePart
	// The item's own fields lack those of a part, so its JSON is read once more.
	if err := openai.Decode(it.raw, &p); err != nil {
		return err
	}
	part, err := p.part(it.param)
	if err != nil {
		return err
	}
	t.messages = append(t.messages, agent.Message{Role: agent.User, Parts: []agent.Part{part}})
	return nil
}

// nothing adds nothing.
func (t *transcript) nothing(*Item) error { return nil }

// roles are the roles of messages. A message without a role is the user's.
var roles = map[string]agent.Role{
	"system": agent.System, "developer": agent.System, "user": agent.User, "assistant": agent.Assistant,
	"": agent.User,
}

// message adds a message. One of the model may be added to the message before, see say.
func (t *transcript) message(it *Item) error {
	role, ok := roles[it.wire.Role]
	if !ok {
		return openai.OneOf(it.param+".role", it.wire.Role, "system", "developer", "user", "assistant")
	}
	parts, err := it.wire.Content.parts(it.param + ".content")
	if err != nil {
		return err
	}
	if role == agent.Assistant {
		// Here, and not where the whole transcript is looked at: there the text may follow another of the same answer.
		for i := range parts {
			parts[i].Text = agent.WithoutThinking(parts[i].Text)
		}
		t.say(parts)
		return nil
	}
	t.messages = append(t.messages, agent.Message{Role: role, Parts: parts, Name: it.wire.Name})
	return nil
}

// say adds text of the model. Text after text becomes one part: clients split and join texts as they like, and it must not
// matter for the digest of the conversation.
func (t *transcript) say(parts []agent.Part) {
	m := t.assistant()
	if n := len(m.Parts); n > 0 && len(parts) > 0 && parts[0].Image == nil && m.Parts[n-1].Image == nil {
		t.lengthen(&m.Parts[n-1], parts[0].Text) // one text that was interrupted by a call or by thinking
		// What follows the first part stays as it is: an image between two texts keeps them apart.
		parts = parts[1:]
	}
	m.Parts = append(m.Parts, parts...)
}

// lengthen adds text to the end of a part. A history may lengthen one part thousands of times, so the text so far is not
// copied each time: it stays in a buffer, of which the part shows a view. The buffer is for the part that was lengthened
// last; another part starts a new one. Comparing them costs nothing: they are the same memory then.
func (t *transcript) lengthen(part *agent.Part, text string) {
	// Another part, or one whose text was set since: its text is copied once.
	if part.Text != t.tail.String() {
		t.tail = new(strings.Builder)
		t.tail.WriteString(part.Text)
	}
	t.tail.WriteString(text)
	part.Text = t.tail.String()
}

// assistant is the message to which the model's text and calls are added: the last message if it is the model's, else a new
// one.
func (t *transcript) assistant() *agent.Message {
	if n := len(t.messages); n > 0 && t.messages[n-1].Role == agent.Assistant {
		return &t.messages[n-1]
	}
	t.messages = append(t.messages, agent.Message{Role: agent.Assistant})
	return &t.messages[len(t.messages)-1]
}

// echo implements agent.Request.Echo: of a call of a custom tool, the client gets the text.
func (s *toolSet) echo(c *agent.ToolCall) json.RawMessage {
	form, given := s.clientCall(c)
	if form.kind != customCallItem {
		return c.Arguments
	}
	return openai.CustomArguments(string(given))
}

// functionCall, customCall and toolSearchCall add a call, in the form of its type.
func (t *transcript) functionCall(it *Item) error {
	return t.call(it, it.wire.Name, openai.Arguments(textOf(it.wire.Arguments)))
}

func (t *transcript) customCall(it *Item) error {
	return t.call(it, it.wire.Name, openai.CustomArguments(textOf(it.wire.Input)))
}

func (t *transcript) toolSearchCall(it *Item) error {
	if it.wire.CallID == "" {
		// Its output has the tools, see toolSearchOutput.
		return nil // a search that OpenAI carried out on its side
	}
	return t.call(it, searchToolName, openai.Arguments(textOf(it.wire.Arguments)))
}

// call adds a call to the model's message. Its name is the one that the model knows. A call without a name is an error; one
// without an id is passed on as text, because no result can belong to it.
func (t *transcript) call(it *Item, name string, arguments json.RawMessage) error {
	if it.wire.CallID == "" {
		t.asText(it) // nothing can answer it
		return nil
	}
	if name == "" {
		return openai.Missing(it.param + ".name")
	}
	// Noted before the results, which come later in every history that makes sense.
	t.calls[it.wire.CallID] = true
	m := t.assistant()
	m.Calls = append(m.Calls, agent.ToolCall{
		// The name may have a namespace, which the model sees as a part of the name.
		ID: it.wire.CallID, Name: t.tools.modelName(clientName{it.wire.Namespace, name}), Arguments: arguments,
	})
	return nil
}

// output adds the result of a call: function_call_output and custom_tool_call_output. It may hold images.
func (t *transcript) output(it *Item) error {
	parts, err := it.wire.Output.parts(it.param + ".output")
	if err != nil {
		return err
	}
	return t.result(it, parts)
}

// toolSearchOutput adds the tools that were found, which the model may call from here on, and
// tells it their names. A search that OpenAI carried out has no call that could be answered,
// but the tools that it found are the model's all the same.
func (t *transcript) toolSearchOutput(it *Item) error {
	// Tools that were known before are not added again, so what is behind this is new.
	before := len(t.tools.list)
	if err := t.tools.addAll(it.wire.Tools, it.param+".tools"); err != nil {
		return err
	}
	if it.wire.CallID == "" {
		return nil
	}
	text := "No tools were found."
	if found := t.tools.list[before:]; len(found) > 0 {
		var list strings.Builder
		list.WriteString("These tools can be called now:")
		for _, tool := range found {
			list.WriteString("\n" + tool.Name)
		}
		text = list.String()
	} else if len(it.wire.Tools) > 0 {
		text = "The tools that were found can be called already."
	}
	return t.result(it, []agent.Part{{Text: text}})
}

// result adds the result of a call. The history may lack the call: a compaction has replaced it, the client has shortened the
// history, the call is of a type that is passed on as text, or the output has no call_id (Codex keeps such outputs). Then the
// result is passed on as text. It is never an error, because the client would send the same history again.
//
// A client marks a failed call by its status; the API has no other place for that.
func (t *transcript) result(it *Item, parts []agent.Part) error {
	id := it.wire.CallID
	if id == "" || !t.calls[id] {
		intro := agent.Part{Text: orphanIntro(id)}
		t.messages = append(t.messages, agent.Message{Role: agent.User, Parts: append([]agent.Part{intro}, parts...)})
		return nil
	}
	failed := it.wire.Status == "incomplete" || it.wire.Status == "failed"
	t.messages = append(t.messages, agent.Message{Role: agent.ToolRole, CallID: id, Parts: parts, IsError: failed})
	return nil
}

// orphanIntro is the line above the result of a call that is not in the history.
func orphanIntro(id string) string {
	if id == "" {
		return "The result of a tool call that was made before:\n"
	}
	return "The result of a tool call that was made before (" + openai.Clip(id) + "):\n"
}

// additionalTools adds tools that the client has added in the middle of the conversation.
func (t *transcript) additionalTools(it *Item) error {
	return t.tools.addAll(it.wire.Tools, it.param+".tools")
}

// maxForeignText bounds how much one item of an unknown type may add to the prompt, in bytes: some hold whole files or images.
const maxForeignText = 32 << 10

// asText passes on an item of an unknown type, such as a web search of OpenAI's, as the text of its JSON.
//
// It stands where the item stood, as words of the model or, for results, of the user.
func (t *transcript) asText(it *Item) {
	t.unknown = append(t.unknown, it.wire.Type)
	text := it.text()
	if len(text) > maxForeignText {
		// The cut may lie within a character.
		text = strings.ToValidUTF8(text[:maxForeignText], "") + "…"
	}
	parts := []agent.Part{{Text: text}}
	if isResult(it.wire.Type) {
		t.messages = append(t.messages, agent.Message{Role: agent.User, Parts: parts})
		return
	}
	t.say(parts)
}

// isResult reports whether items of the type come from the client: shell_call_output, mcp_approval_response.
func isResult(kind string) bool {
	return strings.HasSuffix(kind, "_output") || strings.HasSuffix(kind, "_response")
}
