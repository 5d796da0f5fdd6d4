package localagent

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/backend/backendtest"
	"composer-api/internal/sim/cursorsim"
)

// A halfOpen is a connection whose other end can vanish without a word, as behind a NAT that forgets it: from then on
// what is written gets lost, and nothing comes.
type halfOpen struct {
	net.Conn
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	gone bool
}

func (h *halfOpen) vanish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true
}

func (h *halfOpen) vanished() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gone
}

func (h *halfOpen) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if h.vanished() {
		<-h.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (h *halfOpen) Write(p []byte) (int, error) {
	if h.vanished() {
		return len(p), nil
	}
	return h.Conn.Write(p)
}

func (h *halfOpen) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.Conn.Close()
}

// newHalfOpenRig is newRig with connections that can vanish, which it returns as they are made.
func newHalfOpenRig(t *testing.T, script string) (*rig, *[]*halfOpen) {
	conns := new([]*halfOpen)
	return newRig(t, script, cursorsim.Config{}, func(c *Config) {
		dial := c.Transport.Dial
		c.Transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			h := &halfOpen{Conn: conn, closed: make(chan struct{})}
			*conns = append(*conns, h)
			return h, nil
		}
	}), conns
}

func TestAStartOnAHalfOpenConnectionIsRetriedOnAFreshOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conns := newHalfOpenRig(t, "turn always\ntext ok")
		collect(t, r.start(t, backendtest.Request("first")))
		time.Sleep(time.Second)
		(*conns)[0].vanish()
		begin := time.Now()
		run := r.start(t, backendtest.Request("second"))
		if took := time.Since(begin); took != 25*time.Second+250*time.Millisecond {
			t.Errorf("it took %v, want the time-out and one pause", took)
		}
		if turn := collect(t, run); turn.Text != "ok" || len(*conns) != 2 {
			t.Errorf("%q over %d connections", turn.Text, len(*conns))
		}
		begin = time.Now()
		collect(t, r.start(t, backendtest.Request("third")))
		if took := time.Since(begin); took != 0 || len(*conns) != 2 {
			t.Errorf("the next run took %v, over %d connections", took, len(*conns))
		}
		time.Sleep(time.Minute)
		select {
		case <-(*conns)[0].closed:
		default:
			t.Error("the connection was left open")
		}
		r.noViolations(t)
	})
}

// The connection that is set aside may be good, and upstream slow with one request: what runs over it goes on.
func TestAConnectionSetAsideKeepsItsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conns := newHalfOpenRig(t, "turn always\ncall look {}\ntext done")
		run := r.start(t, backendtest.Request("parks"))
		turn := collect(t, run)
		r.pool.setAside(r.pool.conns[0])
		time.Sleep(time.Minute)
		if other := collect(t, r.start(t, backendtest.Request("other"))); len(other.Calls) != 1 || len(*conns) != 2 {
			t.Errorf("%d calls over %d connections", len(other.Calls), len(*conns))
		}
		resume(t, run, turn)
		if turn := collect(t, run); turn.Text != "done" {
			t.Errorf("got %q", turn.Text)
		}
		run.Close()
		synctest.Wait()
		select {
		case <-(*conns)[0].closed:
		default:
			t.Error("the connection was left open when its last stream had ended")
		}
	})
}
