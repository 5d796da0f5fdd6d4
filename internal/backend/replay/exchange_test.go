package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/memnet"
)

// exchanging serves handler over HTTP/2 in memory within a bubble and gives test a function that sends a request to it.
func exchanging(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, send func(ctx context.Context) (*Exchange, error))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		listener := memnet.Listen()
		server := &http.Server{Handler: handler, Protocols: protocols}
		served := make(chan struct{})
		go func() { defer close(served); server.Serve(listener) }()
		transport := listener.Transport(protocols)
		test(t, func(ctx context.Context) (*Exchange, error) {
			req, err := http.NewRequest("POST", "http://upstream.test/", bytes.NewReader([]byte("ask")))
			if err != nil {
				t.Fatal(err)
			}
			return Send(ctx, transport, req, "SETTING", Limits{})
		})
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
}

// lines reads the body line by line.
func lines(x *Exchange) func(yield func([]byte) bool) error {
	return func(yield func([]byte) bool) error {
		line := make([]byte, 0, 64)
		for {
			var b [1]byte
			if _, err := x.Read(b[:]); err != nil {
				return err
			}
			if b[0] != '\n' {
				line = append(line, b[0])
				continue
			}
			if !yield(line) {
				return io.ErrUnexpectedEOF
			}
			line = line[:0]
		}
	}
}

func flush(w http.ResponseWriter) { http.NewResponseController(w).Flush() }

// drain reads the request, without which a server does not see that its client leaves.
func drain(r *http.Request) { io.Copy(io.Discard, r.Body) }

func TestMessagesArriveInOrderAndWhole(t *testing.T) {
	exchanging(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 1000 {
			fmt.Fprintf(w, "%d %s\n", i, strings.Repeat("x", i%50))
		}
	}, func(t *testing.T, send func(context.Context) (*Exchange, error)) {
		x, err := send(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		x.Stream(lines(x))
		for i := range 1000 {
			got, err := x.Next(t.Context())
			if want := fmt.Sprintf("%d %s", i, strings.Repeat("x", i%50)); err != nil || string(got) != want {
				t.Fatalf("message %d is %q, %v", i, got, err)
			}
		}
		if _, err := x.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("the end is %v", err)
		}
	})
}

func TestSlowUpstreams(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		after   time.Duration
		message string
	}{
		{"no headers", func(w http.ResponseWriter, r *http.Request) { drain(r); <-r.Context().Done() },
			25 * time.Second, "The upstream service did not begin to answer within 25s."},
		{"headers and then nothing", func(w http.ResponseWriter, r *http.Request) { drain(r); flush(w); <-r.Context().Done() },
			30 * time.Second, "The upstream service has said nothing for 30s."},
		{"a word and then nothing", func(w http.ResponseWriter, r *http.Request) {
			drain(r)
			flush(w)
			time.Sleep(29 * time.Second)
			io.WriteString(w, "a\n")
			flush(w)
			<-r.Context().Done()
		}, 59 * time.Second, "The upstream service has said nothing for 30s."},
	} {
		t.Run(c.name, func(t *testing.T) {
			left := make(chan struct{})
			exchanging(t, func(w http.ResponseWriter, r *http.Request) {
				c.handler(w, r)
				close(left) // only when the exchange has reset its stream
			}, func(t *testing.T, send func(context.Context) (*Exchange, error)) {
				begin := time.Now()
				x, err := send(t.Context())
				if err == nil {
					defer x.Close()
					x.Stream(lines(x))
					for err == nil {
						_, err = x.Next(t.Context())
					}
				}
				if agent.CodeOf(err) != agent.UpstreamTimeout || agent.AsError(err).Message != c.message {
					t.Errorf("got %v", err)
				}
				if took := time.Since(begin); took != c.after {
					t.Errorf("it took %v, want %v", took, c.after)
				}
				<-left
			})
		})
	}
}

// A consumer that doesn't read is not upstream's silence.
func TestASlowConsumerIsNoStall(t *testing.T) {
	exchanging(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 100 {
			fmt.Fprintln(w, i)
			flush(w)
		}
	}, func(t *testing.T, send func(context.Context) (*Exchange, error)) {
		x, err := send(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		x.Stream(lines(x))
		for i := range 100 {
			time.Sleep(time.Minute)
			if got, err := x.Next(t.Context()); err != nil || string(got) != fmt.Sprint(i) {
				t.Fatalf("message %d is %q, %v", i, got, err)
			}
		}
	})
}

