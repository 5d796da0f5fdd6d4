package parking

import (
	"fmt"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// TestAThousandRunsWaitAtOnce parks a thousand runs, waits until every one has sent its heartbeats (the run's every 5 s,
// the call's every 3 s), and resumes them all.
func TestAThousandRunsWaitAtOnce(t *testing.T) {
	const many, workers = 1000, 40
	sim, gateway := start(t, "turn always\ncall look {}\ntext {result 1}")
	chats := make([]*chat, many)
	each(many, workers, func(i int) {
		c := newChat(t, gateway).user(fmt.Sprintf("Look at %d.", i))
		a, err := c.try()
		if err != nil || len(a.Calls) != 1 {
			t.Errorf("chat %d: %+v (%v)", i, a, err)
			return
		}
		c.result(a.Calls[0].ID, fmt.Sprintf("result %d", i))
		chats[i] = c
	})
	if t.Failed() {
		return
	}
	if open := sim.Open(); open != many {
		t.Fatalf("%d runs are open, want %d", open, many)
	}
	begin := time.Now()
	sim.Await("heartbeats of every run and every call", func(runs []harness.Run) bool {
		for _, r := range runs {
			if calls := r.Calls(); r.Heartbeats < 1 || len(calls) != 1 || calls[0].Heartbeats < 1 {
				return false
			}
		}
		return len(runs) == many
	})
	t.Logf("every run had sent its heartbeats after %s", time.Since(begin).Round(time.Millisecond))
	each(many, workers, func(i int) {
		a, err := chats[i].try()
		if want := fmt.Sprintf("result %d", i); err != nil || a.Resume != "parked" || a.Content != want {
			t.Errorf("chat %d: %+v (%v)", i, a, err)
		}
	})
	runs := sim.AwaitIdle()
	for _, r := range runs {
		if r.End != "well" {
			t.Fatalf("a run ended %q: %s", r.End, r.Error)
		}
	}
	if len(runs) != many {
		t.Errorf("there were %d runs, want %d", len(runs), many)
	}
}

// each calls do(0) to do(n-1), some at the same time.
func each(n, workers int, do func(int)) {
	next := make(chan int)
	done := make(chan struct{})
	for range workers {
		go func() {
			for i := range next {
				do(i)
			}
			done <- struct{}{}
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	for range workers {
		<-done
	}
}
