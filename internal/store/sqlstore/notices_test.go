package sqlstore_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/sqlstore"
	"composer-api/internal/store/storetest"
)

// aRef is a response that need not be there.
var aRef = store.ResponseRef{Owner: "k:1", ID: "resp_1"}

// A said is a log that tests can read while it is written.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // holds one
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

// await waits until the log has text.
func (s *said) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		s.mu.Lock()
		all := s.text.String()
		s.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-s.more:
		case <-limit:
			t.Fatalf("the log does not say %q:\n%s", text, all)
		}
	}
}

// awaitComplete waits until a watch is complete, or isn't.
func awaitComplete(t *testing.T, w store.Watch, complete bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for w.Complete() != complete {
		select {
		case <-w.Changed():
		case <-limit:
			t.Fatalf("complete is not %v", complete)
		}
	}
}

// A connection that listens may break like any other. Whoever waits is told, because something may have gone by.
func TestAListenerThatBreaksIsReplaced(t *testing.T) {
	dsn := storetest.Postgres(t)
	raw := rawPostgres(t, dsn)
	log := &said{more: make(chan struct{}, 1)}
	db := open(t, sqlstore.Config{DSN: dsn + "&application_name=listens", Log: slog.New(slog.NewTextHandler(log, nil))})
	w := db.WatchResponse(aRef, true)
	defer w.Stop()
	awaitComplete(t, w, true)
	run(t, raw, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'listens' AND query LIKE 'LISTEN%'`)
	awaitComplete(t, w, false)
	log.await(t, "looked for every half second")
	awaitComplete(t, w, true)
	log.await(t, "told again at once")
}

// Behind PgBouncer in transaction mode LISTEN is taken, and nothing comes.
func TestAListenerBehindPgBouncerSaysSo(t *testing.T) {
	log := &said{more: make(chan struct{}, 1)}
	db := open(t, sqlstore.Config{DSN: storetest.PgBouncer(t), Log: slog.New(slog.NewTextHandler(log, nil))})
	w := db.WatchResponse(aRef, true)
	defer w.Stop()
	log.await(t, "COMPOSER_DB_LISTEN")
	if w.Complete() {
		t.Error("it claims to hear of everything")
	}
}
