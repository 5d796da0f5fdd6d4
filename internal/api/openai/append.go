package openai

import (
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Writing JSON by hand, for what is written often: a streamed word is a few members around a text,
// and encoding/json would allocate for each of them. Everything else is encoded with Encode.

// escapes says how an ASCII byte is written inside a JSON string: 0 for as it is, 'u' for \u00xx, any
// other letter for a backslash and that letter.
var escapes = func() (t [utf8.RuneSelf]byte) {
	for c := range 0x20 {
		t[c] = 'u'
	}
	t['\b'], t['\f'], t['\n'], t['\r'], t['\t'] = 'b', 'f', 'n', 'r', 't'
	t['"'], t['\\'] = '"', '\\'
	return t
}()

// hex are the digits of \u escapes.
const hex = "0123456789abcdef"

// AppendString appends s as a JSON string.
func AppendString[S ~string | ~[]byte](b []byte, s S) []byte {
	b = append(b, '"')
	b = AppendEscaped(b, s)
	return append(b, '"')
}

// AppendEscaped appends what AppendString does, without the quotes: the inside of a string whose quotes
// are written elsewhere. Pieces of one string may be appended one after the other, if no character is
// split between them.
//
// The form is that of encoding/json without HTML escaping: U+2028 and U+2029, which end a line
// in JavaScript, are escaped, and invalid UTF-8 becomes U+FFFD. It allocates nothing except to
// grow b, because it is called for every streamed word. FuzzAppendString compares it with
// encoding/json.
func AppendEscaped[S ~string | ~[]byte](b []byte, s S) []byte {
	// Runs of bytes that need no escape are copied at once.
	done := 0 // s[:done] is in b
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			e := escapes[c]
			if e == 0 {
				i++
				continue
			}
			b = append(b, s[done:i]...)
			if e == 'u' {
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
			} else {
				b = append(b, '\\', e)
			}
			i++
			done = i
			continue
		}
		r, size := decodeRune(s[i:])
		escaped := ""
		switch {
		case r == utf8.RuneError && size == 1:
			escaped = `\ufffd`
		case r == '\u2028':
			escaped = `\u2028`
		case r == '\u2029':
			escaped = `\u2029`
		}
		if escaped != "" {
			b = append(b, s[done:i]...)
			b = append(b, escaped...)
			done = i + size
		}
		i += size
	}
	return append(b, s[done:]...)
}

// decodeRune is utf8.DecodeRune for strings and bytes. It converts at most one character, which the
// compiler keeps on the stack.
func decodeRune[S ~string | ~[]byte](s S) (rune, int) {
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}

// appendStringOrNull appends s as a JSON string, or null when it is empty.
func appendStringOrNull(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return AppendString(b, s)
}

// Encode encodes values that can't fail: our own types around values that were decoded from JSON and are
// not nested too deeply. It panics when that is not so, which is a bug.
//
// The result belongs to the caller.
//
// Nesting is bounded by what decoding accepts, 10,000 levels, so a value that was decoded can
// always be encoded.
func Encode(v any) jsontext.Value {
	b, err := json.Marshal(v, Liberal)
	if err != nil {
		panic("openai: " + err.Error())
	}
	return b
}
