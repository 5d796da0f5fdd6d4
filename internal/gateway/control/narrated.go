package control

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/markup"
	"composer-api/internal/schema"
)

// Some models tell of a call instead of making it: {"name": "read", "arguments": {…}} in a code fence, read(path: a),
// <tool_call>…</tool_call>. Where a call must come, such an answer is one without a call. Where the model may choose, the
// operator can have it asked to make the call, because nothing is certain there: the user may have asked what a call looks
// like.

// narration watches the text of a turn for a call that is told of. Its zero value watches nothing.
//
//	on, deciding    nothing but a call has come so far: all text waits
//	on              the text began with words: it passes, and is kept for a look at the turn's end
//	neither         it is not watched, or has become too long
type narration struct {
	// on says that the turn is watched.
	on bool
	// deciding says that all text so far may be the beginning of such a call, and is held back.
	deciding bool
	text     []byte // all of it, up to maxNarration
}

// maxNarration is how much text may be held back and looked at, in bytes.
const maxNarration = 64 << 10

// watchNarration begins to watch, if the operator wants it and the model may choose. Where a
// call must come or JSON is asked for, the end of the turn is checked anyway (done). A turn is
// repaired for this reason once.
func (r *Run) watchNarration() {
	req := r.turn.req
	on := r.layer.cfg.RepairNarrated && len(req.Offered()) > 0 && req.ToolChoice.Mode == agent.ToolsAuto &&
		!r.turn.mustBeJSON() && !r.turn.repaired(agent.RepairToolChoice)
	r.narration = narration{on: on, deciding: on}
}

// watch takes a piece of text, and returns what is not held back.
func (n *narration) watch(text []byte, tools []agent.Tool) []byte {
	if !n.on {
		return text
	}
	n.text = append(n.text, text...)
	tooLong := len(n.text) > maxNarration
	n.on = !tooLong
	if !n.deciding {
		return text
	}
	if n.deciding = !tooLong && mayBeCall(string(n.text), tools); n.deciding {
		return nil
	}
	return slices.Clone(n.text) // all that was held back
}

// mayBeCall reports whether a text may be the beginning of a call. It errs on the side of true:
// that only delays text until more of it has come.
func mayBeCall(text string, tools []agent.Tool) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	if text == "" || strings.ContainsRune("{[`<", rune(text[0])) {
		return true
	}
	for i := range tools {
		name := tools[i].Name
		rest, whole := strings.CutPrefix(text, name)
		if strings.HasPrefix(name, text) || whole && (rest == "" || strings.ContainsRune("([ \n", rune(rest[0]))) {
			return true
		}
	}
	return false
}

// tag is what some models write around a call.
var tag = regexp.MustCompile(`(?s)<(?:tool_call|function_call|tool_use)>(.*?)</(?:tool_call|function_call|tool_use)>`)

// narratedCall finds a call in a text that plainly is one of a tool: the whole text or a block of it, with arguments that
// fit the tool's schema.
//
// That the arguments have to fit the tool's schema is what keeps an explanation, such as an
// example with made-up members, from being taken for a call.
func narratedCall(text string, tools []agent.Tool) (name string, ok bool) {
	bodies := []string{strings.TrimSpace(text)}
	for _, m := range tag.FindAllStringSubmatch(text, maxValues) {
		bodies = append(bodies, strings.TrimSpace(m[1]))
	}
	bodies = append(bodies, blocks(text)...)
	bodies = append(bodies, bare(text)...)
	for _, body := range bodies {
		if !strings.ContainsAny(body, "({[") {
			continue // a word alone says too little
		}
		name, arguments, isCall := markup.ParseCall([]byte(body), tools)
		if isCall && fits(name, arguments, tools) {
			return name, true
		}
	}
	return "", false
}

// fits reports whether arguments fit the schema of the tool, if it has one that can be used. A
// schema that can't be compiled counts as fitting: the client's tool will say what is wrong.
func fits(name string, arguments []byte, tools []agent.Tool) bool {
	i := slices.IndexFunc(tools, func(t agent.Tool) bool { return t.Name == name })
	if i < 0 || tools[i].Parameters == nil {
		return i >= 0
	}
	s, err := schema.Compile(tools[i].Parameters, false)
	return err != nil || s.Check(arguments) == nil
}

// makeTheCall tells the model to make the call that it has told of.
func makeTheCall(name string) string {
	return fmt.Sprintf("You have written a call of the tool %q as text, so nothing has happened. Make the call itself now, and don't write it as text.", name)
}
