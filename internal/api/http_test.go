package api_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"composer-api/internal/api"
)

func TestReadBody(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096, 4097, 100_000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 5} {
		want := bytes.Repeat([]byte("composer "), size/9+1)[:size]
		for name, length := range map[string]int64{"known": int64(size), "unknown": -1} {
			for how, in := range map[string]func(io.Reader) io.Reader{
				"at once": func(r io.Reader) io.Reader { return r }, "in halves": iotest.HalfReader, "the end with the last bytes": iotest.DataErrReader,
			} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", in(bytes.NewReader(want)))
				r.ContentLength = length
				if got, err := api.ReadBody(r); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes, length %s, %s: got %d bytes and %v", size, name, how, len(got), err)
				}
			}
		}
	}
}

func TestABodyThatBreaksIsAnError(t *testing.T) {
	for _, length := range []int64{-1, 100, 5 << 20} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)))
		r.ContentLength = length
		if _, err := api.ReadBody(r); err != io.ErrUnexpectedEOF {
			t.Errorf("length %d: %v", length, err)
		}
	}
}

// How much a body takes while it is read decides how many of them a small machine can stand.
func TestReadBodyTakesLittleMoreThanTheBody(t *testing.T) {
	const size = 16 << 20
	for name, tt := range map[string]struct{ length, most int64 }{"known": {size, size + 2<<20}, "unknown": {-1, 2*size + 3<<20}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", io.LimitReader(endless{}, size))
		r.ContentLength = tt.length
		if got := allocated(func() { api.ReadBody(r) }); got > tt.most {
			t.Errorf("length %s: %d bytes for a body of %d", name, got, size)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}"))
	r.ContentLength = 32 << 20
	if got := allocated(func() { api.ReadBody(r) }); got > 2<<20 {
		t.Errorf("%d bytes for a body that claims to be large", got)
	}
}

// allocated is how many bytes f allocates, together.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// endless is all zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestWhoWouldRatherHaveAPage(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/html": true, "text/html, application/json": false,
		"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8": true,
		"application/json, text/html;q=0.5":                                          false, "text/html;q=0": false, "text/*": false, "text/html;q=x": true, ";;,": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		if got := api.PrefersHTML(r); got != want {
			t.Errorf("%q: %t", accept, got)
		}
	}
}
