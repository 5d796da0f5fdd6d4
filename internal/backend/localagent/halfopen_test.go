package localagent

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/memnet"
	"composer-api/internal/sim/cursorsim"
)

// newHalfOpenRig is newRig with connections that can vanish, which it returns as they are made.
func newHalfOpenRig(t *testing.T, script string) (*rig, *[]*memnet.LossyConn) {
	conns := new([]*memnet.LossyConn)
	return newRig(t, script, cursorsim.Config{}, func(c *Config) {
		dial := c.Transport.Dial
		c.Transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			lossy := memnet.Lossy(conn)
			*conns = append(*conns, lossy)
			return lossy, nil
		}
	}), conns
}

func TestAStartOnAHalfOpenConnectionIsRetriedOnAFreshOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conns := newHalfOpenRig(t, "turn always\ntext ok")
		collect(t, r.start(t, backendtest.Request("first")))
		time.Sleep(time.Second)
		(*conns)[0].Vanish()
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
		if !(*conns)[0].Closed() {
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
		r.pool.retire(r.pool.conns[0])
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
		if !(*conns)[0].Closed() {
			t.Error("the connection was left open when its last stream had ended")
		}
	})
}

// A probe and a run share connections, so that a probe is cheap, and finds a dead connection before a run does.
func TestAProbeUsesTheConnectionsOfRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conns := newHalfOpenRig(t, "turn always\ntext ok")
		probe := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			return r.Probe(ctx)
		}
		for range 3 {
			if err := probe(); err != nil {
				t.Error(err)
			}
		}
		if turn := collect(t, r.start(t, backendtest.Request("first"))); turn.Text != "ok" || len(*conns) != 1 {
			t.Errorf("%q over %d connections", turn.Text, len(*conns))
		}
		(*conns)[0].Vanish()
		time.Sleep(time.Second)
		if err := probe(); err == nil || !strings.Contains(agent.AsError(err).Message, "there was no answer in time") {
			t.Errorf("a probe over a dead connection: %v", err)
		}
		begin := time.Now()
		if err := probe(); err != nil || len(*conns) != 2 {
			t.Errorf("the next probe: %v, over %d connections", err, len(*conns))
		}
		collect(t, r.start(t, backendtest.Request("second")))
		if took := time.Since(begin); took != 0 || len(*conns) != 2 {
			t.Errorf("the next run took %v, over %d connections", took, len(*conns))
		}
		if n := len(r.sim.Runs()); n != 2 {
			t.Errorf("upstream has seen %d runs", n)
		}
		r.noViolations(t)
	})
}
