package pages

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"composer-api/internal/golden"
)

// A form is a way to compress files: the ending that it adds to their names, and there and back.
type form struct {
	ending  string
	pack    func(t *testing.T, data []byte) []byte
	unpack  func(t *testing.T, data []byte) []byte
	ofAsset func(*asset) []byte
}

var forms = []form{
	{
		ending: ".gz",
		pack: func(t *testing.T, data []byte) []byte {
			var b bytes.Buffer
			w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
			if err == nil {
				_, err = w.Write(data)
			}
			if err != nil || w.Close() != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		},
		unpack: func(t *testing.T, data []byte) []byte {
			r, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return plain
		},
		ofAsset: func(a *asset) []byte { return a.gzip },
	},
	{
		ending: ".zst",
		pack: func(t *testing.T, data []byte) []byte {
			w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			return w.EncodeAll(data, nil)
		},
		unpack: func(t *testing.T, data []byte) []byte {
			r, err := zstd.NewReader(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			plain, err := r.DecodeAll(data, nil)
			if err != nil {
				t.Fatal(err)
			}
			return plain
		},
		ofAsset: func(a *asset) []byte { return a.zstd },
	},
}

// TestPackedFilesAreUpToDate: below packed there is each file of static in each form, and nothing else.
// What a form unpacks to is compared and not its bytes, which another version of a compressor may choose otherwise.
func TestPackedFilesAreUpToDate(t *testing.T) {
	names, err := filepath.Glob("static/*")
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no files: %v", err)
	}
	wanted := map[string]bool{}
	for _, name := range names {
		plain, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range forms {
			at := filepath.Join("packed", filepath.Base(name)+form.ending)
			wanted[filepath.ToSlash(at)] = true
			if old, err := os.ReadFile(at); err == nil && bytes.Equal(form.unpack(t, old), plain) {
				continue
			}
			if !golden.Updating() {
				t.Errorf("%s is not what %s becomes; make golden makes it", at, name)
				continue
			}
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, form.pack(t, plain), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = fs.WalkDir(os.DirFS("."), "packed", func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || wanted[at] {
			return err
		}
		if golden.Updating() {
			return os.Remove(filepath.FromSlash(at))
		}
		t.Errorf("%s belongs to no file; make golden removes it", at)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheProgramHasEachFileInEachForm looks at what is embedded.
func TestTheProgramHasEachFileInEachForm(t *testing.T) {
	all, err := newAssets(packed)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"base.css", "chat.css", "chat.js", "page.js", "mark.svg"} {
		file := all.files[name]
		if file == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		plain, err := file.plain()
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range forms {
			if !bytes.Equal(form.unpack(t, form.ofAsset(file)), plain) {
				t.Errorf("%s%s is another file", name, form.ending)
			}
		}
	}
}
