package sse

import (
	"net/http/httptest"
	"testing"
	"time"
)

// A tick may be under way when the writer is closed. The server has taken the ResponseWriter back by the time it gets on.
func TestNoKeepAliveFollowsClose(t *testing.T) {
	rec := httptest.NewRecorder()
	w := NewWriter(rec, Config{KeepAlive: time.Nanosecond})
	if err := w.SetBuffer(append(w.Buffer(), "data: a\n\n"...)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.tick()
	if got := rec.Body.String(); got != "data: a\n\n" {
		t.Errorf("written: %q", got)
	}
	if w.timer.Stop() {
		t.Error("another tick is to follow")
	}
}
