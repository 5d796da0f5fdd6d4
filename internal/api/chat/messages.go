package chat

import (
	"fmt"
	"strconv"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// The messages of a request: parts, calls and results, and which result answers which call. What is
// refused here is what no model could make sense of; everything else is taken as the client tells it.

// A wireMessage is a message of any role. reasoning_content and annotations that a client sends back are
// not even decoded.
//
//	{"role": "user", "content": "Read go.mod."}
//	{"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "read", "arguments": "{…}"}}]}
//	{"role": "tool", "tool_call_id": "call_1", "content": "module …"}
//
// Members that belong to another role are ignored. With store: true the messages are kept as they are here.
type wireMessage struct {
	// Role decides which of the others count.
	Role    string                      `json:"role"`
	Content openai.StringOr[[]wirePart] `json:"content"`
	Name    string                      `json:"name"`

	// Assistant.
	Refusal      string            `json:"refusal"`
	ToolCalls    []wireCall        `json:"tool_calls"`
	FunctionCall *wireFunctionCall `json:"function_call"`

	ToolCallID string `json:"tool_call_id"` // tool
}

// A wirePart is a part of content, in chat's form or in that of the Responses API. Only what
// goes with Type is looked at.
type wirePart struct {
	Type             string                        `json:"type"`
	Text             string                        `json:"text"`
	Refusal          string                        `json:"refusal"`
	ImageURL         openai.StringOr[wireImageURL] `json:"image_url"`
	File             *openai.FileInput             `json:"file"`
	openai.FileInput                               // of input_file, the Responses API's name for it
}

// A wireImageURL is the address of an image: {"url": "https://…"} or {"url": "data:image/png;base64,…"}. Its detail has no
// effect.
type wireImageURL struct {
	URL string `json:"url"`
}

// A wireCall is a call that the client sends back, of a function or of a custom tool.
type wireCall struct {
	// ID is the one that the call was given with; results name it.
	ID       string            `json:"id"`
	Type     string            `json:"type"`
	Function *wireFunctionCall `json:"function"`
	Custom   *wireCustomCall   `json:"custom"`
}

// A wireCustomCall is a call of a custom tool; its input is free text.
type wireCustomCall struct {
	Name  string `json:"name"`
	Input string `json:"input"`
}

// A wireFunctionCall is a call of a function.
type wireFunctionCall struct {
	Name string `json:"name"`
	// Arguments are JSON in a text, or an object where a client sends one.
	Arguments wireArguments `json:"arguments"`
}

// wireArguments are arguments in a string, or, from clients that decode them and don't encode them again, in an object. They are
// valid JSON; see openai.Arguments for those that aren't. Nil is null or absent.
type wireArguments []byte

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (a *wireArguments) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var sent openai.StringOr[openai.Object]
	err := sent.UnmarshalJSONFrom(d)
	switch *a = nil; sent.Kind {
	case '{':
		*a = wireArguments(sent.Other)
	case '"':
		*a = wireArguments(openai.Arguments(sent.String))
	}
	return err
}

// own is for known.Decode: nothing of a message shares memory with the body or is changed later. size is that of its structures.
func (w *wireMessage) own() (size int, ok bool) {
	return len(w.Content.Other)*int(unsafe.Sizeof(wirePart{})+unsafe.Sizeof(openai.FileInput{})) + len(w.ToolCalls)*callSize, true
}

// callSize is what a call takes besides its text, in bytes.
const callSize = int(unsafe.Sizeof(wireCall{}) + unsafe.Sizeof(wireFunctionCall{}) + unsafe.Sizeof(wireCustomCall{}))

// setMessages converts the conversation, in the client's order. Nothing is merged or left out. The digest
// of the gateway takes care of clients that arrange the same conversation in different ways. Errors name the message's path in the
// body as it was sent, also when it came in the shape of the Responses API.
func (r *Request) setMessages(w *wireRequest) error {
	c := conversation{messages: make([]agent.Message, 0, len(w.Messages)), announced: map[string]bool{},
		open: map[string][]string{}, answered: map[string]bool{}}
	for i := range w.Messages {
		param := "messages[" + strconv.Itoa(i) + "]"
		// The body came in another shape, and errors name the place where the client has put the
		// message.
		if w.params != nil {
			param = w.params[i]
		}
		if err := c.add(&w.Messages[i], param); err != nil {
			return err
		}
	}
	r.Messages = c.messages
	return agent.UnusableImage(r.Messages)
}