func TestNothingIsLostWhenAContextEnds(t *testing.T) {
	exchanging(t, func(w http.ResponseWriter, r *http.Request) {
		flush(w)
		time.Sleep(10 * time.Second)
		io.WriteString(w, "late\n")
	}, func(t *testing.T, send func(context.Context) (*Exchange, error)) {
		x, err := send(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		x.Stream(lines(x))
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := x.Next(brief); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if x.Buffered() {
			t.Error("something is buffered")
		}
		if got, err := x.Next(t.Context()); err != nil || string(got) != "late" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestCloseResetsTheStreamAtOnce(t *testing.T) {
	left := make(chan time.Duration, 1)
	begin := time.Now()
	exchanging(t, func(w http.ResponseWriter, r *http.Request) {
		begin = time.Now()
		drain(r)
		flush(w)
		<-r.Context().Done()
		left <- time.Since(begin)
	}, func(t *testing.T, send func(context.Context) (*Exchange, error)) {
		x, err := send(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		x.Stream(lines(x))
		time.Sleep(time.Second)
		x.Close()
		if after := <-left; after != time.Second {
			t.Errorf("upstream saw it after %v", after)
		}
		if _, err := x.Next(t.Context()); agent.CodeOf(err) != agent.Canceled {
			t.Errorf("Next after Close: %v", err)
		}
		if err := x.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

// Send's context bounds Send alone.
func TestTheExchangeOutlivesItsContext(t *testing.T) {
	exchanging(t, func(w http.ResponseWriter, r *http.Request) {
		flush(w)
		time.Sleep(time.Second)
		io.WriteString(w, "still here\n")
	}, func(t *testing.T, send func(context.Context) (*Exchange, error)) {
		ctx, cancel := context.WithCancel(t.Context())
		x, err := send(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		x.Stream(lines(x))
		if got, err := x.Next(t.Context()); err != nil || string(got) != "still here" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestSendEndsWithItsContext(t *testing.T) {
	exchanging(t, func(w http.ResponseWriter, r *http.Request) { drain(r); <-r.Context().Done() },
		func(t *testing.T, send func(context.Context) (*Exchange, error)) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := send(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
}

func TestACutStreamMayBeTriedAgain(t *testing.T) {
	exchanging(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a\n")
		flush(w)
		panic(http.ErrAbortHandler)
	}, func(t *testing.T, send func(context.Context) (*Exchange, error)) {
		x, err := send(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		x.Stream(lines(x))
		for err == nil {
			_, err = x.Next(t.Context())
		}
		var f *cursorerr.Failure
		if err = x.Fault(err); !errors.As(err, &f) || !f.Retryable || f.Err.Code != agent.Upstream {
			t.Errorf("got %v", err)
		}
	})
}

// The request carries a token, so it must not follow where upstream points.
func TestRedirectsAreNotFollowed(t *testing.T) {
	asked := 0
	exchanging(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "http://elsewhere.test/", http.StatusTemporaryRedirect)
	}, func(t *testing.T, send func(context.Context) (*Exchange, error)) {
		if _, err := send(t.Context()); agent.CodeOf(err) != agent.NotConfigured || asked != 1 {
			t.Errorf("got %v after %d requests", err, asked)
		}
	})
}

func TestARefusalThatDoesNotEnd(t *testing.T) {
	exchanging(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		for { // never silent for long enough to count as a stall
			w.Write([]byte("."))
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(450 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	}, func(t *testing.T, send func(context.Context) (*Exchange, error)) {
		x, err := send(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		begin := time.Now()
		if body := x.Refusal(); string(body) != "....." || time.Since(begin) != cursorerr.RefusalTimeout {
			t.Errorf("%q after %v", body, time.Since(begin))
		}
	})
}

func TestAnUpstreamThatIsNotThere(t *testing.T) {
	listener := memnet.Listen()
	listener.Close()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	req, err := http.NewRequest("POST", "http://upstream.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Send(t.Context(), listener.Transport(protocols), req, "SETTING", Limits{})
	var f *cursorerr.Failure
	if !errors.As(err, &f) || !f.Retryable || !strings.HasPrefix(f.Err.Message, "Cursor can't be reached at http://upstream.test: ") {
		t.Errorf("got %v", err)
	}
}

// Answers are read on a goroutine of their own, where nobody above could recover.
func TestAPanicOfAReaderIsAnError(t *testing.T) {
	exchanging(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("answer")) }, func(t *testing.T, send func(context.Context) (*Exchange, error)) {
		x, err := send(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		x.Stream(func(func([]byte) bool) error { panic("a bug") })
		if _, err := x.Next(t.Context()); agent.CodeOf(err) != agent.Internal || !strings.Contains(err.Error(), "a bug") {
			t.Errorf("error %v", err)
		}
	})
}
