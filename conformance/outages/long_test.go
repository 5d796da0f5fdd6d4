package outages

import (
	"net/url"
	"os"
	"os/exec"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// A database that is away for long while clients go on asking: whoever brings a Cursor key is served all the time, hosted
// keys get an answer in time, nothing that a client was told of is lost, and the pools are what they were.

// outage is how long the database is away.
func outage() time.Duration {
	if testing.Short() {
		return 6 * time.Second // twice the time after which the store is given up
	}
	return 30 * time.Second
}

// underLoad lives through an outage with clients that never rest. watched is the database as the test reaches it.
func (s *service) underLoad(watched string, away, back func()) {
	t := s.t
	t.Helper()
	l := s.startLoad()
	s.eventually("responses that are stored", l.storing(), ok)
	id := s.begin()
	// A turn with a hosted key that has not begun yet could not begin without the database.
	s.sim.Await("the slow answer", func(runs []harness.Run) bool { return slowRun(runs) != nil })
	away()
	time.Sleep(outage())
	back()
	for _, g := range s.gateways {
		s.eventually("back, with a hosted key", func() answer { return s.chat(g, s.key) }, ok)
	}
	s.eventually("responses that are stored again", l.storing(), ok)
	l.end(t)
	s.isKept(id)
	s.poolsRecover(watched)
}

// TestAServerThatIsAwayForLong: its processes are stopped where they are, as on a machine that swaps or is migrated, and
// then they are killed.
func TestAServerThatIsAwayForLong(t *testing.T) {
	need(t)
	if testing.Short() {
		t.Skip("takes the database away for long, twice; hint: make test-outages")
	}
	t.Run("frozen", func(t *testing.T) {
		database := harness.NewPostgres(t)
		s := start(t, database)
		defer ctl(t, "thaw")
		s.underLoad(database, func() { ctl(t, "freeze") }, func() { ctl(t, "thaw") })
	})
	t.Run("killed", func(t *testing.T) {
		database := harness.NewPostgres(t)
		s := start(t, database)
		defer ctl(t, "start")
		s.underLoad(database, func() { ctl(t, "stop") }, func() { ctl(t, "start") })
	})
}

// TestAFailoverThatTheURLKnows: the URL names both servers, and the gateways find the one that can be written by
// themselves. What is acknowledged is on both, because the first waits for the second.
func TestAFailoverThatTheURLKnows(t *testing.T) {
	need(t)
	if testing.Short() {
		t.Skip("every write waits for two servers' disks, which may be slow; hint: make test-outages")
	}
	database := harness.NewPostgres(t)
	defer func() { // the server of before comes back alone
		ctl(t, "start")
		harness.SQL(t, database, "ALTER SYSTEM RESET synchronous_standby_names")
		harness.SQL(t, database, "SELECT pg_reload_conf()")
	}()
	standby := at(t, database, hostOf(t, ctl(t, "standby")))
	harness.SQL(t, database, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	harness.SQL(t, database, "SELECT pg_reload_conf()")
	// It takes effect a moment later; a write before that is on one of them only.
	nobody := &service{t: t}
	nobody.eventually("a replica that is waited for", func() answer {
		return nobody.onReplica(database, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'")
	}, ok)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("target_session_attrs", "read-write")
	u.RawQuery = query.Encode()
	both := at(t, u.String(), hostOf(t, database)+","+hostOf(t, standby))
	s := start(t, both)
	s.eventually("the replica", func() answer { return s.onReplica(standby, "SELECT count(*) FROM keys") }, ok)
	s.underLoad(standby, func() { ctl(t, "stop") }, func() { ctl(t, "promote") })
}

// network asks for something to be done to the network; see scripts/partition.sh.
func network(t *testing.T, what string) {
	t.Helper()
	program := os.Getenv("COMPOSER_TEST_NETWORK_CTL")
	if out, err := exec.CommandContext(t.Context(), program, what).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", program, what, err, out)
	}
}

// TestANetworkThatDropsPackets: a router between the gateways and the server drops what comes, without a word to anybody.
// Nobody is told that a connection is gone.
func TestANetworkThatDropsPackets(t *testing.T) {
	need(t)
	if os.Getenv("COMPOSER_TEST_NETWORK_CTL") == "" {
		t.Skip("this network can't be cut; hint: scripts/partition.sh")
	}
	database := harness.NewPostgres(t)
	s := start(t, database)
	s.underLoad(database, func() { network(t, "cut") }, func() { network(t, "heal") })
}
