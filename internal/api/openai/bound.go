package openai

import "composer-api/internal/agent"

// MaxValues bounds how many objects, arrays and list elements one request may hold. A long conversation with many tools
// holds some ten thousand. Without a bound a body of a few megabytes of "{}" would take a gigabyte once decoded.
const MaxValues = 250_000

// checkValues counts before anything is decoded.
func checkValues(body []byte) error {
	var v Values
	return v.Add(body)
}

// Values counts the objects, arrays and list elements of a document that comes in pieces. It allocates nothing but for
// deep nesting, and it needn't judge whether the document is valid JSON: the decoder does. The zero value is ready.
type Values struct {
	count   int
	open    []byte // the brackets around the place that is looked at
	quoted  bool   // within a string
	escaped bool   // behind a backslash in a string
}

// Add counts what is in the next piece. It fails with an *agent.Error once the document holds more than MaxValues.
func (v *Values) Add(piece []byte) error {
	for i := 0; i < len(piece); i++ {
		if v.quoted {
			i = v.endOfString(piece, i)
			continue
		}
		switch c := piece[i]; c {
		case '"':
			v.quoted = true
			continue
		case '{', '[':
			v.open = append(v.open, c)
			v.count++
		case '}', ']':
			if len(v.open) > 0 {
				v.open = v.open[:len(v.open)-1]
			}
		case ',':
			if len(v.open) > 0 && v.open[len(v.open)-1] == '[' {
				v.count++
			}
		default:
			continue
		}
		if v.count > MaxValues {
			return agent.Errorf(agent.InvalidValue, "The request holds more than %d objects, arrays and list elements. Send fewer messages, parts, tools or calls.", MaxValues)
		}
	}
	return nil
}

// endOfString is where the string ends that the place at start is in: the index of its closing quote, or the end of the
// piece.
func (v *Values) endOfString(piece []byte, start int) int {
	for i := start; i < len(piece); i++ {
		switch {
		case v.escaped:
			v.escaped = false
		case piece[i] == '\\':
			v.escaped = true
		case piece[i] == '"':
			v.quoted = false
			return i
		}
	}
	return len(piece)
}
