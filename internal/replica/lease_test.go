package replica

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/memstore"
)

// TestADeadReplicaIsNotAsked: its lease ends by itself some seconds after its last sign of life. One that only lost the
// database for a while is asked again when it is back, and one that ends says so.
func TestADeadReplicaIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New(memstore.Config{})
		a, b := newPeers(t, db, "10.0.0.1:1", secret), newPeers(t, db, "10.0.0.2:1", secret)
		b.cfg.Kept = time.Hour
		way := b.cfg.Store.(*memstore.Store) // also its lease's
		holder := func() string { address, _ := a.Holder(t.Context(), results("k:1", "call_1")); return address }
		b.Parked("k:1", []string{"call_1"}) // it need not have begun to renew
		if holder() == "" {
			t.Error("a replica that has just parked a run is not asked")
		}
		b.lease.begin()
		time.Sleep(10 * leaseTime)
		if holder() == "" {
			t.Error("a replica that lives is not asked")
		}
		way.Away(true)
		time.Sleep(leaseTime + leaseTick)
		if holder() != "" {
			t.Error("a replica that gives no sign of life is asked")
		}
		way.Away(false)
		time.Sleep(2 * leaseTick)
		if holder() == "" {
			t.Error("a replica that is back is not asked")
		}
		b.Shutdown(context.WithoutCancel(t.Context()))
		if holder() != "" {
			t.Error("a replica that has ended is asked")
		}
	})
}

// TestAReplicaOutOfReachIsLeftAlone for a moment: else each request would wait for a connection that can't be made.
func TestAReplicaOutOfReachIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New(memstore.Config{})
		a, b := newPeers(t, db, "10.0.0.1:1", secret), newPeers(t, db, "10.0.0.2:1", secret)
		b.Parked("k:1", []string{"call_1"})
		a.transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }
		ask := func() string { address, _ := a.Holder(t.Context(), results("k:1", "call_1")); return address }
		to := ask()
		if to == "" {
			t.Fatal("nobody holds the run")
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader("{}"))
		if a.Forward(httptest.NewRecorder(), r, to) == nil {
			t.Fatal("it was reached")
		}
		if got := ask(); got != "" {
			t.Errorf("%s is asked again at once", got)
		}
		time.Sleep(lostTime)
		if ask() == "" {
			t.Error("it is never asked again")
		}
		// A client that leaves says nothing about the replica.
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if a.Forward(httptest.NewRecorder(), r.WithContext(ctx), to) == nil || ask() == "" {
			t.Error("a client has left, and the replica counts as out of reach")
		}
	})
}

// TestNewTurnsAreForThoseWhoTakeThem: in turns, never this replica itself, none that is about to end, has ended or has died; and
// one that could not be reached just now only when there is no other.
func TestNewTurnsAreForThoseWhoTakeThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New(memstore.Config{})
		var all []*Peers
		for _, address := range []string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"} {
			p := newPeers(t, db, address, secret)
			p.lease.begin()
			all = append(all, p)
		}
		synctest.Wait()
		taking := func() map[string]int {
			got := map[string]int{}
			for range 100 {
				got[all[0].Open(t.Context())]++
			}
			return got
		}
		if got := taking(); len(got) != 3 || got["10.0.0.1:1"] != 0 || min(got["10.0.0.2:1"], got["10.0.0.3:1"], got["10.0.0.4:1"]) < 20 {
			t.Errorf("all live: %v", got)
		}
		all[0].Drain(t.Context())
		all[1].Drain(t.Context())
		time.Sleep(2 * leaseTick) // which renews the leases
		if got := taking(); len(got) != 2 || got["10.0.0.2:1"] != 0 {
			t.Errorf("the second is about to end: %v", got)
		}
		all[0].lost.add("10.0.0.3:1")
		if got := taking(); len(got) != 1 || got["10.0.0.4:1"] == 0 {
			t.Errorf("the third can't be reached: %v", got)
		}
		all[0].lost.add("10.0.0.4:1")
		if got := taking(); len(got) == 0 || got[""]+got["10.0.0.1:1"]+got["10.0.0.2:1"] > 0 {
			t.Errorf("none can be reached: %v", got)
		}
		all[3].cfg.Store.(*memstore.Store).Away(true) // as if it had died
		time.Sleep(leaseTime)
		all[2].Shutdown(context.WithoutCancel(t.Context()))
		if got := taking(); got[""] != 100 {
			t.Errorf("nobody is left: %v", got)
		}
		for _, i := range []int{0, 1, 3} {
			all[i].Shutdown(context.WithoutCancel(t.Context()))
		}
	})
}

// lateStore does the first renewal later than those after it.
type lateStore struct {
	store.Replicas
	renewals atomic.Int64
}

func (s *lateStore) RenewReplica(ctx context.Context, r store.Replica, lease time.Duration) error {
	if s.renewals.Add(1) == 1 {
		time.Sleep(time.Second)
	}
	return s.Replicas.RenewReplica(ctx, r, lease)
}

// TestALateRenewalTakesNothingBack: a replica that has said that it takes no new turns stays out, whatever arrives after that.
func TestALateRenewalTakesNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{}).Open()
		l := newLease(&lateStore{Replicas: s}, "10.0.0.1:1", slog.New(slog.DiscardHandler))
		l.begin()
		synctest.Wait() // the first is under way
		l.close(t.Context())
		time.Sleep(leaseTick / 2)
		synctest.Wait()
		if open, err := s.OpenReplicas(t.Context()); err != nil || len(open) > 0 {
			t.Errorf("%q take new turns, %v", open, err)
		}
		l.end(t.Context())
	})
}
