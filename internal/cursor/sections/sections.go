// Package sections writes a prompt that is one text in several sections, and keeps a client's text inside
// its section.
//
// Upstream takes a whole conversation as one user message. Tags part it: <user_message>, <tool_result>
// and so on. A client's text may contain the same tags. A file that a tool has read could so end its own
// section and go on as the system. A [Writer] is therefore told what is ours and what is the client's, and
// changes the client's tags so that they are none: their "<" becomes "&lt;", or "\u003c" within JSON. All
// other text stays byte for byte, and so do tags that are not ours.
//
// Two backends write prompts with it: agentwire (for localagent, bridge and sdkbridge) and
// chat. Package markup writes calls through it.
package sections

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// names are the names of all tags that the prompts of this program use. Each has an underscore,
// so that ordinary code such as Array<User> or <image> is none of them. A new tag has to be
// added here, or a client's text could forge it. FuzzForgery in agentwire tries to.
var names = []string{
	"system_instructions", "conversation_so_far", "user_message", "assistant_message",
	"tool_call", "tool_result", "json_schema", "attached_image",
}

// A Writer writes a prompt. Its zero value is ready to use. It is for one goroutine.
//
// Text and JSON only note where the client's part begins; it is looked at when something else
// follows (guard), because a tag may be cut in two by the border of two texts.
type Writer struct {
	// Also reports whether text, which begins with "<", begins with a delimiter that the prompt has besides
	// the tags. It must not look beyond the next "<". Nil means that there are none.
	Also func(text []byte) bool

	// b is what was written so far.
	b     bytes.Buffer
	start int    // where the client's text begins that was not looked at yet
	less  string // what "<" becomes in it; "" when there is none
}

// The spellings of "<" in text, and in JSON, where it can only stand in a string.
const (
	lessInText = "&lt;"
	lessInJSON = `\u003c`
)

// Grow makes room for n more bytes.
func (w *Writer) Grow(n int) { w.b.Grow(n) }

// Len is how many bytes were written so far.
func (w *Writer) Len() int { return w.b.Len() }

// Own writes what is ours. It must hold nothing of a client's but what Attribute has quoted.
func (w *Writer) Own(texts ...string) {
	w.guard("")
	for _, text := range texts {
		w.b.WriteString(text)
	}
}

// Text writes a client's text. Texts that follow each other are one: a tag may be cut into several parts of
// a message, or stand in two messages of one section.
func (w *Writer) Text(text string) {
	w.guard(lessInText)
	w.b.WriteString(text)
}

// JSON writes a client's JSON. Like [Writer.Text], it goes on with the JSON before it. The
// value must be valid JSON; in a string, the escape means the same as what it replaces.
func (w *Writer) JSON(value []byte) {
	w.guard(lessInJSON)
	w.b.Write(value)
}

// Bytes returns the prompt. It shares the writer's memory, and nothing may be written after it.
func (w *Writer) Bytes() []byte {
	w.guard("")
	return w.b.Bytes()
}

// guard ends the client's text that was written last, unless what follows is more of the same kind.
func (w *Writer) guard(less string) {
	if w.less == less {
		return
	}
	if w.less != "" {
		w.escape(w.start, w.less)
	}
	w.start, w.less = w.b.Len(), less
}

// escape changes the delimiters in what was written since start. Each "<" is looked at once,
// and no further than to the next one. Most texts have no tag, and are not copied.
func (w *Writer) escape(start int, less string) {
	text := w.b.Bytes()[start:]
	var changed []byte
	done := 0 // what stands before it is in changed
	for at := 0; ; at++ {
		next := bytes.IndexByte(text[at:], '<')
		if next < 0 {
			break
		}
		at += next
		if isTag(text[at:]) || w.Also != nil && w.Also(text[at:]) {
			changed = append(append(changed, text[done:at]...), less...)
			done = at + 1
		}
	}
	if done == 0 {
		return
	}
	changed = append(changed, text[done:]...)
	w.b.Truncate(start)
	w.b.Write(changed)
}

// isTag reports whether text, which begins with "<", begins with a tag of ours: in any case, opening
// or closing, with blanks, line breaks and invisible characters wherever they may be. A model reads
// tags as loosely as this, so the escape must find whatever the model could take for one.
func isTag(text []byte) bool {
	text = SkipBlank(text[1:])
	if len(text) > 0 && text[0] == '/' {
		text = SkipBlank(text[1:])
	}
	return slices.ContainsFunc(names, func(name string) bool { return beginsWith(text, name) })
}

// beginsWith reports whether text begins with a name, and the name ends there.
func beginsWith(text []byte, name string) bool {
	for i := range len(name) {
		if i > 0 {
			text = SkipBlank(text)
		}
		if len(text) == 0 || lower(text[0]) != name[i] {
			return false
		}
		text = text[1:]
	}
	next, _ := utf8.DecodeRune(text)
	return len(text) == 0 || next != '_' && next != '-' && !unicode.IsLetter(next) && !unicode.IsDigit(next)
}

// lower is the small letter for an ASCII letter; other bytes stay.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// SkipBlank is text without the blanks, line breaks and invisible characters that it begins with.
func SkipBlank(text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if !unicode.In(r, unicode.Z, unicode.C) {
			break
		}
		text = text[size:]
	}
	return text
}

// ImageMark is what stands in the place of an image that is sent beside the text as the one of
// a number. Numbers count from 1, in the order in which the images are sent.
func ImageMark(number int) string { return `<attached_image number="` + strconv.Itoa(number) + `"/>` }

// Attribute is a quoted value within a tag of ours. It contains no "<" and no quote that isn't escaped, so
// it can't end the tag.
func Attribute(value string) string {
	return strings.ReplaceAll(strconv.Quote(value), "<", `\x3c`)
}
