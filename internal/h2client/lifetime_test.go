package h2client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// What this client is for: what it doesn't keep, and when it writes.

// A connection has its reader, whatever is open on it; a request has the goroutine of its caller until there is a response.
func TestOpenRequestsHaveNoGoroutines(t *testing.T) {
	only(t, func(t *testing.T, w *world) {
		w.greeted()
		for i := range 50 {
			x := w.begin(t, "hello")
			w.server.answer(uint32(2*i + 1))
			x.response(t)
			x.body.put("more")
		}
		if n := goroutines(); n != 1 {
			t.Errorf("%d goroutines, want the reader", n)
		}
	})
}

// goroutines is how many there are that the client has started.
func goroutines() int {
	synctest.Wait()
	all := make([]byte, 1<<20)
	return strings.Count(string(all[:runtime.Stack(all, true)]), "created by composer-api/internal/h2client.")
}

// Nothing is left of a connection that is closed.
func TestNothingIsLeftOfAClosedConnection(t *testing.T) {
	only(t, func(t *testing.T, w *world) {
		w.greeted()
		w.begin(t).body.putLater("waits")
		w.Close()
		if n := goroutines(); n != 0 {
			t.Errorf("%d goroutines", n)
		}
	})
}

// writes counts writes.
type writes struct {
	net.Conn
	n atomic.Int32
}

func (w *writes) Write(p []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(p)
}

// What isn't urgent goes out together, with all that is said on the connection meanwhile, and not later than batchDelay.
func TestHeartbeatsOfManyStreamsGoOutTogether(t *testing.T) {
	var counted *writes
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOver(t, ours, func(c net.Conn) net.Conn {
			counted = &writes{Conn: c}
			return counted
		})
		w.greeted()
		var all []*exchange
		for range 50 {
			all = append(all, w.begin(t))
		}
		w.server.take()
		before := counted.n.Load()
		for _, x := range all {
			x.body.putLater("beat")
			synctest.Wait()
		}
		if got := w.server.take(http2.FrameData); len(got) != 0 {
			t.Errorf("%d frames went out at once", len(got))
		}
		time.Sleep(100 * time.Millisecond)
		if got := w.server.take(http2.FrameData); len(got) != 50 || counted.n.Load() != before+1 {
			t.Errorf("%d frames in %d writes", len(got), counted.n.Load()-before)
		}
		all[0].body.putLater("beat")
		all[1].body.put("urgent")
		if got := w.server.take(http2.FrameData); len(got) != 2 || counted.n.Load() != before+2 {
			t.Errorf("%d frames in %d writes", len(got), counted.n.Load()-before)
		}
	})
}

// stuck is a connection that takes nothing any more, from stop on.
type stuck struct {
	net.Conn
	stop atomic.Bool
	late time.Time
}

func (s *stuck) SetWriteDeadline(t time.Time) error {
	s.late = t
	return s.Conn.SetWriteDeadline(t)
}

func (s *stuck) Write(p []byte) (int, error) {
	if !s.stop.Load() {
		return s.Conn.Write(p)
	}
	time.Sleep(time.Until(s.late))
	return 0, os.ErrDeadlineExceeded
}

// A server that takes nothing holds up nobody who has something to say, and is given up after a while.
func TestAServerThatTakesNothingIsGivenUp(t *testing.T) {
	var conn *stuck
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOver(t, ours, func(c net.Conn) net.Conn {
			conn = &stuck{Conn: c}
			return conn
		})
		w.greeted()
		x := w.begin(t)
		w.server.answer(1)
		x.response(t)
		conn.stop.Store(true)
		begin := time.Now()
		for range 10_000 {
			x.body.put("nobody takes it")
		}
		if time.Since(begin) != 0 {
			t.Error("who puts something in has to wait")
		}
		for range 40 { // the server is there
			time.Sleep(time.Second)
			w.server.say(1, "x")
		}
		if _, err := io.ReadAll(x.resp.Body); !errors.Is(err, os.ErrDeadlineExceeded) || w.Err() == nil {
			t.Errorf("%v, %v", err, w.Err())
		}
	})
}

// The request's context ends the stream at any time, also while its body is open.
func TestTheContextEndsAStreamThatIsOpen(t *testing.T) {
	only(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.answer(1)
		w.server.say(1, "unread")
		resp := x.response(t)
		x.cancel()
		if got := w.server.resets(); got[1] != http2.ErrCodeCancel {
			t.Errorf("resets: %v", got)
		}
		if n, err := resp.Body.Read(make([]byte, 10)); n != 0 || !errors.Is(err, context.Canceled) || !x.body.closed() {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// A response that was whole needs no more of the request, and the server no error.
func TestARequestThatIsNotNeededAnyMore(t *testing.T) {
	only(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.headers(1, true, ":status=401")
		x.response(t).Body.Close()
		if got := w.server.resets(); len(got) != 1 || got[1] != http2.ErrCodeNo || !x.body.closed() {
			t.Errorf("resets: %v", got)
		}
	})
}

// A bug in a Source ends its connection, and not the process.
func TestAPanicEndsTheConnectionAlone(t *testing.T) {
	only(t, func(t *testing.T, w *world) {
		w.greeted()
		bad := &panicking{body: newBody()}
		_, err := w.RoundTrip((&http.Request{Method: http.MethodPost, URL: target, Header: http.Header{}, Body: bad}).WithContext(t.Context()))
		if err == nil || !strings.Contains(err.Error(), "panic: bug") || w.Err() == nil {
			t.Errorf("%v, %v", err, w.Err())
		}
	})
}

type panicking struct{ *body }

func (p *panicking) Take([]byte) (int, bool, error) { panic("bug") }

// Other bodies are refused, and closed.
func TestABodyThatIsNoSource(t *testing.T) {
	only(t, func(t *testing.T, w *world) {
		w.greeted()
		read, write := io.Pipe()
		_, err := w.RoundTrip(&http.Request{Method: http.MethodPost, URL: target, Header: http.Header{}, Body: read})
		if _, closed := write.Write([]byte("x")); err == nil || closed == nil || w.InFlight() != 0 {
			t.Errorf("%v, %v", err, closed)
		}
	})
}

// A server that asks without end and reads no answer costs a bounded amount of memory.
func TestAServerThatAsksAndDoesNotReadIsGivenUp(t *testing.T) {
	var conn *stuck
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOver(t, ours, func(c net.Conn) net.Conn {
			conn = &stuck{Conn: c}
			return conn
		})
		w.greeted()
		conn.stop.Store(true)
		go func() {
			for range 200_000 {
				if w.server.out.WritePing(false, [8]byte{}) != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if err := w.Err(); err == nil || !strings.Contains(err.Error(), "ENHANCE_YOUR_CALM") {
			t.Error(err)
		}
		time.Sleep(config.WriteTimeout) // until the write returns
	})
}
