package agentwire

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"composer-api/internal/agent"
)

// A prompt is the text and the images of a run's user message. The text may be megabytes, so it is
// written once, with room in front for what the encoded message puts before it; see userAction.
type prompt struct {
	buf    []byte // headroom, then the text, which is UTF-8
	images []*agent.Image
}

// headroom is how many bytes are left free before the text: more than its tags and lengths take.
const headroom = 64

// text is the text without the room before it. It shares the prompt's memory.
func (p *prompt) text() []byte { return p.buf[headroom:] }

// render turns a request into the one user message that opens a run.
//
// A new conversation of nothing but user messages is passed on as it is. Everything else is written in
// sections, in this order:
//
//	<system_instructions>   the client's system text and what the request asks of the answer
//	<conversation_so_far>   the messages before, with their tool calls and results
//	<user_message>          what is asked now
//
// The system text is first because it never changes, and upstream's cache works from the beginning of
// the prompt. A continued conversation has its history upstream already, so only the new messages count.
func render(req *agent.Request) prompt {
	messages := req.Messages
	if req.Continue != nil {
		messages = messages[req.New:]
	}
	w := &promptWriter{}
	w.b.Grow(headroom + promptSize(messages))
	w.b.Write(make([]byte, headroom))
	asked := agent.FirstNew(messages)
	w.system(messages, controls(req))
	w.history(messages[:asked])
	w.ask(messages[asked:])
	p := prompt{buf: w.b.Bytes(), images: w.images}
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

// A promptWriter writes the sections of a prompt. Images are numbered where they stood in the text and
// are sent beside it.
type promptWriter struct {
	b        bytes.Buffer
	images   []*agent.Image
	tags     *regexp.Regexp    // ownTag, made when it is needed
	sections bool              // something other than the plain message was written
	called   map[string]string // names of the tools called so far, by call id
	answered map[string]bool   // ids of the calls that have a result
}

// A tag of ours in a client's text could pass for a section of the prompt: a file that a tool has read
// could speak as the system. ownTag finds such tags, opening and closing, in any case and with any
// spacing, and its group is what follows the "<". The names contain an underscore, so that ordinary code
// such as Array<User> doesn't match.
const ownTag = `(?i)<([\s\pZ\pC]*/?[\s\pZ\pC]*(?:system_instructions|conversation_so_far|user_message|assistant_message|tool_call|tool_result|json_schema)(?:[^\w-]|$))`

// escapeTags rewrites the tags of ours in what was written since start: their "<" becomes less. All other
// text stays byte for byte. It looks at whole sections, because a tag may be cut into several parts of a
// message.
func (w *promptWriter) escapeTags(start int, less string) {
	text := w.b.Bytes()[start:]
	if bytes.IndexByte(text, '<') < 0 {
		return
	}
	if w.tags == nil {
		w.tags = regexp.MustCompile(ownTag)
	}
	if !w.tags.Match(text) {
		return
	}
	// A name inside a match may begin the next one, as in "<tool_call<tool_call>": the rest is looked at again.
	var safe []byte
	for {
		at := w.tags.FindIndex(text)
		if at == nil {
			break
		}
		safe = append(append(safe, text[:at[0]]...), less...)
		text = text[at[0]+1:]
	}
	safe = append(safe, text...)
	w.b.Truncate(start)
	w.b.Write(safe)
}

// The spellings of "<" in text and inside a JSON string.
const (
	lessInText = "&lt;"
	lessInJSON = `\u003c`
)

// attribute is a quoted value inside a tag. It holds no "<" and no unescaped quote, so it can't end the
// tag.
func attribute(value string) string { return strings.ReplaceAll(strconv.Quote(value), "<", `\x3c`) }

// system writes the system text of the conversation, wherever it stands, and what the request asks of
// the answer. Our own lines come after the client's and are not escaped.
func (w *promptWriter) system(messages []agent.Message, controls []string) {
	open := func() {
		if !w.sections {
			w.b.WriteString("<system_instructions>\n")
			w.sections = true
		}
	}
	start := 0 // of the client's text
	for i := range messages {
		if messages[i].Role == agent.System && len(messages[i].Parts) > 0 {
			open()
			if start == 0 {
				start = w.b.Len()
			}
			w.parts(messages[i].Parts)
			w.b.WriteByte('\n')
		}
	}
	if start > 0 {
		w.escapeTags(start, lessInText)
	}
	for _, line := range controls {
		open()
		w.b.WriteString(line)
		w.b.WriteByte('\n')
	}
	if w.sections {
		w.b.WriteString("</system_instructions>\n\n")
	}
}

// history writes the messages before what is asked now. System messages are not among them: they are in
// the first section.
func (w *promptWriter) history(messages []agent.Message) {
	if !w.hasHistory(messages) {
		return
	}
	w.sections = true
	w.answered = map[string]bool{}
	for i := range messages {
		if messages[i].Role == agent.ToolRole {
			w.answered[messages[i].CallID] = true
		}
	}
	w.b.WriteString("<conversation_so_far>\n")
	for i := range messages {
		switch m := &messages[i]; m.Role {
		case agent.User:
			w.element("user_message", m.Parts)
		case agent.Assistant:
			w.assistant(m)
		case agent.ToolRole:
			w.result(m)
		}
	}
	w.b.WriteString("</conversation_so_far>\n\n")
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

// element writes one message between tags:
//
//	<user_message>
//	What does go.mod say?
//	</user_message>
func (w *promptWriter) element(name string, parts []agent.Part) {
	w.b.WriteString("<" + name + ">\n")
	start := w.b.Len()
	w.parts(parts)
	w.escapeTags(start, lessInText)
	w.b.WriteString("\n</" + name + ">\n")
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
		w.element("assistant_message", m.Parts)
	}
	for _, c := range m.Calls {
		if w.called == nil {
			w.called = map[string]string{}
		}
		w.called[c.ID] = c.Name
		w.b.WriteString("<tool_call tool=" + attribute(c.Name) + " id=" + attribute(c.ID))
		if !w.answered[c.ID] {
			w.b.WriteString(` status="unanswered"`)
		}
		w.b.WriteString(">\n")
		start := w.b.Len()
		w.b.Write(c.Arguments)
		w.escapeTags(start, lessInJSON)
		w.b.WriteString("\n</tool_call>\n")
	}
}

// result writes what a tool returned. Its status tells the model that the call is done and need not be
// made again.
func (w *promptWriter) result(m *agent.Message) {
	status := "completed"
	if m.IsError {
		status = "failed"
	}
	w.b.WriteString("<tool_result tool=" + attribute(w.called[m.CallID]) + " id=" + attribute(m.CallID) + " status=" + strconv.Quote(status) + ">\n")
	start := w.b.Len()
	w.parts(m.Parts)
	w.escapeTags(start, lessInText)
	w.b.WriteString("\n</tool_result>\n")
}

// ask writes what is asked now. Tags set it off from history or system text, if there are any. Messages
// of other roles among them are in the history already.
func (w *promptWriter) ask(messages []agent.Message) {
	messages = slices.DeleteFunc(slices.Clone(messages), func(m agent.Message) bool { return m.Role != agent.User })
	if len(messages) == 0 {
		w.b.WriteString(continueText)
		return
	}
	if w.sections {
		w.b.WriteString("<user_message>\n")
	}
	start := w.b.Len()
	for i := range messages {
		if i > 0 {
			w.b.WriteString("\n\n")
		}
		w.parts(messages[i].Parts)
	}
	w.escapeTags(start, lessInText)
	if w.sections {
		w.b.WriteString("\n</user_message>\n")
	}
}

// continueText is what is asked when the user has nothing new to say: the conversation ends in tool
// results or in an answer of the model.
const continueText = "Carry on from where the conversation stops. Tool calls with a result are done: use their results and don't make the same calls again.\n"

// parts writes text, and a mark where an image stood ("[image 1]"). The images of a plain message need no
// marks.
func (w *promptWriter) parts(parts []agent.Part) {
	for _, p := range parts {
		if p.Image == nil {
			w.b.WriteString(p.Text)
			continue
		}
		w.images = append(w.images, p.Image)
		if w.sections {
			fmt.Fprintf(&w.b, "[image %d]", len(w.images))
		}
	}
}

// controls are the lines that tell the model what the request asks of its answer. The protocol has no
// fields for tool_choice, parallel_tool_calls and response_format, so the model has to be asked.
func controls(req *agent.Request) []string {
	var lines []string
	offered := req.Offered()
	switch {
	case len(offered) == 0:
		if len(req.Tools) > 0 {
			lines = append(lines, "Do not call any tool. Answer in text.")
		}
	case req.ToolChoice.Mode == agent.ToolsRequired && len(offered) == 1:
		lines = append(lines, fmt.Sprintf("You must call the tool %q before you answer.", offered[0].Name))
	case req.ToolChoice.Mode == agent.ToolsRequired:
		lines = append(lines, "You must call at least one tool before you answer.")
	}
	if len(offered) > 0 && req.SerialToolCalls {
		lines = append(lines, "Call one tool at a time: wait for its result before you call the next.")
	}
	switch f := req.Format; f.Kind {
	case agent.JSONObject:
		lines = append(lines, "Your answer must be one JSON object and nothing else: no code fence, no words around it.")
	case agent.JSONSchema:
		line := "Your answer must be one JSON value that fits the JSON Schema below and nothing else: no code fence, no words around it."
		if f.Description != "" {
			line += " What it is for: " + f.Description
		}
		lines = append(lines, line, "<json_schema>", string(f.Schema), "</json_schema>")
	}
	return lines
}
