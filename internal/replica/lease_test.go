package replica

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
		holder := func() string { return a.Holder(t.Context(), results("k:1", "call_1")) }
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
		ask := func() string { return a.Holder(t.Context(), results("k:1", "call_1")) }
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