// A conversation collects messages and keeps track of the calls in them: a result must follow its call. OpenAI refuses other
// conversations, too, and a model that sees a result without its call makes nothing good of it.
//
// It lives as long as setMessages.
//
//	announced   every id that a call had so far
//	open        name ─► ids without a result, oldest first
//	answered    ids that have one; an id that is announced again leaves it
type conversation struct {
	messages  []agent.Message
	announced map[string]bool // ids of all calls so far
	// open are the calls by name, oldest first, and answered the ids of those that have a result. Only the deprecated
	// role function looks at them: its results name no id. Both are maps, so that the work grows with the number of
	// calls and not with its square.
	open      map[string][]string
	answered  map[string]bool
	functions int // calls without an id
}

// roles maps the roles on the wire to ours, and says whether their content may have images.
var roles = map[string]struct {
	role   agent.Role
	images bool
}{
	"developer": {agent.System, false},
	"system":    {agent.System, false},
	"user":      {agent.User, true},
	"assistant": {agent.Assistant, true}, // pictures that another model has made, where a client has changed models since
	"tool":      {agent.ToolRole, true},
	"function":  {agent.ToolRole, false},
}

// add adds one message. A message is added also when its own error ends the request.
func (c *conversation) add(w *wireMessage, param string) error {
	if w.Role == "" {
		return openai.Missing(param + ".role")
	}
	role, ok := roles[w.Role]
	if !ok {
		return openai.OneOf(param+".role", w.Role, "developer", "system", "user", "assistant", "tool", "function")
	}
	// The name is the client's own, for the model to tell speakers apart.
	m := agent.Message{Role: role.role, Name: w.Name}
	var err error
	if m.Parts, err = parts(&w.Content, role.role, role.images, param+".content"); err != nil {
		return err
	}
	switch w.Role {
	case "assistant":
		err = c.assistant(w, &m, param)
	case "tool":
		m.CallID, err = c.toolResult(w, param)
	case "function":
		m.CallID, err = c.functionResult(w, param)
	}
	c.messages = append(c.messages, m)
	return err
}

// parts converts content, which may be a string, a list, null or absent. Thinking that a client sends back
// is left out, because it was never part of the answer. Parts with the names of the Responses API are
// accepted, too. An image that can't be used is no error here: whether it matters depends on the message that it is in.
//
//	type                                      becomes
//	text, input_text, output_text             text
//	refusal                                   text: what the model said when it declined
//	thinking and its like, of the assistant   nothing
//	image_url, input_image                    an image, where the role may have one
//	file, input_file                          a file, where the role may have one
//	anything else                             an error that names what is possible
//
// The result is nil for no content, which no role forbids.
func parts(content *openai.StringOr[[]wirePart], role agent.Role, images bool, param string) ([]agent.Part, error) {
	var list []agent.Part
	if content.String != "" {
		list = []agent.Part{{Text: content.String}}
	}
	for i := range content.Other {
		p := &content.Other[i]
		at := fmt.Sprintf("%s[%d]", param, i)
		switch {
		case p.Type == "text", p.Type == "input_text", p.Type == "output_text", p.Type == "" && p.Text != "":
			list = appendText(list, p.Text)
		case p.Type == "refusal":
			list = appendText(list, p.Refusal)
		// Nothing is added.
		case role == agent.Assistant && isThinking(p.Type):
		case (p.Type == "image_url" || p.Type == "input_image") && images:
			image, err := image(p, at+".image_url")
			if err != nil {
				return nil, err
			}
			list = append(list, agent.Part{Image: image})
		case p.Type == "file" && images:
			if p.File == nil {
				return nil, openai.Missing(at + ".file")
			}
			list = append(list, p.File.Part(at+".file.file_data"))
		case p.Type == "input_file" && images:
			list = append(list, p.FileInput.Part(at+".file_data"))
		case p.Type == "":
			return nil, openai.Missing(at + ".type")
		default:
			return nil, unsupportedPart(p.Type, images, at+".type")
		}
	}
	return list, nil
}

// isThinking reports whether a part of the assistant's content is thinking.
func isThinking(kind string) bool {
	return kind == "thinking" || kind == "reasoning" || kind == "redacted_thinking"
}

// appendText appends text, if there is any.
func appendText(list []agent.Part, text string) []agent.Part {
	if text == "" {
		return list
	}
	return append(list, agent.Part{Text: text})
}

// image converts an image part. Some clients send its URL without the object around it. Whether
// the address can be used is openai.Image's to find out.
//
// A missing URL is an error of the request; one that can't be used is a Fault of the image.
func image(p *wirePart, param string) (*agent.Image, error) {
	switch {
	case p.ImageURL.IsZero():
		return nil, openai.Missing(param)
	case p.ImageURL.Kind == '"':
		return openai.Image(p.ImageURL.String, param), nil
	}
	return openai.Image(p.ImageURL.Other.URL, param+".url"), nil
}

