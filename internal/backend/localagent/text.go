package localagent

import (
	"bytes"
	"unicode/utf8"
)

// A joiner makes pieces of text valid UTF-8 on their own: a character that is cut in two is held back until its rest
// comes.
type joiner struct {
	held    [utf8.UTFMax]byte
	n       int    // of held
	scratch []byte // a held beginning and the piece behind it
}

// next returns what can be given out of piece, which may be nothing. It is valid until the next call and may share
// piece's memory.
func (j *joiner) next(piece []byte) []byte {
	if j.n > 0 {
		j.scratch = append(append(j.scratch[:0], j.held[:j.n]...), piece...)
		piece, j.n = j.scratch, 0
	}
	whole := len(piece) - unfinished(piece)
	j.n = copy(j.held[:], piece[whole:])
	piece = piece[:whole]
	if !utf8.Valid(piece) {
		piece = bytes.ToValidUTF8(piece, replacement)
	}
	return piece
}

// yields reports whether next would return something for the piece.
func (j *joiner) yields(piece []byte) bool {
	if total := j.n + len(piece); total >= utf8.UTFMax {
		return true
	}
	var both [utf8.UTFMax]byte
	n := copy(both[:], j.held[:j.n])
	n += copy(both[n:], piece)
	return n > unfinished(both[:n])
}

// rest returns what stands for a beginning whose end never came.
func (j *joiner) rest() []byte {
	if j.n == 0 {
		return nil
	}
	j.n = 0
	return replacement
}

var replacement = []byte(string(utf8.RuneError))

// unfinished is how many bytes at the end of p begin a character that isn't complete.
func unfinished(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if tail := p[len(p)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
