package markup

import (
	"encoding/json"
	"strings"
)

// parseExpression reads NAME(arg: value, arg=value), the same in brackets, NAME({…}), and NAME on its own. What doesn't
// begin with a name is no call, and neither is a word that stands on no line of its own and names no tool: it may be the
// "and" between two markers that a text is about.
//
//	read(path: go.mod, limit: 5)
//	read[path="a, b.txt"]
//	read({"path": "go.mod"})
//
// A body in none of these forms that still begins with a tool's name is refused and not shown:
// the model meant to call it.
func parseExpression(s string, tools *toolbox) (call, *Refusal, bool) {
	name, inner, bare, ok := cutExpression(s)
	if !isWord(name) {
		return call{}, nil, false
	}
	tool, refusal := tools.named(name, quote(inner))
	switch {
	// A single word that names no tool: part of a text about markers.
	case refusal != nil && bare && !strings.Contains(s, "\n"):
		return call{}, nil, false
	case refusal != nil:
		if arguments, ok := objectOf(json.RawMessage(strings.TrimSpace(inner))); ok {
			refusal.Arguments = arguments
		}
		return call{name: name}, refusal, true
	case !ok:
		return call{name: name}, refuse(name, quote(inner), whyUnreadable), true
	}
	inner = strings.TrimSpace(inner)
	// One JSON object is all of the arguments. If it isn't valid, the names below may still be found.
	if strings.HasPrefix(inner, "{") {
		if arguments, ok := objectOf(json.RawMessage(inner)); ok {
			return call{name, tool, arguments}, nil, true
		}
	}
	args := tools.arguments(tool)
	// Each round takes one argument off, so it ends.
	for rest := inner; rest != ""; {
		argument, value, found := cutName(rest)
		if !found || !args.isName(argument) {
			return call{name: name}, refuse(name, quote(inner), whyUnreadable), true
		}
		rest = args.cutValue(argument, value)
	}
	return call{name, tool, args.object()}, nil, true
}

// cutExpression parts the name from what stands in parentheses or brackets behind it. bare says that nothing does. ok is
// false when they are not closed.
func cutExpression(s string) (name, inner string, bare, ok bool) {
	s = strings.TrimSpace(s)
	i := strings.IndexAny(s, "([")
	if i < 0 {
		return s, "", true, true
	}
	closing := ")"
	if s[i] == '[' {
		closing = "]"
	}
	inner, ok = strings.CutSuffix(s[i+1:], closing)
	return strings.TrimSpace(s[:i]), inner, false, ok
}

// cutName cuts "name:" or "name=" off the beginning of s.
func cutName(s string) (name, rest string, ok bool) {
	i := strings.IndexAny(s, ":=")
	if i < 0 {
		return "", s, false
	}
	return strings.Trim(strings.TrimSpace(s[:i]), `"'`), strings.TrimLeft(s[i+1:], blanks), true
}

// blanks is the white space that may stand between the parts of a call.
const blanks = " \t\r\n"

// cutValue cuts a value, and the comma after it, off the beginning of s, and sets name to it. A value is quoted,
// or JSON, or extends to a comma after which another argument begins; so a comma within a value needs no quotes. The rest
// begins with the next argument, or is "".
func (a *arguments) cutValue(name, s string) (rest string) {
	if n := valueLength(s); n > 0 {
		after, comma := strings.CutPrefix(strings.TrimLeft(s[n:], blanks), ",")
		if comma || after == "" {
			if text, quoted := unquote(s[:n]); quoted {
				a.setJSON(name, quote(text))
			} else {
				a.set(name, s[:n])
			}
			return strings.TrimLeft(after, blanks)
		}
	}
	end := len(s)
	for i := range len(s) {
		if s[i] != ',' {
			continue
		}
		// Only maxName bytes are looked at, so that a long value full of commas takes linear time.
		if next, _, ok := cutName(s[i+1 : min(len(s), i+1+maxName)]); ok && a.begins(next, s[:i]) {
			end, rest = i, strings.TrimLeft(s[i+1:], blanks)
			break
		}
	}
	a.set(name, strings.TrimSpace(s[:end]))
	return rest
}

// begins reports whether next is an argument of its own, and not part of the value before it. A word that the schema
// doesn't know is one only if the value before it is whole in itself: a number, or true, false or null.
func (a *arguments) begins(next, value string) bool {
	return a.isKnown(next) || a.isName(next) && len(value) <= maxName && json.Valid([]byte(value))
}

// valueLength is the length of the JSON object or array or the quoted text at the beginning of s; 0 when there is
// none.
func valueLength(s string) int {
	switch {
	case s == "":
		return 0
	case s[0] == '\'':
		if n := strings.Index(s[1:], "'"); n >= 0 {
			return n + 2
		}
		return 0
	case strings.IndexByte(`"{[`, s[0]) < 0:
		return 0
	}
	d := json.NewDecoder(strings.NewReader(s))
	var value json.RawMessage
	if d.Decode(&value) != nil {
		return 0
	}
	return int(d.InputOffset())
}

// unquote removes the quotes of a quoted text, single or double.
func unquote(s string) (text string, quoted bool) {
	switch s[0] {
	case '"':
		err := json.Unmarshal([]byte(s), &text)
		return text, err == nil
	case '\'':
		return s[1 : len(s)-1], true
	}
	return s, false
}
