package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slowServer takes its time for each connection.
type slowServer struct {
	time  time.Duration
	fails error
	open  atomic.Int64 // connections

	mu                   sync.Mutex      // protects what follows
	perHost              []time.Duration // of each attempt
	underWay, mostAtOnce int
}

// attempts is how many there were.
func (s *slowServer) attempts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.perHost)
}

// begin counts an attempt, until the function that it returns is called.
func (s *slowServer) begin(perHost time.Duration) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.perHost = append(s.perHost, perHost)
	s.underWay++
	s.mostAtOnce = max(s.mostAtOnce, s.underWay)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.underWay--
	}
}

// openConn is a connection to it.
type openConn struct {
	driver.Conn
	of *slowServer
}

func (c *openConn) Close() error { c.of.open.Add(-1); return nil }

func (s *slowServer) connect(ctx context.Context, perHost time.Duration) (driver.Conn, error) {
	defer s.begin(perHost)()
	ctx, cancel := context.WithTimeout(ctx, perHost)
	defer cancel()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(s.time):
	}
	if s.fails != nil {
		return nil, s.fails
	}
	s.open.Add(1)
	return &openConn{of: s}, nil
}

// ask asks for a connection as a call of the store does.
func ask(t *testing.T, c *connector) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	return c.Connect(ctx)
}

// TestASlowServerIsReachedInTheEnd: each connection takes longer than a call has. What a call has begun is for the next one.
func TestASlowServerIsReachedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{time: 4 * time.Second}
		c := newConnector(nil, 5*time.Second, 10*time.Second, server.connect)
		if _, err := ask(t, c); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		conn, err := ask(t, c)
		if err != nil || server.attempts() != 1 {
			t.Fatalf("%v after %d attempts", err, server.attempts())
		}
		conn.Close()
		// The same when nobody waits at the moment in which it is ready; but not for long.
		ask(t, c)
		time.Sleep(2 * time.Second)
		if conn, err = ask(t, c); err != nil || server.attempts() != 2 {
			t.Fatalf("%v after %d attempts", err, server.attempts())
		}
		conn.Close()
		ask(t, c)
		time.Sleep(2*time.Second + spareTime)
		if n := server.open.Load(); n != 0 {
			t.Errorf("%d connections are kept for nobody", n)
		}
		ask(t, c) // one is under way
		c.Close()
		if _, err := ask(t, c); err == nil {
			t.Error("it connects after its end")
		}
		if n := server.open.Load(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

// TestAttemptsAreNoMoreThanCalls: those who give up and come again wait for the attempts of before.
func TestAttemptsAreNoMoreThanCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{time: 8 * time.Second}
		c := newConnector(nil, 10*time.Second, 10*time.Second, server.connect)
		got := make(chan driver.Conn)
		const calls = 10
		for range calls {
			go func() {
				for {
					if conn, err := ask(t, c); err == nil {
						got <- conn
						return
					}
				}
			}()
		}
		for range calls {
			(<-got).Close()
		}
		if most, all := server.mostAtOnce, server.attempts(); most != calls || all != calls {
			t.Errorf("%d attempts, %d of them at once, for %d calls", all, most, calls)
		}
		c.Close()
	})
}

// TestAHostGetsMoreTimeAfterATimeout, in turns with little: it may be slow, or never answer and keep the next one waiting.
func TestAHostGetsMoreTimeAfterATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{time: time.Hour}
		c := newConnector(nil, time.Second, 4*time.Second, server.connect)
		for range 5 {
			c.Connect(t.Context())
		}
		server.time = 1500 * time.Millisecond
		if conn, err := c.Connect(t.Context()); err != nil {
			t.Error(err)
		} else {
			conn.Close()
		}
		server.fails = errors.New("not let in")
		server.time = 0
		c.Connect(t.Context())
		c.Connect(t.Context()) // an answer is no reason to wait longer
		want := []time.Duration{1, 2, 4, 1, 2, 4, 1, 1}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(server.perHost, want) {
			t.Errorf("%v, want %v", server.perHost, want)
		}
		c.Close()
	})
}

// TestAFailureIsToldToWhoWaits, each attempt to one.
func TestAFailureIsToldToWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		server := &slowServer{time: time.Second, fails: refused}
		c := newConnector(nil, 5*time.Second, 10*time.Second, server.connect)
		for range 3 {
			go func() {
				if _, err := ask(t, c); !errors.Is(err, refused) {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := server.attempts(); n != 3 {
			t.Errorf("%d attempts", n)
		}
		c.Close()
	})
}
