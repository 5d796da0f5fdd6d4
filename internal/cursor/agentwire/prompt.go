package agentwire

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/sections"
)

// A prompt is the text and the images of a run's user message. The text may be megabytes, so it is
// written once, with room in front for what the encoded message puts before it; see userAction.
type prompt struct {
	buf []byte // headroom, then the text, which is UTF-8
	// images are in the order in which the text refers to them.
	images []*agent.Image
}

// headroom is how many bytes are left free before the text: more than its tags and lengths take.
const headroom = 64

// text is the text without the room before it. It shares the prompt's memory.
func (p *prompt) text() []byte { return p.buf[headroom:] }

// render turns a request into the one user message that opens a run.
//
// A new conversation of nothing but user messages without names is passed on as it is. Everything else is written in
// sections, in this order:
//
//	<system_instructions>   the client's system text and what the request asks of the answer
//	<conversation_so_far>   the messages before, with their tool calls and results
//	<user_message>          what is asked now
//
// The system text is first because it never changes, and upstream's cache works from the beginning of
// the prompt. A continued conversation has its history upstream already, so only the new messages count.
//
// Texts of the client are escaped by package sections: nothing in them can be taken for one of these tags.
func render(req *agent.Request) prompt {
	messages := req.Messages
	if req.Continue != nil {
		messages = messages[req.New:]
	}
	w := &promptWriter{}
	w.Grow(headroom + promptSize(messages))
	// Zeros, which userAction overwrites with the tags and lengths when the sizes are known.
	w.Own(string(make([]byte, headroom)))
	// What comes after the model's last word is what is asked now; what comes before it is history.
	asked := agent.FirstNew(messages)
	said := messages
	if req.NativeSystem {
		said = nil // upstream gets it in its own place
	}
	// The order of these three is that of the prompt.
	w.system(said, req)
	w.history(messages[:asked])
	w.ask(messages[asked:])
	p := prompt{buf: w.Bytes(), images: w.images}
	// Protobuf refuses a text that isn't UTF-8. Nearly all prompts are, and are not copied.
	if !utf8.Valid(p.text()) {
		p.buf = append(p.buf[:headroom:headroom], bytes.ToValidUTF8(p.text(), []byte(replacement))...)
	}
	return p
}

// Prompt is the one user message that opens the run for req, for upstreams that have no place for
// anything else: its text, and its images in the order in which the text numbers them.
func Prompt(req *agent.Request) (text string, images []*agent.Image) {
	p := render(req)
	return string(p.text()), p.images
}

// promptSize estimates how long the prompt gets, in bytes, so that its buffer seldom has to grow.
func promptSize(messages []agent.Message) int {
	size := 256
	for i := range messages {
		size += 64
		for _, p := range messages[i].Parts {
			size += len(p.Text)
		}
		for _, c := range messages[i].Calls {
			size += 64 + len(c.Arguments)
		}
	}
	return size
}

// A promptWriter writes the sections of a prompt. Images are numbered where they stood in the
// text and are sent beside it. It is for one prompt and one goroutine.
type promptWriter struct {
	sections.Writer
	images   []*agent.Image
	tagged   bool              // something other than the plain message was written
	called   map[string]string // names of the tools called so far, by call id
	answered map[string]bool   // ids of the calls that have a result
}

// system writes the system text of the conversation, wherever it stands, and what the request
// asks of the answer. With NativeSystem messages is empty, and only what the request asks of
// the answer is written here.
func (w *promptWriter) system(messages []agent.Message, req *agent.Request) {
	open := func() {
		if !w.tagged {
			w.Own("<system_instructions>\n")
			w.tagged = true
		}
	}
	for i := range messages {
		// In the order in which they stand in the conversation, although the messages between them
		// come later.
		if messages[i].Role == agent.System && len(messages[i].Parts) > 0 {
			open()
			w.Text(messages[i].NamePrefix())
			w.parts(messages[i].Parts)
			w.Text("\n")
		}
	}
	for _, line := range controls(req) {
		open()
		w.Own(line, "\n")
	}
	if f := req.Format; f.Kind == agent.JSONSchema {
		open()
		w.schema(&f)
	}
	if w.tagged {
		w.Own("</system_instructions>\n\n")
	}
}

// schema writes that the answer must fit the client's schema.
func (w *promptWriter) schema(f *agent.Format) {
	w.Own("Your answer must be one JSON value that fits the JSON Schema below and nothing else: no code fence, no words around it.")
	if f.Description != "" {
		w.Own(" What it is for: ")
		w.Text(f.Description)
	}
	w.Own("\n<json_schema>\n")
	w.JSON(f.Schema)
	w.Own("\n</json_schema>\n")
}

// history writes the messages before what is asked now. System messages are not among them:
// they are in the first section. Results are looked through first, because a call has to be
// marked as unanswered where it stands.
func (w *promptWriter) history(messages []agent.Message) {
	if !w.hasHistory(messages) {
		return
	}
	w.tagged = true
	w.answered = map[string]bool{}
	for i := range messages {
		if messages[i].Role == agent.ToolRole {
			w.answered[messages[i].CallID] = true
		}
	}
	w.Own("<conversation_so_far>\n")
	for i := range messages {
		switch m := &messages[i]; m.Role {
		case agent.User:
			w.element("user_message", m)
		case agent.Assistant:
			w.assistant(m)
		case agent.ToolRole:
			w.result(m)
		}
	}
	w.Own("</conversation_so_far>\n\n")
}

