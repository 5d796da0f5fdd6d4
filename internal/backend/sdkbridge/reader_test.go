package sdkbridge

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/sdkv1"
)

// FuzzRead checks that whatever lines the bridge sends, what is read of them is one thing at a time, and fit to be yielded.
// FuzzStream does the same for whole runs; this one is faster.
func FuzzRead(f *testing.F) {
	paths, err := filepath.Glob("testdata/streams/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatal("no streams", err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		var body []byte
		for line := range bytes.Lines(lines) {
			body = connectwire.Append(body, 0, line)
		}
		stream := sdkv1.NewStream(io.NopCloser(bytes.NewReader(body)))
		var m sdkv1.Message
		step := 0
		for stream.Next(&m) == nil {
			if m.InteractionUpdate == nil {
				continue
			}
			s := read(m.InteractionUpdate, &step)
			if !utf8.ValidString(s.text) || s.tokens < 0 || s.announced < 0 || s.err != nil || s.result != nil {
				t.Errorf("read %+v", s)
			}
		}
	})
}