// unsupportedPart says why a part can't be accepted: because no model here can use it, or because images
// aren't allowed in this message.
func unsupportedPart(typ string, images bool, param string) error {
	switch typ {
	case "input_audio":
		return agent.ParamError(agent.UnsupportedValue, param, "Content parts of type '%s' are not supported. Send text, images or files.", typ)
	case "file", "input_file":
		return agent.ParamError(agent.InvalidValue, param, "Files are only allowed in user, assistant and tool messages.")
	case "image_url":
		return agent.ParamError(agent.InvalidValue, param, "Images are only allowed in user, assistant and tool messages.")
	}
	if images {
		return openai.OneOf(param, typ, "text", "image_url", "file")
	}
	return openai.OneOf(param, typ, "text")
}

// assistant adds what only assistant messages have: calls in either form, and a refusal, which counts only when there is no
// other text.
//
// An id that is announced a second time stands for a new call, which has no result yet.
func (c *conversation) assistant(w *wireMessage, m *agent.Message, param string) error {
	if len(m.Parts) == 0 {
		m.Parts = appendText(m.Parts, w.Refusal)
	}
	for i := range w.ToolCalls {
		call, err := echoedCall(&w.ToolCalls[i], fmt.Sprintf("%s.tool_calls[%d]", param, i))
		if err != nil {
			return err
		}
		// In the client's order, which is the model's.
		m.Calls = append(m.Calls, call)
	}
	if f := w.FunctionCall; f != nil {
		if f.Name == "" {
			return openai.Missing(param + ".function_call.name")
		}
		// Deprecated functions have no ids. Counting gives the same id each time that the client sends the
		// conversation.
		m.Calls = append(m.Calls, agent.ToolCall{ID: fmt.Sprintf("call_function_%d", c.functions), Name: f.Name, Arguments: f.arguments()})
		c.functions++
	}
	for _, call := range m.Calls {
		c.announced[call.ID] = true
		c.open[call.Name] = append(c.open[call.Name], call.ID)
		delete(c.answered, call.ID)
	}
	return nil
}

// echoedCall converts a call that the client sends back. Its type may be missing when the rest shows it. Arguments are taken as
// they are: a model may have written them wrong, and the client still has to be able to send the conversation.
func echoedCall(w *wireCall, param string) (agent.ToolCall, error) {
	call := agent.ToolCall{ID: w.ID}
	if w.ID == "" {
		return call, openai.Missing(param + ".id")
	}
	namePath := param + ".function.name"
	switch {
	// What is there counts more than a type that is missing.
	case w.Custom != nil && w.Type != "function":
		call.Name, call.Arguments = w.Custom.Name, openai.CustomArguments(w.Custom.Input)
		namePath = param + ".custom.name"
	case w.Function != nil && w.Type != "custom":
		call.Name, call.Arguments = w.Function.Name, w.Function.arguments()
	case w.Type == "custom":
		return call, openai.Missing(param + ".custom")
	case w.Type == "function", w.Type == "":
		return call, openai.Missing(param + ".function")
	default:
		return call, openai.OneOf(param+".type", w.Type, "function", "custom")
	}
	if call.Name == "" {
		return call, openai.Missing(namePath)
	}
	return call, nil
}

// arguments are none, {}, when the client has sent none.
func (f *wireFunctionCall) arguments() []byte {
	if f.Arguments == nil {
		return []byte("{}")
	}
	return f.Arguments
}

// toolResult is the id of the call that a tool message answers. A call may be answered more than
// once; the gateway takes the last answer. The message that announced it may be any one before.
func (c *conversation) toolResult(w *wireMessage, param string) (string, error) {
	param += ".tool_call_id"
	switch {
	case w.ToolCallID == "":
		return "", openai.Missing(param)
	case !c.announced[w.ToolCallID]:
		return "", agent.ParamError(agent.InvalidValue, param,
			"'%s' answers a tool call that no assistant message before it announced. Send the assistant message with its 'tool_calls' first.", param)
	}
	c.answered[w.ToolCallID] = true
	return w.ToolCallID, nil
}

// functionResult is the id of the call that a message of the deprecated role "function" answers: the last of
// its name without a result.
func (c *conversation) functionResult(w *wireMessage, param string) (string, error) {
	param += ".name"
	if w.Name == "" {
		return "", openai.Missing(param)
	}
	// Every call is looked at once: it leaves the list, answered or not.
	for calls := c.open[w.Name]; len(calls) > 0; {
		// The last one, because the model's latest call of that name is the one that was run.
		id := calls[len(calls)-1]
		calls = calls[:len(calls)-1]
		c.open[w.Name] = calls
		if !c.answered[id] {
			c.answered[id] = true
			return id, nil
		}
	}
	return "", agent.ParamError(agent.InvalidValue, param, "'%s' answers a function call that no assistant message before it announced.", param)
}
