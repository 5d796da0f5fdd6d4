package localagent

import (
	"bytes"
	"compress/gzip"
	"context"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/sim/cursorsim"
)

// TestAnEndlessMessageIsFetchedOnce guards against a message that is over every limit being read again and again.
func TestAnEndlessMessageIsFetchedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		mux := http.NewServeMux()
		mux.Handle("/auth/", cursorsim.New(cursorsim.Config{}))
		mux.HandleFunc("/run", func(w http.ResponseWriter, r *http.Request) {
			requests++
			w.Header().Set("Content-Type", connectwire.ContentType)
			http.NewResponseController(w).Flush()
			var zipped bytes.Buffer
			z := gzip.NewWriter(&zipped)
			zeros := make([]byte, 1<<20)
			for range 65 {
				z.Write(zeros)
			}
			z.Close()
			w.Write(connectwire.Append(nil, connectwire.Compressed, zipped.Bytes()))
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		b := backendAt(t, mux)
		run, err := b.Start(t.Context(), backendtest.Request("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		if _, err := run.Next(t.Context()); agent.CodeOf(err) != agent.Upstream || requests != 1 {
			t.Errorf("%v after %d requests", err, requests)
		}
	})
}

// TestARefusalKeepsItsRetryAfter guards against reading upstream's words again once they are an *agent.Error.
func TestARefusalKeepsItsRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn always\nstatus 503 retry-after=7s Busy.\n", cursorsim.Config{}, nil)
		_, err := r.Start(t.Context(), backendtest.Request("hello"))
		if e := agent.AsError(err); e.Code != agent.Overloaded || e.RetryAfter != 7*time.Second || !e.FromUpstream {
			t.Errorf("%v, retry after %v", e, e.RetryAfter)
		}
	})
}

func TestAnUpstreamThatIsNotThereIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn always\ntext ok", cursorsim.Config{}, func(c *Config) {
			c.Transport.Dial = func(_ context.Context, network, _ string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
			}
		})
		_, err := r.Start(t.Context(), backendtest.Request("hello"))
		if e := agent.AsError(err); e.Code != agent.Upstream || !strings.HasPrefix(e.Message, "Cursor can't be reached at http://") || !strings.Contains(e.Message, "refused") {
			t.Errorf("%v: %q", e, e.Message)
		}
	})
}

// TestARefusalThatDoesNotEndIsNotWaitedFor guards against a proxy that sends a status and then nothing: the turn, and its client,
// once waited for ever.
func TestARefusalThatDoesNotEndIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.Handle("/auth/", cursorsim.New(cursorsim.Config{}))
		mux.HandleFunc("/run", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write([]byte("<html><p>The page that explains it all beg"))
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		b := backendAt(t, mux)

		begin := time.Now()
		_, err := b.Start(t.Context(), backendtest.Request("hello"))
		// Three attempts, and two pauses that are shorter than a second together.
		if took := time.Since(begin); agent.CodeOf(err) != agent.Overloaded || took < 3*cursorerr.RefusalTimeout || took > 3*cursorerr.RefusalTimeout+time.Second {
			t.Errorf("%v after %v", err, took)
		}

		leaving, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		_, err = b.Start(leaving, backendtest.Request("hello"))
		if took := time.Since(begin); leaving.Err() == nil || err == nil || took != time.Second {
			t.Errorf("a client that has left: %v after %v", err, took)
		}
	})
}
