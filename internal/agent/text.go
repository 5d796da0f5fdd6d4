package agent

import "unicode/utf8"

// A TextJoiner makes whole characters of text that comes in pieces cut anywhere, as [Event].Text wants it. What can't
// become a character is replaced by U+FFFD. The zero value is ready; it is used by one goroutine.
type TextJoiner struct {
	tail []byte // the beginning of a character
	buf  []byte
}

// Add takes a piece and returns what is whole now, maybe nothing. The result is valid until the next call and may be
// piece itself.
func (j *TextJoiner) Add(piece []byte) []byte {
	if len(j.tail) == 0 && utf8.Valid(piece) {
		return piece
	}
	j.buf = append(append(j.buf[:0], j.tail...), piece...)
	whole := len(j.buf) - unfinished(j.buf)
	j.tail = append(j.tail[:0], j.buf[whole:]...)
	return valid(j.buf[:whole])
}

// Rest returns what is left at the end of the text.
func (j *TextJoiner) Rest() []byte {
	rest := valid(j.tail)
	j.tail = nil
	return rest
}

// unfinished is the length of the beginning of a character that b ends in.
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
