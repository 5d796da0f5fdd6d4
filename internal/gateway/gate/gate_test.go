package gate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// crowd is who stands before a gate: it notes in which order they are let in, and lets them out on demand.
type crowd struct {
	t    *testing.T
	g    *Gate
	mu   sync.Mutex
	in   []string
	outs map[string]func()
}

// come has somebody come to the gate. name begins with the owner's, up to a digit.
func (c *crowd) come(ctx context.Context, name string, size int64) {
	owner := strings.TrimRight(name, "0123456789")
	go func() {
		leave, err := c.g.Enter(ctx, owner, size)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.in = append(c.in, name+"!")
			return
		}
		c.in = append(c.in, name)
		c.outs[name] = leave
	}()
	synctest.Wait() // so that they come one after the other
}

func (c *crowd) leave(name string) {
	c.outs[name]()
	synctest.Wait()
}

func (c *crowd) want(names string) {
	c.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := strings.Join(c.in, " "); got != names {
		c.t.Errorf("let in: %s, want %s", got, names)
	}
	c.in = nil
}

func atGate(t *testing.T, limit, perOwner int64, test func(c *crowd)) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, g: New(limit, perOwner), outs: map[string]func(){}}
		test(c)
		if len(c.g.owners) != 0 || c.g.used != 0 || c.g.turns.Len() != 0 {
			t.Errorf("left: %d owners, %d used, %d in turn", len(c.g.owners), c.g.used, c.g.turns.Len())
		}
	})
}

func TestOneOwnerNeverHoldsTheWholeGate(t *testing.T) {
	atGate(t, 4, 2, func(c *crowd) {
		for i := range 10 {
			c.come(c.t.Context(), fmt.Sprint("ann", i), 1)
		}
		c.want("ann0 ann1")
		c.come(c.t.Context(), "bob0", 1)
		c.want("bob0")
		for i := range 10 {
			c.leave(fmt.Sprint("ann", i))
		}
		c.leave("bob0")
	})
}

func TestOwnersAreLetInByTurns(t *testing.T) {
	atGate(t, 1, 1, func(c *crowd) {
		names := []string{"ann0", "ann1", "ann2", "bob0", "bob1", "eve0"}
		for _, name := range names {
			c.come(c.t.Context(), name, 1)
		}
		for _, name := range []string{"ann0", "ann1", "bob0", "eve0", "ann2", "bob1"} {
			c.want(name)
			c.leave(name)
		}
	})
}

func TestWhatIsLargeGetsItsTurn(t *testing.T) {
	atGate(t, 4, 4, func(c *crowd) {
		c.come(c.t.Context(), "ann0", 2)
		c.come(c.t.Context(), "bob0", 4)
		c.come(c.t.Context(), "eve0", 1) // it would fit, but bob would then wait for ever
		c.want("ann0")
		c.leave("ann0")
		c.want("bob0")
		c.leave("bob0")
		c.want("eve0")
		c.leave("eve0")
	})
}

func TestWhoGivesUpHoldsNobodyUp(t *testing.T) {
	atGate(t, 4, 4, func(c *crowd) {
		ctx, cancel := context.WithCancel(c.t.Context())
		c.come(c.t.Context(), "ann0", 2)
		c.come(ctx, "bob0", 4)
		c.come(c.t.Context(), "eve0", 1)
		c.want("ann0")
		cancel()
		synctest.Wait()
		c.mu.Lock()
		if len(c.in) != 2 { // in either order
			t.Errorf("then: %v", c.in)
		}
		c.mu.Unlock()
		c.leave("ann0")
		c.leave("eve0")
	})
}

func TestWhoCantWaitGetsRoomThatNobodyWaitsFor(t *testing.T) {
	atGate(t, 4, 3, func(c *crowd) {
		try := func(owner string, size int64, want bool) (leave func()) {
			c.t.Helper()
			leave, ok := c.g.TryEnter(owner, size)
			if ok != want {
				c.t.Errorf("%s, %d: %v", owner, size, ok)
			}
			return leave
		}
		first := try("ann", 2, true)
		try("ann", 2, false) // more than her share
		try("bob", 3, false) // more than there is
		second := try("bob", 1, true)
		c.come(c.t.Context(), "eve0", 2)
		try("bob", 1, false) // it is eve's turn
		second()
		c.want("eve0")
		first()
		c.leave("eve0")
	})
}
