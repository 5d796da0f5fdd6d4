package markup

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"composer-api/internal/cursor/sections"
)

// The markers, and the scanner that finds them in a stream. Source of the names: the chat
// endpoint's description, and what serving software of open models writes.

// marker says which marker a piece of text is.
type marker uint8

const (
	// noMarker is the token of a text.
	noMarker   marker = iota
	endThink          // </think>
	final             // <|final|>
	callsBegin        // <|tool_calls_begin|>
	callsEnd          // <|tool_calls_end|>
	callBegin         // <|tool_call_begin|>
	callEnd           // <|tool_call_end|>
	callSep           // <|tool_sep|>

	// What serving software writes around a tool's result. A model that writes it makes the result up.
	resultsBegin // <|tool_outputs_begin|>
	resultsEnd   // <|tool_outputs_end|>
	resultBegin  // <|tool_output_begin|>
	resultEnd    // <|tool_output_end|>

	// numMarkers is how many there are; it is none itself.
	numMarkers
)

// A shape is how a marker is written, in pieces between which blanks may be. "|" is also matched by a full-width
// bar and "_" by a lower one-eighth block: models use both. So these are all the same marker:
//
//	<|tool_sep|>   < | tool_sep | >   <｜tool▁sep｜>
type shape struct {
	// marker is what the pieces mean. No shape is the beginning of another.
	marker marker
	pieces []string
}

// Each filter looks for its own markers alone: the text of a call may hold </think>, and
// thinking may hold a call's marker.
var (
	thinkingShapes = []shape{
		{endThink, []string{"<", "/", "think", ">"}},
		{final, []string{"<", "|", "final", "|", ">"}},
	}
	blockShapes = []shape{
		{callsBegin, []string{"<", "|", "tool_calls_begin", "|", ">"}},
		{callsEnd, []string{"<", "|", "tool_calls_end", "|", ">"}},
		{callBegin, []string{"<", "|", "tool_call_begin", "|", ">"}},
		{callEnd, []string{"<", "|", "tool_call_end", "|", ">"}},
		{callSep, []string{"<", "|", "tool_sep", "|", ">"}},
		{resultsBegin, []string{"<", "|", "tool_outputs_begin", "|", ">"}},
		{resultsEnd, []string{"<", "|", "tool_outputs_end", "|", ">"}},
		{resultBegin, []string{"<", "|", "tool_output_begin", "|", ">"}},
		{resultEnd, []string{"<", "|", "tool_output_end", "|", ">"}},
		// As results stand in our own prompts; see package sections.
		{resultBegin, []string{"<", "tool_result", "tool", "="}},
		{resultBegin, []string{"<", "tool_result", "call", "="}},
		{resultBegin, []string{"<", "tool_result", ">"}},
		{resultEnd, []string{"<", "/", "tool_result", ">"}},
	}
)

// maxBlanks is how many blanks may be between two pieces of a marker. It bounds how much text can look like the
// beginning of a marker, and so how much is held back.
const maxBlanks = 4

// bars and underscores are the spellings of "|" and of "_".
var (
	bars        = []string{"|", "｜"}
	underscores = []string{"_", "▁"}
)

// find looks for one of shapes at the very beginning of p. n is the length of the marker that
// it found. When it found none, partial says that with more bytes there could still be one. It
// looks at the shapes in their order.
//
// p begins with '<', as every shape does, or is empty: at the end of the data there may be a
// marker yet to come.
func find(p []byte, shapes []shape) (m marker, n int, partial bool) {
	for i := range shapes {
		n, part := shapes[i].match(p)
		if n > 0 {
			return shapes[i].marker, n, false
		}
		// One shape that might still come is enough to wait.
		partial = partial || part
	}
	return noMarker, 0, partial
}

// match reports the length of the marker that p begins with, or else whether p is the beginning of one.
func (s *shape) match(p []byte) (n int, partial bool) {
	rest := p
	for i, piece := range s.pieces {
		if i > 0 {
			// Not before the first piece: white space there belongs to the token (space).
			for blanks := 0; blanks < maxBlanks && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t'); blanks++ {
				rest = rest[1:]
			}
		}
		for j := range len(piece) {
			var ok bool
			if rest, ok, partial = letter(rest, piece[j:j+1]); !ok {
				return 0, partial
			}
		}
	}
	return len(p) - len(rest), false
}

// letter cuts one letter of a marker, in any of its spellings, off p. partial says that p ends
// within the letter. want is one byte. Only "|" and "_" have more than one spelling.
func letter(p []byte, want string) (rest []byte, ok, partial bool) {
	switch want {
	case "|":
		return oneOf(p, bars)
	case "_":
		return oneOf(p, underscores)
	}
	if len(p) == 0 {
		return p, false, true
	}
	return p[1:], p[0] == want[0], false
}

