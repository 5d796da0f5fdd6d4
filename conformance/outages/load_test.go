package outages

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// A load is clients that never rest: some bring a Cursor key, some have a hosted one, and some have their answers stored.
// What must hold of each is in its method.
type load struct {
	*service
	enough chan struct{}
	work   sync.WaitGroup

	mu       sync.Mutex // protects what follows
	direct   int        // answers to Cursor keys
	hosted   int        // answers to hosted keys
	refused  int        // of these, 503
	longest  time.Duration
	promised []string // ids of responses of which clients were told that they are stored
	failures []string
}

// startLoad begins. The caller ends it.
func (s *service) startLoad() *load {
	l := &load{service: s, enough: make(chan struct{})}
	for n := range 4 {
		for _, client := range []func(*harness.Gateway){l.askDirectly, l.askHosted, l.keep} {
			l.work.Go(func() {
				for i := n; ; i++ {
					select {
					case <-l.enough:
						return
					case <-time.After(50 * time.Millisecond): // else clients would only measure the machine
						client(s.gateways[i%len(s.gateways)])
					}
				}
			})
		}
	}
	return l
}

// note counts an answer under the lock, and keeps what is wrong with it.
func (l *load) note(a answer, what string, good bool, count func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.longest = max(l.longest, a.took)
	count()
	if !good || a.took > inTime {
		l.failures = append(l.failures, fmt.Sprintf("%s: status %d after %v, %v: %s", what, a.status, a.took, a.err, a.body))
	}
}

// askDirectly: whoever brings a Cursor key is served, whatever the database does.
func (l *load) askDirectly(g *harness.Gateway) {
	a := l.chat(g, harness.Key)
	l.note(a, "with a Cursor key", ok(a), func() { l.direct++ })
}

// askHosted: a hosted key is served, or answered 503 in time.
func (l *load) askHosted(g *harness.Gateway) {
	a := l.chat(g, l.key)
	away := a.err == nil && a.status == http.StatusServiceUnavailable
	l.note(a, "with a hosted key", ok(a) || away, func() {
		l.hosted++
		if away {
			l.refused++
		}
	})
}

// keep: an answer whose object says that it is stored can be found afterwards. One that could not be stored says so.
func (l *load) keep(g *harness.Gateway) {
	a := l.do(http.MethodPost, g.BaseURL()+"/responses", harness.Key, `{"model":"composer-2.5","input":"hello"}`)
	var r struct {
		ID    string
		Store bool
	}
	err := json.Unmarshal([]byte(a.body), &r)
	l.note(a, "a response", ok(a) && err == nil && r.ID != "", func() {
		if r.Store {
			l.promised = append(l.promised, r.ID)
		}
	})
}

// storing is 200 as soon as fifty more responses are stored than were when it was made.
func (l *load) storing() func() answer {
	stored := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.promised)
	}
	enough := stored() + 50
	return func() (a answer) {
		if stored() >= enough {
			a.status = http.StatusOK
		}
		return a
	}
}

// end stops the clients and checks what they were told.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.enough)
	l.work.Wait()
	for i, f := range l.failures {
		if i == 5 {
			t.Errorf("and %d more", len(l.failures)-i)
			break
		}
		t.Error(f)
	}
	for i, id := range l.promised {
		g := l.gateways[i%len(l.gateways)]
		if a := l.do(http.MethodGet, g.BaseURL()+"/responses/"+id, harness.Key, ""); !ok(a) || !strings.Contains(a.body, "Well.") {
			t.Errorf("a response that was stored is not there: %+v", a)
		}
	}
	t.Logf("%d answers to Cursor keys, %d to hosted keys of which %d were 503, %d responses stored and found again; the longest answer took %v",
		l.direct, l.hosted, l.refused, len(l.promised), l.longest.Round(10*time.Millisecond))
	if l.refused == 0 {
		t.Error("nobody noticed an outage")
	}
}

// poolsRecover checks that each gateway keeps no more connections to the database than its pool has, and that it listens.
func (s *service) poolsRecover(database string) {
	s.t.Helper()
	const most = 10 + 1 // the pool, and the connection that listens
	s.eventually("the pools", func() answer {
		return s.onReplica(database, fmt.Sprintf("SELECT CASE WHEN count(*) <= %d THEN 1 ELSE 0 END FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'composer-api'", most*len(s.gateways)))
	}, ok)
	s.eventually("those who listen", func() answer {
		return s.onReplica(database, fmt.Sprintf("SELECT CASE WHEN count(*) = %d THEN 1 ELSE 0 END FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN composer_api'", len(s.gateways)))
	}, ok)
}
