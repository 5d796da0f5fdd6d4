package agent

import "unicode/utf8"

// A TextJoiner makes whole characters of text that comes in pieces cut anywhere, because [Event].Text must be valid
// UTF-8. Bytes that can't become a character are replaced by U+FFFD, one for each byte, as Go's own conversions do. So
// the pieces joined are the whole text, however it was cut. The zero value is ready; it is used by one goroutine.
//
// Streams of answers are cut by upstream wherever it likes, also within a character; each
// backend has one TextJoiner for text and one for thinking.
type TextJoiner struct {
	held   [utf8.UTFMax - 1]byte // the beginning of a character
	n      int                   // of held
	joined []byte                // what was held and the piece behind it
}

// Add takes a piece and returns what is complete now, maybe nothing. The result is valid until the next call and may
// share piece's memory.
func (j *TextJoiner) Add(piece []byte) []byte {
	if j.n > 0 {
		j.joined = append(append(j.joined[:0], j.held[:j.n]...), piece...)
		piece = j.joined
	}
	whole := len(piece) - unfinished(piece)
	j.n = copy(j.held[:], piece[whole:])
	return valid(piece[:whole])
}

// Yields reports whether Add would return something for the piece.
func (j *TextJoiner) Yields(piece []byte) bool {
	if j.n+len(piece) >= utf8.UTFMax {
		return true
	}
	var both [utf8.UTFMax]byte
	n := copy(both[:], j.held[:j.n])
	n += copy(both[n:], piece)
	return n > unfinished(both[:n])
}

// Rest returns what is left at the end of the text: bytes of a character that was never
// completed. After it the joiner is as new.
func (j *TextJoiner) Rest() []byte {
	rest := valid(j.held[:j.n])
	j.n = 0
	return rest
}

// unfinished is how many bytes at the end of b are the beginning of a character.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

// valid is b if it is UTF-8, else a copy that is. A copy has U+FFFD for each byte that is wrong.
func valid(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	fixed := make([]byte, 0, len(b)+2)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		fixed = utf8.AppendRune(fixed, r)
		b = b[size:]
	}
	return fixed
}
