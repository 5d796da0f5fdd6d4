package chat_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/apitest"
	"composer-api/internal/api/chat"
	"composer-api/internal/api/known"
	"composer-api/internal/sse"
)

func newStream(t testing.TB, w http.ResponseWriter) *chat.Stream {
	t.Helper()
	req, err := chat.Decode([]byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true}}`), known.Sender{})
	if err != nil {
		t.Fatal(err)
	}
	s := chat.NewStream(w, req, chat.Options{})
	if err := s.Accept(agent.Accepted{Upstream: "demo", Resume: agent.ResumeNew, Model: agent.Model{ID: "m"}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTextEventAllocatesNothing(t *testing.T) {
	s := newStream(t, apitest.Discard{Headers: http.Header{}})
	defer s.Close()
	for _, kind := range []agent.Kind{agent.Text, agent.Reasoning} {
		e := agent.Event{Kind: kind, Text: []byte("some \"text\", as it comes")}
		if n := testing.AllocsPerRun(1000, func() {
			s.Event(&e)
			s.Flush()
		}); n != 0 {
			t.Errorf("kind %d: %v allocations", kind, n)
		}
	}
}

func BenchmarkTextEvent(b *testing.B) {
	s := newStream(b, apitest.Discard{Headers: http.Header{}})
	defer s.Close()
	e := agent.Event{Kind: agent.Text, Text: []byte("some \"text\", as it comes")}
	b.ReportAllocs()
	for b.Loop() {
		s.Event(&e)
		s.Flush()
	}
}

func TestStreamBeginsWhenAccepted(t *testing.T) {
	rec := httptest.NewRecorder()
	s := newStream(t, rec)
	defer s.Close()
	s.Flush()
	if !rec.Flushed || !strings.Contains(rec.Body.String(), `"delta":{"role":"assistant","content":""}`) {
		t.Errorf("flushed %v: %s", rec.Flushed, rec.Body)
	}
}

func TestStreamThatThinksIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := httptest.NewRecorder()
		s := newStream(t, rec)
		s.Flush()
		time.Sleep(30 * time.Second)
		s.Close()
		time.Sleep(time.Hour)
		if got := rec.Body.String(); !strings.HasSuffix(got, "\n\n: keepalive\n: keepalive\n") {
			t.Errorf("got %q", got)
		}
	})
}

func TestFailureAfterTheEndAddsNothing(t *testing.T) {
	rec := httptest.NewRecorder()
	s := newStream(t, rec)
	s.Event(&agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}})
	if !s.Fail(agent.Errorf(agent.Upstream, "late")) {
		t.Error("the client counts as not told")
	}
	s.Close()
	if !strings.HasSuffix(rec.Body.String(), "data: [DONE]\n\n") {
		t.Error(rec.Body)
	}
}

func TestFailureBeforeTheStreamIsLeftToTheCaller(t *testing.T) {
	rec := httptest.NewRecorder()
	for _, e := range []chat.Encoder{
		chat.NewEncoder(rec, &chat.Request{Stream: true}, chat.Options{}), chat.NewEncoder(rec, &chat.Request{}, chat.Options{}),
	} {
		if e.Fail(agent.Errorf(agent.Upstream, "early")) {
			t.Errorf("%T says that the client was told", e)
		}
		e.Close()
	}
	if rec.Flushed || rec.Body.Len() > 0 {
		t.Error(rec.Body)
	}
}

func TestClientThatIsGoneIsAnError(t *testing.T) {
	w := &gone{Discard: apitest.Discard{Headers: http.Header{}}}
	s := newStream(t, w)
	defer s.Close()
	w.err = errors.New("gone")
	s.Event(&agent.Event{Kind: agent.Text, Text: []byte("a")})
	if err := s.Flush(); !errors.Is(err, w.err) {
		t.Errorf("Flush: %v", err)
	}
	s.Fail(agent.Errorf(agent.Canceled, ""))
}

type gone struct {
	apitest.Discard
	err error
}

func (g *gone) Write(p []byte) (int, error) { return len(p), g.err }

func TestIDsAreMinted(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		rec := httptest.NewRecorder()
		newStream(t, rec).Close()
		for e, err := range sse.Scan(rec.Body) {
			id, _, _ := strings.Cut(strings.TrimPrefix(e.Data, `{"id":"`), `"`)
			if err != nil || !strings.HasPrefix(id, "chatcmpl-") || seen[id] {
				t.Errorf("id %q, %v", id, err)
			}
			seen[id] = true
		}
	}
}