// oneOf is letter for a list of spellings.
func oneOf(p []byte, spellings []string) (rest []byte, ok, partial bool) {
	for _, s := range spellings {
		if len(p) >= len(s) && string(p[:len(s)]) == s {
			return p[len(s):], true, false
		}
		partial = partial || len(p) < len(s) && s[:len(p)] == string(p)
	}
	return p, false, partial
}

// A token is plain text or a marker.
type token struct {
	marker marker // noMarker for plain text
	space  []byte // the white space before a marker
	raw    []byte // the text, or the marker as it was written
}

// A scanner cuts a stream into tokens. The white space before a marker belongs to the marker. Adjacent texts may
// come in any number of tokens; text tokens are never empty. It is for one goroutine, and the zero value with its
// shapes is ready.
//
// The markers that it finds don't depend on how the stream was cut into pieces: what may still become a marker is held until
// more has come. At most maxSpace and the longest marker are held.
type scanner struct {
	// shapes are the markers that it looks for; everything else is text.
	shapes []shape
	held   []byte // what may still become a marker, with the white space before it
	// buf is what the last token was in.
	buf []byte
}

// maxSpace is how many bytes of white space before a marker belong to it; more than that is text. It bounds what
// is held back.
const maxSpace = 256

// write scans p and yields what is certain. Tokens are valid during yield only, because they share buf or p.
//
// Only '<' can begin a marker, so plain text is passed over by bytes.IndexByte.
//
// What is yielded puts together what was written, but for what is held: nothing is dropped or changed.
func (s *scanner) write(p []byte, yield func(token)) {
	data := p
	if len(s.held) > 0 {
		s.buf = append(append(s.buf[:0], s.held...), p...)
		data = s.buf
		s.held = s.held[:0]
	}
	text := func(p []byte) {
		if len(p) > 0 {
			yield(token{raw: p})
		}
	}
	start, at := 0, 0 // text that has not been yielded yet begins at start
	for {
		j := len(data)
		// Without one, j is the end, where find says "partial" of nothing: a marker may begin with
		// the next write.
		if k := bytes.IndexByte(data[at:], '<'); k >= 0 {
			j = at + k
		}
		i := j
		// Back over the white space before it, which belongs to the marker if there is one.
		for i > start && isSpace(data[i-1]) && j-i < maxSpace {
			i--
		}
		m, n, partial := find(data[j:], s.shapes)
		switch {
		case m != noMarker:
			text(data[start:i])
			yield(token{marker: m, space: data[i:j], raw: data[j : j+n]})
			at = j + n
			start = at
		case partial: // also at the end of data: a marker may follow
			// From i on it is held, the white space included.
			text(data[start:i])
			s.held = append(s.held, data[i:]...)
			return
		default:
			at = j + 1
		}
	}
}

// flush returns what is held back, as text, and resets the scanner. The result is valid until the
// next write. It is called at the end of the stream, when nothing can complete a marker any more.
func (s *scanner) flush() []byte {
	held := s.held
	s.held = s.held[:0]
	return held
}

// isSpace reports whether b is white space that may belong to a marker.
func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// barred are the names of the markers between bars that mean something in a prompt, without their underscores.
var barred = []string{
	"toolcallsbegin", "toolcallsend", "toolcallbegin", "toolcallend", "toolsep",
	"tooloutputsbegin", "tooloutputsend", "tooloutputbegin", "tooloutputend",
}

// IsMarker reports whether text, which begins with "<", begins with a marker of calls or results,
// or with what a model could take for one: in upper or lower case, and with any spacing. It takes more for a marker
// than the shapes do, because it guards our prompts against text of clients, where that does no harm. text must not be empty. It
// allocates for the name alone, which is short.
func IsMarker(text []byte) bool {
	text, ok := afterBar(text[1:])
	if !ok {
		return false
	}
	var name []byte
	// No name is longer, so a long text costs no more than a short one.
	for len(name) <= len("tooloutputsbegin") {
		text = sections.SkipBlank(text)
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '_' || r == '▁':
		case 'a' <= r && r <= 'z':
			name = append(name, byte(r))
		case 'A' <= r && r <= 'Z':
			name = append(name, byte(r-'A'+'a'))
		default:
			_, ok = afterBar(text)
			return ok && slices.Contains(barred, string(name))
		}
		text = text[size:]
	}
	return false
}

// afterBar is what follows a bar, of either spelling, that text begins with.
func afterBar(text []byte) (rest []byte, ok bool) {
	text = sections.SkipBlank(text)
	for _, bar := range bars {
		if rest, ok = bytes.CutPrefix(text, []byte(bar)); ok {
			return rest, true
		}
	}
	return nil, false
}
