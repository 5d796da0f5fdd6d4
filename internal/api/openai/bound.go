package openai

import "composer-api/internal/agent"

// MaxValues bounds how many objects, arrays and list elements one request may have. A long conversation
// with many tools has some ten thousand. Without a bound a body of a few megabytes of "{}" would take a
// gigabyte once decoded.
const MaxValues = 250_000

// checkValues counts before anything is decoded. Its error is Values.Add's.
func checkValues(body []byte) error {
	var v Values
	return v.Add(body)
}

// Values counts the objects, arrays and list elements of a document that comes in pieces. It allocates nothing except
// for deep nesting. Whether the document is valid JSON is for the decoder to say; of invalid JSON the count means nothing.
// The zero value is ready.
type Values struct {
	count   int
	open    []byte // the brackets that are open at this byte
	quoted  bool   // within a string
	escaped bool   // after a backslash in a string
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

// endOfString is the index of the closing quote of the string that start is in, or len(piece) when it ends in a later
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
