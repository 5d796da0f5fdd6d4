package park

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ended records what a lot ended and why.
type ended struct {
	mu  sync.Mutex
	all map[string]Cause
}

func newLot(max int) (*Lot[string], *ended) {
	e := &ended{all: map[string]Cause{}}
	return New(Config[string]{Timeout: time.Minute, Max: max, End: func(w string, c Cause) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.all[w] = c
	}}), e
}

func (e *ended) want(t *testing.T, want map[string]Cause) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if diff := cmp.Diff(want, e.all); diff != "" {
		t.Error(diff)
	}
}

func TestAnyCallClaimsOnceAndOnlyForItsOwner(t *testing.T) {
	lot, ended := newLot(0)
	lot.Park("ann", Names{Calls: []string{"c1", "c2"}}, "run")
	if _, ok := lot.Claim("bob", []string{"c1", "c2"}); ok {
		t.Error("bob claimed ann's run")
	}
	if w, ok := lot.Claim("ann", []string{"unknown", "c2"}); !ok || w != "run" {
		t.Errorf("ann got %q, %v", w, ok)
	}
	if _, ok := lot.Claim("ann", []string{"c1"}); ok {
		t.Error("claimed twice")
	}
	lot.Close()
	ended.want(t, map[string]Cause{})
	if len(lot.byCall) != 0 {
		t.Errorf("%d keys left", len(lot.byCall))
	}
}

func TestManyClaimsAtOnceHaveOneWinner(t *testing.T) {
	lot, _ := newLot(0)
	lot.Park("ann", Names{Calls: []string{"c"}}, "run")
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, ok := lot.Claim("ann", []string{"c"}); ok {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d claims won", wins.Load())
	}
}

// Ids are the model's or the client's, so one may come again while another run still waits for it.
func TestACallIDThatComesAgainBelongsToTheNewerRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lot, ended := newLot(0)
		defer lot.Close()
		lot.Park("o", Names{Calls: []string{"a"}}, "older")
		time.Sleep(30 * time.Second)
		lot.Park("o", Names{Calls: []string{"a"}}, "newer")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		ended.want(t, map[string]Cause{"older": Expired})
		if w, ok := lot.Claim("o", []string{"a"}); !ok || w != "newer" {
			t.Errorf("claimed %q, %v", w, ok)
		}
	})
}

func TestExpiryIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lot, ended := newLot(0)
		lot.Park("o", Names{Calls: []string{"a"}}, "first")
		time.Sleep(30 * time.Second)
		lot.Park("o", Names{Calls: []string{"b"}}, "second")
		lot.Park("o", Names{Calls: []string{"c"}}, "third")
		time.Sleep(30*time.Second - 1)
		synctest.Wait()
		ended.want(t, map[string]Cause{})
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		ended.want(t, map[string]Cause{"first": Expired})
		if _, ok := lot.Claim("o", []string{"b"}); !ok {
			t.Error("second is gone")
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		ended.want(t, map[string]Cause{"first": Expired, "third": Expired})
		if lot.Len() != 0 || len(lot.byCall) != 0 {
			t.Errorf("left: %d waiters, %d keys", lot.Len(), len(lot.byCall))
		}
		lot.Close()
	})
}

func TestAFullLotEndsTheOldest(t *testing.T) {
	lot, ended := newLot(2)
	for i := range 3 {
		lot.Park("o", Names{Calls: []string{fmt.Sprint(i)}}, fmt.Sprint("run", i))
	}
	lot.awaitEndings()
	ended.want(t, map[string]Cause{"run0": Displaced})
	lot.Close()
	ended.want(t, map[string]Cause{"run0": Displaced, "run1": Closed, "run2": Closed})
}

func TestALotIsBoundedInBytes(t *testing.T) {
	ended := &ended{all: map[string]Cause{}}
	lot := New(Config[string]{MaxBytes: 10, Size: func(w string) int { return len(w) }, End: func(w string, c Cause) {
		ended.mu.Lock()
		defer ended.mu.Unlock()
		ended.all[w] = c
	}})
	for i, w := range []string{"four", "six666", "larger than all", "2x", "1"} {
		lot.Park("o", Names{Calls: []string{fmt.Sprint(i)}}, w)
	}
	lot.awaitEndings()
	ended.want(t, map[string]Cause{"larger than all": Displaced, "four": Displaced})
	if _, ok := lot.Claim("o", []string{"1"}); !ok || lot.bytes != 3 {
		t.Errorf("six666 was claimed: %v; %d bytes are left", ok, lot.bytes)
	}
	lot.Close()
	if lot.bytes != 0 {
		t.Errorf("%d bytes after the end", lot.bytes)
	}
}

