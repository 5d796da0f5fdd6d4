package messages

import (
	"encoding/json"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// wireMessage is a message of any role. A system message may stand between the others.
//
//	{"role": "user", "content": "Read go.mod."}
//	{"role": "assistant", "content": [{"type": "text", "text": "I'll look."},
//	  {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "go.mod"}}]}
//	{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "module …"}]}
type wireMessage struct {
	Role string `json:"role"`
	// Content of a plain string is one block of text.
	Content content `json:"content"`
	// ToolCalls are where OpenAI has the calls; they are refused.
	ToolCalls []openai.Sent `json:"tool_calls"`
}

// own is for known.Decode: nothing of a message shares memory with the body or is changed later, unless one of its blocks is shown
// as its own JSON, which is cut out of the body. size is that of the blocks.
func (m *wireMessage) own() (size int, ok bool) {
	for i := range m.Content {
		b := &m.Content[i]
		switch {
		case b.Type == "tool_use" && m.Role == assistantRole:
		case b.Type == "tool_result" && m.Role == "user":
			if slices.ContainsFunc(b.Content, func(b wireBlock) bool { return !isRead[b.Type] }) {
				return 0, false
			}
		case !isRead[b.Type]:
			return 0, false
		}
	}
	return m.Content.size(), true
}

// assistantRole is the role of the model's messages.
const assistantRole = "assistant"

// A conversation collects messages, so that the same conversation gives the same messages whichever surface it comes
// through: each result of a tool is a message of its own. It belongs to one request.
//
// Messages come out in the client's order, but results before what else stands in the same message.
//
//	wireMessage ── add ──┬─ user ──────► results, each a message; then what the user says
//	                     ├─ assistant ─► text and calls
//	                     └─ system ────► text; tools that come and go
type conversation struct {
	data []byte // the request's body, which blocks are cut out of
	// messages grow by add.
	messages  []agent.Message
	announced map[string]bool // ids of all calls so far
	// offered are the names of tools about which the conversation says, in results or to the system, that they can be
	// called from then on (true) or no more (false), and defined those that it defines.
	offered map[string]bool
	defined map[string]wireTool
}

// setMessages converts the conversation, in the client's order, and then the tools, because what was found in the
// conversation decides about some of them.
func (r *Request) setMessages(w *wireRequest) error {
	c := conversation{
		data: w.body, messages: make([]agent.Message, 0, len(w.Messages)+1), announced: map[string]bool{},
		offered: map[string]bool{}, defined: map[string]wireTool{},
	}
	if w.System.wrong() {
		return wrongContent("system")
	}
	if w.System != nil {
		if err := c.system(w.System, "system"); err != nil {
			return err
		}
	}
	for i := range w.Messages {
		if err := c.add(&w.Messages[i], element("messages", i)); err != nil {
			return err
		}
	}
	// Only now: whether an image that can't be used matters depends on which message is the last.
	if err := agent.UnusableImage(c.messages); err != nil {
		return err
	}
	r.Messages = c.messages
	return r.setTools(w.Tools, &c)
}

// add adds one message, which may become several: a user's message with two results and a text becomes three.
//
// Content that can't be read is an error: without it, the model would answer an empty message.
func (c *conversation) add(m *wireMessage, param string) error {
	if m.Content.wrong() {
		return wrongContent(param + ".content")
	}
	switch m.Role {
	case "user":
		return c.user(m.Content, param+".content")
	case assistantRole:
		return c.assistant(m.Content, param+".content")
	case "system":
		return c.system(m.Content, param+".content")
	case "":
		return openai.Missing(param + ".role")
	}
	return openai.OneOf(param+".role", m.Role, "user", assistantRole, "system")
}

// billing begins the first block of Claude Code's system text. What stands behind it differs from one request to the
// next: it is for Anthropic's accounting, and with it no conversation would ever be found again.
const billing = "x-anthropic-billing-header:"

// system adds system text, which may also stand between messages. In it may be blocks that
// offer a tool from here on, or withdraw one. A block of a type that the API doesn't have here
// is an error, because nobody could say what it means for the model.
func (c *conversation) system(blocks content, param string) error {
	var said []agent.Part
	for i := range blocks {
		b := &blocks[i]
		switch {
		case strings.HasPrefix(b.Text, billing):
		case b.Type == "text", b.Type == "" && (b.Text != "" || !b.isObject()):
			said = appendText(said, b.Text)
		case b.Type == "tool_addition", b.Type == "tool_removal":
			if err := c.changeTools(b, element(param, i)+".tool"); err != nil {
				return err
			}
		case b.Type == "":
			return openai.Missing(element(param, i) + ".type")
		default:
			return openai.OneOf(element(param, i)+".type", b.Type, "text", "tool_addition", "tool_removal")
		}
	}
	c.messages = append(c.messages, agent.Message{Role: agent.System, Parts: separate(said)})
	return nil
}

// changeTools notes that a tool can be called from here on, or no more. It may be one of the request's, or be defined
// here. Tools of an MCP server, which Anthropic's would call, are left out as everywhere.
//
//	{"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"name": "read", "input_schema": {…}}}}
//	{"type": "tool_addition", "tool": {"type": "tool_reference", "name": "read"}}
//	{"type": "tool_removal", "tool": {"type": "tool_reference", "name": "read"}}
//
// The changes are collected for the whole request: the model is offered what the conversation's
// end says, since a request has one list of tools.
func (c *conversation) changeTools(b *wireBlock, param string) error {
	var change struct {
		Type       string   `json:"type"`
		Name       string   `json:"name"`
		Definition wireTool `json:"definition"`
	}
	if b.Tool == nil {
		return openai.Missing(param)
	}
	// The block is raw until here, because tools that come and go are rare.
	if err := openai.Decode(b.Tool, &change); err != nil {
		e := agent.AsError(err)
		return agent.ParamError(e.Code, param, "'%s' is not what it should be: %s", param, e.UserMessage())
	}
	switch change.Type {
	case "tool_definition":
		tool := change.Definition
		c.defined[tool.Name] = tool
		c.offered[tool.Name] = true
	case "tool_reference":
		c.offered[change.Name] = b.Type == "tool_addition"
	}
	return nil
}

// user adds a message of the user, and the results of calls in it. Results go first, where the model expects them, wherever the
// client has put them.
//
// A message of nothing but results adds no message of the user. One without anything does.
func (c *conversation) user(blocks content, param string) error {
	// said collects what is no result.
	said := agent.Message{Role: agent.User}
	results := false
	for i := range blocks {
		b, at := &blocks[i], element(param, i)
		var err error
		if b.Type == "tool_result" {
			results = true
			said.Parts, err = c.result(said.Parts, b, at)
		} else {
			said.Parts, err = c.block(said.Parts, b, at)
		}
		if err != nil {
			return err
		}
	}
	if len(said.Parts) > 0 || !results {
		said.Parts = separate(said.Parts)
		c.messages = append(c.messages, said)
	}
	return nil
}

// result adds the result of a call. The history may lack the call, because the client has shortened it: then the
// result is something that the user says, and is appended to said. It is never an error, because the client would send
// the same history again.
func (c *conversation) result(said []agent.Part, b *wireBlock, param string) ([]agent.Part, error) {
	if b.ToolUseID == "" {
		return nil, openai.Missing(param + ".tool_use_id")
	}
	if b.Content.wrong() { // the model would be told that the tool gave nothing
		return nil, wrongContent(param + ".content")
	}
	parts, err := c.parts(nil, b.Content, param+".content")
	switch {
	case err != nil:
		return nil, err
	case !c.announced[b.ToolUseID]:
		said = append(said, agent.Part{Text: "The result of a tool call that was made before:\n"})
		return append(said, parts...), nil
	}
	c.messages = append(c.messages, agent.Message{Role: agent.ToolRole, CallID: b.ToolUseID, Parts: parts, IsError: b.IsError})
	return said, nil
}

// assistant adds a message of the model: its text and its calls. Its thinking is left out.
func (c *conversation) assistant(blocks content, param string) error {
	m := agent.Message{Role: agent.Assistant}
	for i := range blocks {
		b, at := &blocks[i], element(param, i)
		var err error
		switch b.Type {
		case "tool_use":
			err = c.call(&m, b, at)
		case "image", "document", "image_url", "input_image":
			err = agent.ParamError(agent.InvalidValue, at+".type", "Images and documents are only allowed in messages of the user and in tool results.")
		default:
			m.Parts, err = c.block(m.Parts, b, at)
		}
		if err != nil {
			return err
		}
	}
	c.messages = append(c.messages, m)
	return nil
}

// call adds a call that the client repeats to m.
//
// An id that is announced twice is no error: clients repeat what they have stored.
func (c *conversation) call(m *agent.Message, b *wireBlock, param string) error {
	switch {
	case b.ID == "":
		return openai.Missing(param + ".id")
	case b.Name == "":
		return openai.Missing(param + ".name")
	}
	c.announced[b.ID] = true
	m.Calls = append(m.Calls, agent.ToolCall{ID: b.ID, Name: b.Name, Arguments: arguments(b.Input)})
	return nil
}

// arguments are the arguments of a call that the client repeats. They should be an object; some clients send them encoded, as a
// text.
func arguments(input jsontext.Value) json.RawMessage {
	switch input.Kind() {
	case 0, 'n':
		return json.RawMessage("{}")
	case '"':
		var text string
		if jsonv2.Unmarshal(input, &text, openai.Liberal) == nil {
			return openai.Arguments(text)
		}
	}
	return json.RawMessage(input)
}
