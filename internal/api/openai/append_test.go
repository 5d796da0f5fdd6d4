package openai_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"composer-api/internal/api/openai"
)

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "<&>", "é漢😀", "\u2028\u2029\uFFFD", "\xff\xed\xa0\x80\xf0\x9f", "\xe2\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		e.Encode(s)
		for name, got := range map[string][]byte{
			"string": openai.AppendString(nil, s), "bytes": openai.AppendString(nil, []byte(s)),
		} {
			if string(got) != strings.TrimSuffix(want.String(), "\n") {
				t.Errorf("%s: got %s, want %s", name, got, &want)
			}
		}
	})
}

func TestAppendEscapedAllocatesNothing(t *testing.T) {
	b := make([]byte, 0, 1024)
	text := []byte("plain, \"quoted\", é漢😀 \u2028\n")
	if n := testing.AllocsPerRun(100, func() { b = openai.AppendEscaped(b[:0], text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendEscaped(b *testing.B) {
	text := []byte(strings.Repeat("Some ordinary prose, as models write it.\n", 25))
	buf := make([]byte, 0, 2*len(text))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		buf = openai.AppendEscaped(buf[:0], text)
	}
}