func TestALotMayBeFullToItsLastByte(t *testing.T) {
	for _, tc := range []struct{ max, size int }{{10, 5}, {0, 128 << 20}} { // 0 is the default, 256 MiB
		lot := New(Config[string]{MaxBytes: tc.max, Size: func(string) int { return tc.size }, End: func(string, Cause) {}})
		for i, want := range []int{1, 2, 2} {
			lot.Park("o", Names{Calls: []string{fmt.Sprint(i)}}, "run")
			if n := lot.Len(); n != want {
				t.Errorf("%d bytes: %d waiters after %d were parked, want %d", tc.max, n, i+1, want)
			}
		}
		lot.Close()
	}
}

// The timer's goroutine has nobody who would notice that it went wrong, but for Panicked.
func TestTheLastExpiryIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lot := New(Config[string]{Timeout: time.Minute, End: func(string, Cause) {}, Panicked: func(p any) { t.Errorf("it panicked: %v", p) }})
		defer lot.Close()
		lot.Park("o", Names{Calls: []string{"a"}}, "run")
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := lot.Len(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

func TestAClosedLotEndsWhatComesLate(t *testing.T) {
	lot, ended := newLot(0)
	lot.Close()
	lot.Park("o", Names{Calls: []string{"a"}}, "late")
	if lot.Len() != 0 {
		t.Error("it waits in a closed lot")
	}
	lot.Close()
	ended.want(t, map[string]Cause{"late": Closed})
}

// Turns park while the gateway closes: each run must be ended, and nothing may panic.
func TestParkBesideClose(t *testing.T) {
	for range 500 {
		var ended atomic.Int32
		lot := New(Config[int]{End: func(int, Cause) { ended.Add(1) }})
		lot.Park("o", Names{Calls: []string{"c"}}, 0)
		var turns sync.WaitGroup
		for k := range 4 {
			turns.Go(func() { lot.Park("o", Names{Calls: []string{fmt.Sprint("d", k)}}, k) })
		}
		lot.Close()
		turns.Wait()
		lot.Close()
		if n := ended.Load(); n != 5 {
			t.Fatalf("%d of 5 were ended", n)
		}
	}
}

func TestFindLooksAndSupersedeEnds(t *testing.T) {
	lot, ended := newLot(0)
	lot.Park("ann", Names{Calls: []string{"c1"}, Transcript: "hi", Conversation: "s1"}, "one")
	lot.Park("ann", Names{Calls: []string{"c2"}, Transcript: "hi", Conversation: "s2"}, "two")
	lot.Park("ann", Names{Calls: []string{"c3", "c4"}}, "three")
	lot.Park("ann", Names{Calls: []string{"c5"}}, "four")
	lot.Park("bob", Names{Calls: []string{"c1"}, Transcript: "hi", Conversation: "s1"}, "bob's")
	for _, tc := range []struct {
		owner, said string
		most, want  int
	}{{"ann", "hi", 2, 2}, {"ann", "hi", 1, 0}, {"bob", "hi", 1, 1}, {"ann", "", 9, 0}, {"eve", "hi", 9, 0}} {
		if n := len(lot.Find(tc.owner, tc.said, tc.most)); n != tc.want {
			t.Errorf("%+v: found %d", tc, n)
		}
	}
	lot.Supersede("ann", nil, "")
	lot.Supersede("ann", []string{"c4", "c3", "unknown"}, "s1")
	lot.awaitEndings()
	ended.want(t, map[string]Cause{"one": Superseded, "three": Superseded})
	if _, ok := lot.Claim("ann", []string{"c1", "c3", "c4"}); ok {
		t.Error("claimed what is superseded")
	}
	for owner, calls := range map[string][]string{"ann": {"c2"}, "bob": {"c1"}} {
		if _, ok := lot.Claim(owner, calls); !ok {
			t.Errorf("%s's is gone", owner)
		}
	}
	if _, ok := lot.Claim("ann", []string{"c5"}); !ok || len(lot.byCall) != 0 || len(lot.shared) != 0 {
		t.Errorf("left: %v, %v", lot.byCall, lot.shared)
	}
}
