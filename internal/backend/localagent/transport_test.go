package localagent

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"composer-api/internal/backend/backendtest"
	"composer-api/internal/sim/cursorsim"
)

// A connection that has its share of streams gets company before it is full: the third stream does not wait for it.
func TestAConnectionIsOpenedForEachShareOfStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		r := newRig(t, "turn always\nhold", cursorsim.Config{}, func(c *Config) {
			dial := c.Transport.Dial
			c.Transport.Spread = 2
			c.Transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dials.Add(1)
				return dial(ctx, network, address)
			}
		})
		for i, want := range []int32{1, 1, 2, 2, 2, 3} {
			r.start(t, backendtest.Request("hello"))
			synctest.Wait()
			if n := dials.Load(); n != want {
				t.Errorf("%d connections for %d streams, want %d", n, i+1, want)
			}
		}
	})
}

// closing is a connection that tells when it is closed.
type closing struct {
	net.Conn
	closed *atomic.Bool
}

func (c closing) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

func TestAConnectionThatComesAfterCloseIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Bool
		goOn := make(chan struct{})
		r := newRig(t, "turn always\nhold", cursorsim.Config{}, func(c *Config) {
			dial := c.Transport.Dial
			c.Transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				<-goOn
				conn, err := dial(ctx, network, address)
				return closing{conn, &closed}, err
			}
		})
		failed := make(chan error)
		go func() {
			_, err := r.Start(t.Context(), backendtest.Request("hello"))
			failed <- err
		}()
		synctest.Wait()
		r.Close()
		close(goOn)
		err := <-failed
		synctest.Wait()
		r.pool.mu.Lock()
		defer r.pool.mu.Unlock()
		if err == nil || !closed.Load() || len(r.pool.conns) != 0 {
			t.Errorf("%v; closed %v, %d connections kept", err, closed.Load(), len(r.pool.conns))
		}
	})
}