// hasHistory reports whether there is anything but system messages.
func (w *promptWriter) hasHistory(messages []agent.Message) bool {
	for i := range messages {
		if messages[i].Role != agent.System {
			return true
		}
	}
	return false
}

// element writes one message between tags. Where several people or agents share a conversation, their client names who speaks,
// and the model has to be told:
//
//	<user_message name="Ada">
//	What does go.mod say?
//	</user_message>
func (w *promptWriter) element(tag string, m *agent.Message) {
	w.Own("<", tag)
	if m.Name != "" {
		w.Own(" name=", sections.Attribute(m.Name))
	}
	w.Own(">\n")
	w.parts(m.Parts)
	w.Own("\n</", tag, ">\n")
}

// assistant writes a message of the model: its text, and then each of its calls. The arguments are JSON
// as the client sent it, so that a tag in them is escaped as JSON would be. A call without a result says
// so, or the model would wait for it.
//
//	<tool_call tool="read" id="call_1">
//	{"path":"go.mod"}
//	</tool_call>
func (w *promptWriter) assistant(m *agent.Message) {
	if len(m.Parts) > 0 {
		w.element("assistant_message", m)
	}
	for _, c := range m.Calls {
		if w.called == nil {
			w.called = map[string]string{}
		}
		// A result names its call by the id alone; the tag of a result has the tool's name, too.
		w.called[c.ID] = c.Name
		w.Own("<tool_call tool=", sections.Attribute(c.Name), " id=", sections.Attribute(c.ID))
		if !w.answered[c.ID] {
			w.Own(` status="unanswered"`)
		}
		w.Own(">\n")
		w.JSON(c.Arguments)
		w.Own("\n</tool_call>\n")
	}
}

// result writes what a tool returned. Its status tells the model that the call is done and need not be
// made again.
func (w *promptWriter) result(m *agent.Message) {
	status := "completed"
	if m.IsError {
		status = "failed"
	}
	w.Own("<tool_result tool=", sections.Attribute(w.called[m.CallID]), " id=", sections.Attribute(m.CallID), " status=", sections.Attribute(status), ">\n")
	w.parts(m.Parts)
	w.Own("\n</tool_result>\n")
}

// ask writes what is asked now. Tags set it off from history or system text, if there are any. Several messages are one, unless
// they say who speaks: then each has tags of its own. Messages of other roles among them are in the history already.
func (w *promptWriter) ask(messages []agent.Message) {
	// A clone: the messages belong to the request.
	messages = slices.DeleteFunc(slices.Clone(messages), func(m agent.Message) bool { return m.Role != agent.User })
	if len(messages) == 0 {
		w.Own(continueText)
		return
	}
	if slices.ContainsFunc(messages, func(m agent.Message) bool { return m.Name != "" }) {
		w.tagged = true
		for i := range messages {
			w.element("user_message", &messages[i])
		}
		return
	}
	if w.tagged {
		w.Own("<user_message>\n")
	}
	for i := range messages {
		if i > 0 {
			w.Text("\n\n")
		}
		w.parts(messages[i].Parts)
	}
	if w.tagged {
		w.Own("\n</user_message>\n")
	}
}

// continueText is what is asked when the user has nothing new to say: the conversation ends in tool
// results or in an answer of the model.
const continueText = "Carry on from where the conversation stops. Tool calls with a result are done: use their results and don't make the same calls again.\n"

// parts writes text, and a mark where an image stood. The images of a plain message need no marks.
func (w *promptWriter) parts(parts []agent.Part) {
	for _, p := range parts {
		if p.Image == nil {
			w.Text(p.Text)
			continue
		}
		w.images = append(w.images, p.Image)
		if w.tagged {
			w.Own(sections.ImageMark(len(w.images)))
		}
	}
}

// controls are the lines that tell the model what the request asks of its answer. The protocol has no
// fields for tool_choice, parallel_tool_calls and response_format, so the model has to be asked.
//
// Package control checks afterwards whether the model has kept to them.
func controls(req *agent.Request) []string {
	var lines []string
	offered := req.Offered()
	switch {
	case len(offered) == 0:
		// Tools were sent, and tool_choice is "none": the model may know them from the history.
		if len(req.Tools) > 0 {
			lines = append(lines, "Do not call any tool. Answer in text.")
		}
	case req.ToolChoice.Mode == agent.ToolsRequired && len(offered) == 1:
		lines = append(lines, "You must call the tool "+sections.Attribute(offered[0].Name)+" before you answer.")
	case req.ToolChoice.Mode == agent.ToolsRequired:
		lines = append(lines, "You must call at least one tool before you answer.")
	}
	if len(offered) > 0 && req.SerialToolCalls {
		lines = append(lines, "Call one tool at a time: wait for its result before you call the next.")
	}
	if req.Format.Kind == agent.JSONObject {
		lines = append(lines, "Your answer must be one JSON object and nothing else: no code fence, no words around it.")
	}
	return lines
}
