package pdftext

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
)

func file(t *testing.T) *agent.File {
	t.Helper()
	data, err := os.ReadFile("testdata/two-pages.pdf")
	if err != nil {
		t.Fatal(err)
	}
	return &agent.File{Name: "two-pages.pdf", Data: data, Param: "input[0]"}
}

// broken is the error for a file, which must be the client's.
func broken(t *testing.T, r *Reader, f *agent.File) *agent.Error {
	t.Helper()
	text, err := r.Read(t.Context(), "ann", f)
	e := agent.AsError(err)
	if err == nil || e.Code != agent.InvalidValue || e.Param != f.Param {
		t.Errorf("%q, %v", text, err)
	}
	return e
}

func TestTheTextOfAPDF(t *testing.T) {
	r := New(Config{Memory: LeastMemory})
	const want = "Hello PDF world\n\nPage two"
	for range 2 {
		if text, err := r.Read(t.Context(), "ann", file(t)); err != nil || text != want {
			t.Errorf("%q, %v", text, err)
		}
	}
	// The second time it was remembered, and so it is from then on.
	r.extract = nil
	if text, err := r.Read(t.Context(), "ann", file(t)); err != nil || text != want {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAPDFWithoutTextSaysSo(t *testing.T) {
	r := New(Config{})
	scan := file(t)
	scan.Data = []byte(strings.NewReplacer("Hello PDF world", strings.Repeat(" ", 15), "Page two", strings.Repeat(" ", 8)).Replace(string(scan.Data)))
	if e := broken(t, r, scan); !errors.Is(e, errNoText) || !strings.Contains(e.UserMessage(), "images") {
		t.Error(e)
	}
	damaged := file(t)
	damaged.Data = []byte("%PDF-1.4\n" + strings.Repeat("damaged ", 1000))
	if e := broken(t, r, damaged); !strings.Contains(e.UserMessage(), "damaged") {
		t.Error(e)
	}
	// Another request may have it elsewhere.
	damaged.Param = "input[7]"
	broken(t, r, damaged)
}

// growing is a PDF of some kilobytes whose one page takes so many bytes when it is unpacked.
func growing(t *testing.T, size int) []byte {
	t.Helper()
	var content, file bytes.Buffer
	z := zlib.NewWriter(&content)
	if _, err := z.Write(bytes.Repeat([]byte(" "), size)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	file.WriteString("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]/Contents 4 0 R>>endobj\n")
	fmt.Fprintf(&file, "4 0 obj<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%%%EOF", content.Len(), content.String())
	return file.Bytes()
}

// A file must not take so much memory that the system ends the process, and everybody's turns with it.
func TestAPDFKeepsToItsMemory(t *testing.T) {
	r := New(Config{Timeout: time.Hour}) // a busy machine must not be quicker to lose its patience
	// With as little as PDFium can begin with, the file need not be large.
	r.extract = func(ctx context.Context, data []byte) (string, error) { return extract(ctx, data, 300) }
	if e := broken(t, r, &agent.File{Data: growing(t, 32<<20)}); !strings.Contains(e.UserMessage(), "more memory than there is") {
		t.Error(e)
	}
	text, err := New(Config{Memory: LeastMemory - 1}).Read(t.Context(), "ann", file(t))
	if e := agent.AsError(err); err == nil || e.Code != agent.UnsupportedValue || e.Param != "input[0]" || !strings.Contains(e.UserMessage(), "too little memory") {
		t.Errorf("without room for the machine: %q, %v", text, err)
	}
}

func TestAPDFHasItsTime(t *testing.T) {
	r := New(Config{Timeout: time.Nanosecond})
	if e := broken(t, r, file(t)); !strings.Contains(e.UserMessage(), "longer than") {
		t.Error(e)
	}
}

// One file is read at a time, and one file once. Who waits too long is told to come back, and who leaves isn't waited for.
func TestFilesWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{})
		reading, read := 0, 0 // guarded by the reader's turn
		r.extract = func(context.Context, []byte) (string, error) {
			if reading++; reading > 1 {
				t.Error("two files are read at once")
			}
			read++
			time.Sleep(20 * time.Second)
			reading--
			return "text", nil
		}
		f := &agent.File{Data: []byte("a file")}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if text, err := r.Read(t.Context(), "ann", f); err != nil || text != "text" {
					t.Errorf("%q, %v", text, err)
				}
			})
		}
		all.Wait()
		if read != 1 {
			t.Errorf("the same file was read %d times", read)
		}
		for i := range 5 { // 20 seconds each; the last is one too many
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				_, err := r.Read(t.Context(), "ann", &agent.File{Data: []byte{byte(i)}})
				if late := agent.CodeOf(err) == agent.Overloaded; late != (i == 4) {
					t.Errorf("file %d: %v", i, err)
				}
			})
		}
		time.Sleep(time.Second)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Read(gone, "ann", &agent.File{Data: []byte("another")}); agent.CodeOf(err) != agent.Canceled {
			t.Errorf("%v, want Canceled", err)
		}
		all.Wait()
	})
}

// Who sends many files that take long keeps nobody else waiting for more than one of them.
func TestOwnersOfFilesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{})
		r.extract = func(context.Context, []byte) (string, error) { time.Sleep(25 * time.Second); return "text", nil }
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() { r.Read(t.Context(), "many", &agent.File{Data: []byte{byte(i)}}) })
		}
		synctest.Wait()
		began := time.Now()
		if text, err := r.Read(t.Context(), "ann", &agent.File{Data: []byte("ann's")}); err != nil || text != "text" {
			t.Errorf("%q, %v", text, err)
		}
		// One that is being read, one whose turn came before, and her own.
		if took := time.Since(began); took > 75*time.Second {
			t.Errorf("she waited %v", took)
		}
		all.Wait()
	})
}
