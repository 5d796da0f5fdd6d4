package replica

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/memnet"
	"composer-api/internal/store/memstore"
)

// linkedPeers makes two replicas in a bubble, of which one answers with handler, and the way from the first to it. The
// connection is there already. stop ends both.
func linkedPeers(t *testing.T, handler http.HandlerFunc) (a *Peers, way *memnet.Link, stop func()) {
	t.Helper()
	db := memstore.New(memstore.Config{})
	a, b := newPeers(t, db, "a", secret), newPeers(t, db, "b", secret)
	l := memnet.Listen()
	way = memnet.NewLink(l.Dial, func() time.Duration { return time.Millisecond })
	a.transport.DialContext = way.Dial
	served := make(chan error, 1)
	go func() { served <- b.Serve(l, handler) }()
	if err := a.alive(t.Context(), "b:1"); err != nil {
		t.Fatal(err)
	}
	return a, way, func() {
		a.transport.CloseIdleConnections()
		b.Shutdown(t.Context())
		way.Cut()
		<-served
		time.Sleep(time.Second) // what is under way comes to nothing
	}
}

// TestASilentReplicaCostsHalfASecond, although there is a connection to it. Then it is left alone for a moment.
func TestASilentReplicaCostsHalfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, way, stop := linkedPeers(t, func(http.ResponseWriter, *http.Request) { t.Error("the request got through") })
		defer stop()
		way.Split(true)
		began, rec := time.Now(), httptest.NewRecorder()
		err := a.Forward(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/x", strings.NewReader("{}")), "b:1")
		if !errors.Is(err, errSilent) || rec.Body.Len() > 0 || len(rec.Header()) > 0 {
			t.Errorf("%v, %q, %v", err, rec.Body, rec.Header())
		}
		if took := time.Since(began); took != aliveTime || !a.lost.is("b:1") {
			t.Errorf("it took %v; left alone: %t", took, a.lost.is("b:1"))
		}
		way.Split(false)
	})
}

// TestTheLastReplicaHasMoreTimeToAnswer: one that was too busy just now is asked again only when there is no other.
func TestTheLastReplicaHasMoreTimeToAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, way, stop := linkedPeers(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "from b") })
		defer stop()
		forward := func() (*httptest.ResponseRecorder, error) {
			rec := httptest.NewRecorder()
			return rec, a.Forward(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/x", strings.NewReader("{}")), "b:1")
		}
		way.Split(true)
		if _, err := forward(); !errors.Is(err, errSilent) {
			t.Error(err)
		}
		time.AfterFunc(2*time.Second, func() { way.Split(false) })
		if rec, err := forward(); err != nil || rec.Body.String() != "from b" {
			t.Errorf("%q, %v", rec.Body, err)
		}
	})
}

// TestAnAnswerOutlivesAMachineThatStalls: one that has begun is cut off only when the other replica has shown no sign of life
// for long.
func TestAnAnswerOutlivesAMachineThatStalls(t *testing.T) {
	for name, tt := range map[string]struct {
		stall time.Duration
		whole bool
	}{
		"for some seconds":  {5 * time.Second, true},
		"for half a minute": {30 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, way, stop := linkedPeers(t, func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, "one ")
					http.NewResponseController(w).Flush()
					select {
					case <-time.After(tt.stall):
						io.WriteString(w, "two")
					case <-r.Context().Done():
					}
				})
				defer stop()
				time.AfterFunc(time.Second, func() { way.Split(true) })
				time.AfterFunc(tt.stall, func() { way.Split(false) })
				rec, cut := httptest.NewRecorder(), false
				served := context.WithValue(t.Context(), http.ServerContextKey, new(http.Server)) // ReverseProxy panics for servers alone
				func() {
					defer func() { cut = recover() != nil }()
					if err := a.Forward(rec, httptest.NewRequestWithContext(served, http.MethodPost, "/v1/x", strings.NewReader("{}")), "b:1"); err != nil {
						t.Error(err)
					}
				}()
				if whole := rec.Body.String() == "one two"; whole != tt.whole || cut == tt.whole {
					t.Errorf("%q came, cut off: %t", rec.Body, cut)
				}
				time.Sleep(tt.stall)
			})
		})
	}
}
