package sqlstore_test

import (
	"database/sql"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/bounded"
	"composer-api/internal/store/sqlstore"
	"composer-api/internal/store/storetest"
)

// sessions are the processes of the server that serve the application.
func sessions(t *testing.T, db *sql.DB, application string) (pids []int) {
	t.Helper()
	rows, err := db.Query(`SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY pid`, application)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// After a failover the server of before may go on, and only read. A connection to it is of no use.
func TestAConnectionThatOnlyReadsIsThrownAway(t *testing.T) {
	dsn := storetest.Postgres(t)
	open(t, sqlstore.Config{DSN: dsn})
	raw := rawPostgres(t, dsn)
	db := open(t, sqlstore.Config{DSN: dsn + "&default_transaction_read_only=on&application_name=stale"})
	before := sessions(t, raw, "stale")
	if err := db.PutSession(t.Context(), store.Session{AgentID: "a"}); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("writing: %v", err)
	}
	if err := db.PutSession(t.Context(), store.Session{AgentID: "a"}); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("writing: %v", err)
	}
	for _, pid := range sessions(t, raw, "stale") {
		if slices.Contains(before, pid) {
			t.Errorf("connection %d is still in use", pid)
		}
	}
}

// A restart of the server ends all connections.
func TestARestartedServerIsUsedAtOnce(t *testing.T) {
	dsn := storetest.Postgres(t)
	raw := rawPostgres(t, dsn)
	db := bounded.New(open(t, sqlstore.Config{DSN: dsn + "&application_name=restarted"}), bounded.Limit, nil)
	r := store.Response{Owner: "k:1", ID: "resp_1", Expires: time.Now().Add(time.Hour)}
	if err := db.CreateResponse(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'restarted'`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Response(t.Context(), "k:1", "resp_1"); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := db.DeleteResponse(t.Context(), "k:1", "resp_1"); err != nil {
		t.Errorf("writing: %v", err)
	}
}

// A host that takes connections and says nothing, or that no packet reaches, must not use up the time of a call: the next
// host of the URL has its turn.
func TestASilentHostOfSeveralIsPassedOver(t *testing.T) {
	dsn := storetest.Postgres(t)
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // nobody accepts
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = silent.Addr().String() + "," + u.Host
	query := u.Query()
	query.Set("target_session_attrs", "read-write")
	u.RawQuery = query.Encode()
	db := bounded.New(open(t, sqlstore.Config{DSN: u.String()}), bounded.Limit, nil)
	if err := db.PutSession(t.Context(), store.Session{AgentID: "a", Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Error(err)
	}
}

// slowly is an address from which connections go on to the server at another, after a while.
func slowly(t *testing.T, address string, after time.Duration) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				<-time.After(after)
				server, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
				if err != nil {
					return
				}
				defer server.Close()
				go io.Copy(server, client)
				io.Copy(client, server)
			}()
		}
	}()
	return l.Addr().String()
}

// TestASlowHostOfSeveralIsReached: it needs more than the second that each host has at first, as a server does that many
// processes turn to at once. Calls don't begin again and again in vain.
func TestASlowHostOfSeveralIsReached(t *testing.T) {
	dsn := storetest.Postgres(t)
	open(t, sqlstore.Config{DSN: dsn}) // makes the schema
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = slowly(t, u.Host, 1200*time.Millisecond) + ",127.0.0.1:1" // where nobody listens
	db := bounded.New(open(t, sqlstore.Config{DSN: u.String(), AllowUnavailable: true}), bounded.Limit, nil)
	for begin := time.Now(); time.Since(begin) < 30*time.Second; <-time.After(50 * time.Millisecond) { // a failure is remembered for a moment
		if err = db.PutSession(t.Context(), store.Session{AgentID: "a", Expires: time.Now().Add(time.Hour)}); err == nil {
			return
		}
	}
	t.Error(err)
}
