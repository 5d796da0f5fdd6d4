package httpd_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"composer-api/internal/api"
	"composer-api/internal/httpd"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// packed is text in the given format.
func packed(t *testing.T, format, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch format {
	case "zlib":
		w = zlib.NewWriter(&b)
	case "flate":
		w, err = flate.NewWriter(&b, flate.DefaultCompression)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	}
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRequestBodies(t *testing.T) {
	const limit = 10 << 10
	padded := func(n int) string {
		return strings.Replace(hello, "hello", strings.Repeat("x", n-len(hello)+len("hello")), 1)
	}
	header := func(pairs ...string) http.Header {
		h := withKey(key)
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	tests := []struct {
		name   string
		header http.Header
		body   string
		status int
		code   string
	}{
		{"JSON", header("Content-Type", "application/json"), hello, 200, ""},
		{"JSON with a charset", header("Content-Type", "application/json; charset=utf-8"), hello, 200, ""},
		{"JSON of some kind", header("Content-Type", "application/vnd.x+json"), hello, 200, ""},
		{"a character set without a value", header("Content-Type", "application/json;charset"), hello, 200, ""},
		{"a character set twice", header("Content-Type", "Application/JSON; charset=utf-8; charset=utf-8"), hello, 200, ""},
		{"a content type twice", header("Content-Type", "application/json, application/json"), hello, 200, ""},
		{"a type behind another", header("Content-Type", "text/plain; application/json"), hello, 415, "unsupported_media_type"},
		{"a form, which is what curl sends by default", header("Content-Type", "application/x-www-form-urlencoded"), hello, 415, "unsupported_media_type"},
		{"as large as may be", header(), padded(limit), 200, ""},
		{"one byte larger", header(), padded(limit + 1), 413, "request_too_large"},
		{"gzip", header("Content-Encoding", "gzip"), gzipped(t, hello), 200, ""},
		{"gzip that grows to the limit", header("Content-Encoding", "gzip"), gzipped(t, padded(limit)), 200, ""},
		{"gzip that grows beyond it", header("Content-Encoding", "gzip"), gzipped(t, padded(limit+1)), 413, "request_too_large"},
		{"no gzip, though it says so", header("Content-Encoding", "gzip"), hello, 400, "invalid_json"},
		{"half of a gzip", header("Content-Encoding", "gzip"), gzipped(t, padded(limit))[:40], 400, "invalid_json"},
		{"deflate", header("Content-Encoding", "deflate"), packed(t, "zlib", hello), 200, ""},
		{"deflate without a zlib header", header("Content-Encoding", "deflate"), packed(t, "flate", hello), 200, ""},
		{"deflate that grows beyond the limit", header("Content-Encoding", "deflate"), packed(t, "zlib", padded(limit+1)), 413, "request_too_large"},
		{"no deflate, though it says so", header("Content-Encoding", "deflate"), hello, 400, "invalid_json"},
		{"zstd", header("Content-Encoding", "zstd"), packed(t, "zstd", hello), 200, ""},
		{"zstd that grows to the limit", header("Content-Encoding", "zstd"), packed(t, "zstd", padded(limit)), 200, ""},
		{"zstd that grows beyond it", header("Content-Encoding", "zstd"), packed(t, "zstd", padded(limit+1)), 413, "request_too_large"},
		{"no zstd, though it says so", header("Content-Encoding", "zstd"), hello, 400, "invalid_json"},
		{"half of a zstd", header("Content-Encoding", "zstd"), packed(t, "zstd", padded(limit))[:20], 400, "invalid_json"},
		{"an encoding that we don't know", header("Content-Encoding", "br"), hello, 415, "unsupported_media_type"},
	}
	s := newServer(httpd.Config{MaxBody: limit})
	for _, tt := range tests {
		for _, length := range []string{"known", "unknown"} {
			t.Run(tt.name+", length "+length, func(t *testing.T) {
				r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/chat/completions", strings.NewReader(tt.body))
				r.Header = tt.header
				if r.Header.Get("Content-Type") == "" {
					r.Header.Set("Content-Type", "application/json")
				}
				if length == "unknown" {
					r.ContentLength = -1
				}
				w := httptest.NewRecorder()
				s.Handler().ServeHTTP(w, r)
				if w.Code != tt.status {
					t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
				}
				if tt.code != "" {
					if e := errorOf(t, w.Body.Bytes()); e.Code == nil || *e.Code != tt.code {
						t.Errorf("error %+v, want code %s", e, tt.code)
					}
				}
			})
		}
	}
}

func TestABodyNeedsAContentType(t *testing.T) {
	s := newServer(httpd.Config{})
	for body, status := range map[string]int{hello: 415, "": 400} { // nothing at all lacks JSON, not its type
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
		r.Header = withKey(key)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if e := errorOf(t, w.Body.Bytes()); w.Code != status || status == 415 && !strings.Contains(e.Message, "application/json") {
			t.Errorf("%q: status %d, want %d: %s", body, w.Code, status, e.Message)
		}
	}
}

func TestABodyIsWithinItsLimitsWhateverTheMethod(t *testing.T) {
	const limit = 1 << 10
	s := newServer(httpd.Config{MaxBody: limit, Routes: []api.Route{{Pattern: "PATCH /settings", Open: true, Handle: func(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		_, err = w.Write(body)
		return err
	}}}})
	const plain, long = `{"name":"Ada"}`, 8 * limit
	for name, tt := range map[string]struct {
		header http.Header
		body   string
		status int
	}{
		"plain":           {http.Header{"Content-Type": {"application/json"}}, plain, 200},
		"compressed":      {http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, gzipped(t, plain), 200},
		"too large":       {http.Header{"Content-Type": {"application/json"}}, strings.Repeat(" ", long), 413},
		"becomes large":   {http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, gzipped(t, strings.Repeat(" ", long)), 413},
		"no content type": {http.Header{}, plain, 415},
		"no JSON":         {http.Header{"Content-Type": {"text/plain"}}, plain, 415},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, "/settings", strings.NewReader(tt.body))
		r.Header = tt.header
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != tt.status || tt.status == 200 && w.Body.String() != plain {
			t.Errorf("%s: status %d, want %d: %.100s", name, w.Code, tt.status, w.Body)
		}
	}
}

// A body of a few kilobytes that holds millions of values is not decompressed to its end.
func TestACompressedBodyIsCountedWhileItIsRead(t *testing.T) {
	plain := `{"messages":[` + strings.Repeat("{},", 8<<20) + `{}]}`
	for format, encoding := range map[string]string{"zlib": "deflate", "zstd": "zstd"} {
		sent := strings.NewReader(packed(t, format, plain))
		whole := sent.Len()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", sent)
		r.Header = withKey(key)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		newServer(httpd.Config{}).Handler().ServeHTTP(w, r)
		if e := errorOf(t, w.Body.Bytes()); w.Code != 400 || !strings.Contains(e.Message, "100000 messages") {
			t.Errorf("%s: status %d: %s", format, w.Code, e.Message)
		}
		if sent.Len() < whole/2 {
			t.Errorf("%s: %d of %d bytes were read", format, whole-sent.Len(), whole)
		}
	}
}
