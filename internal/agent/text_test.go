package agent

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestJoinedTextIsIndependentOfHowItIsCut(t *testing.T) {
	const text = "aůň🐎 \U0001F469\u200D\U0001F680 end"
	for size := 1; size < len(text); size++ {
		if got := joined(t, cutInto(text, size)); got != text {
			t.Errorf("pieces of %d bytes: got %q", size, got)
		}
	}
}

func TestWhatIsNoCharacterIsReplaced(t *testing.T) {
	for _, tt := range []struct{ pieces, want string }{
		{"a\xff|b", "a\uFFFDb"},
		{"a\xc5|b", "a\uFFFDb"},        // the rest never comes
		{"a\xf0\x9f", "a\uFFFD\uFFFD"}, // the end comes instead
		{"\xc5|\xc5|\xaf", "\uFFFDů"},
		{"", ""},
	} {
		if got := joined(t, strings.Split(tt.pieces, "|")); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.pieces, got, tt.want)
		}
	}
}

func TestWholeTextIsNotCopied(t *testing.T) {
	var j TextJoiner
	word, cut, rest := []byte(" horse"), []byte("ko\xc5"), []byte("\x88")
	j.Add(cut)
	j.Add(rest) // makes room for what is joined
	if n := testing.AllocsPerRun(100, func() { j.Add(word); j.Add(cut); j.Add(rest) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzTextJoiner checks that pieces give the same text as the whole.
func FuzzTextJoiner(f *testing.F) {
	f.Add("kůň 🐎 x", uint(1))
	f.Add("aůň🐎", uint(2))
	f.Add("\xf0\x9f\x90", uint(2))
	f.Add("\xff\xf0\x9f", uint(1))
	f.Add("a\xff\xc3b\x80", uint(3))
	f.Fuzz(func(t *testing.T, text string, step uint) {
		got := joined(t, cutInto(text, int(step%8)+1))
		if want := string([]rune(text)); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	})
}

func cutInto(text string, size int) []string {
	var pieces []string
	for len(text) > size {
		pieces = append(pieces, text[:size])
		text = text[size:]
	}
	return append(pieces, text)
}

// joined passes the pieces through a TextJoiner and checks what it promises on the way.
func joined(t *testing.T, pieces []string) string {
	t.Helper()
	var j TextJoiner
	var all bytes.Buffer
	for _, p := range pieces {
		yields := j.Yields([]byte(p))
		out := j.Add([]byte(p))
		if !utf8.Valid(out) {
			t.Errorf("%q: a piece is no UTF-8: %q", pieces, out)
		}
		if yields != (len(out) > 0) {
			t.Errorf("%q: Yields said %v before %q", pieces, yields, out)
		}
		all.Write(out)
	}
	all.Write(j.Rest())
	return all.String()
}
