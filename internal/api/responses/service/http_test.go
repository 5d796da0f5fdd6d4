package service_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func upgrade(t *testing.T) *http.Request {
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/responses", nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	return req
}

func record(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// leaveAt calls leave when an answer has come to text.
func leaveAt(h http.Handler, text string, leave func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&watched{ResponseWriter: w, text: text, seen: leave}, r)
	})
}

type watched struct {
	http.ResponseWriter
	text string
	seen func()
}

func (w *watched) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		w.seen()
	}
	return w.ResponseWriter.Write(p)
}

func (w *watched) Flush() {}

// responseID is the id of the response that a stream began to tell of.
func responseID(stream []byte) string {
	m := regexp.MustCompile(`"id":("resp_[^"]*")`).FindSubmatch(stream)
	if m == nil {
		return ""
	}
	var id string
	json.Unmarshal(m[1], &id)
	return id
}
