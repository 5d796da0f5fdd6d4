// Package outages takes a real PostgreSQL away from running gateways, in each way that databases go away, and gives it
// back: scripts/outages.sh, or make test-outages.
//
// While the database is away, whoever brings a Cursor key of their own is served, hosted keys get 503 in time, and a
// process ends when it is asked to. When it is back, everything works again by itself, and nothing that was promised
// is lost: a background response that ended meanwhile is there with all of its events.
package outages

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

const (
	// inTime is how long an answer may take while the database is away: the store's limit of 3 s, on a busy machine.
	inTime = 15 * time.Second
	// soon is how long it may take until everything works again.
	soon = 45 * time.Second
)

// script is what the model says: a slow answer for background responses, which is not over before the database has gone.
const script = `
turn always when prompt "slow"
text One
delay 5s
text , two.
turn always
text Well.
`

// need skips tests outside of scripts/outages.sh: they stop the server that others would use.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("COMPOSER_TEST_OUTAGES") == "" {
		t.Skip("takes a PostgreSQL away; hint: make test-outages")
	}
}

// ctl asks for something to be done to the server; see scripts/postgres.sh.
func ctl(t *testing.T, what string) string {
	t.Helper()
	program := os.Getenv("COMPOSER_TEST_POSTGRES_CTL")
	if program == "" {
		t.Skip("this PostgreSQL can't be stopped; hint: leave COMPOSER_TEST_POSTGRES unset")
	}
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), program, what).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", program, what, err, out)
	}
	return strings.TrimSpace(string(out))
}

// at is a database's URL with another host and port.
func at(t *testing.T, database, address string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = address
	return u.String()
}

func hostOf(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// A service is two gateways on one database, and a user with a hosted key.
type service struct {
	t        *testing.T
	sim      *harness.Sim
	gateways []*harness.Gateway
	spare    *harness.Gateway // to be ended while the database is away
	key      string
}

func start(t *testing.T, database string) *service {
	t.Helper()
	s := &service{t: t, sim: harness.StartSim(t, "--calm")}
	s.sim.Play(script)
	run := func() *harness.Gateway {
		return harness.StartReplica(t, s.sim, []string{"COMPOSER_DB=" + database, "ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_SIGNUP_LIMIT=0"})
	}
	s.gateways = []*harness.Gateway{run(), run()}
	s.spare = run()
	a := s.do(http.MethodPost, s.gateways[0].URL+"/api/signup", "", `{"cursorApiKey":"crsr_`+rand.Text()+rand.Text()+`"}`)
	var up struct{ APIKey string }
	if err := json.Unmarshal([]byte(a.body), &up); err != nil || a.status != http.StatusOK {
		t.Fatalf("sign-up: %+v", a)
	}
	s.key = up.APIKey
	return s
}

// An answer is what came back, and how long that took.
type answer struct {
	status int
	body   string
	took   time.Duration
	err    error
}

func (s *service) do(method, url, key, body string) (a answer) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	begin := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(data), time.Since(begin), err}
}

func (s *service) chat(g *harness.Gateway, key string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, g.BaseURL()+"/chat/completions", key, `{"model":"composer-2.5","messages":[{"role":"user","content":"hello"}]}`)
}

// wants checks an answer that must come in time.
func (a answer) wants(t *testing.T, what string, status int) {
	t.Helper()
	if a.err != nil || a.status != status || a.took > inTime {
		t.Errorf("%s: status %d after %v, want %d: %v %s", what, a.status, a.took.Round(time.Millisecond), status, a.err, a.body)
	}
}

// eventually asks until good, or until that takes too long.
func (s *service) eventually(what string, ask func() answer, good func(answer) bool) answer {
	s.t.Helper()
	limit := time.Now().Add(soon)
	for {
		a := ask()
		if good(a) {
			return a
		}
		if time.Now().After(limit) {
			s.t.Fatalf("%s: after %v still %+v", what, soon, a)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func ok(a answer) bool { return a.err == nil && a.status == http.StatusOK }

// begin starts a background response on the first gateway and returns its id.
func (s *service) begin() (id string) {
	s.t.Helper()
	a := s.do(http.MethodPost, s.gateways[0].BaseURL()+"/responses", s.key, `{"model":"composer-2.5","background":true,"input":"slow"}`)
	var r struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &r); err != nil || a.status != http.StatusOK || r.ID == "" {
		s.t.Fatalf("a background response: %+v", a)
	}
	return r.ID
}

// isKept waits until both gateways know the response as completed, and checks that its events are all there.
func (s *service) isKept(id string) {
	s.t.Helper()
	for _, g := range s.gateways {
		s.eventually("the background response", func() answer { return s.do(http.MethodGet, g.BaseURL()+"/responses/"+id, s.key, "") },
			func(a answer) bool {
				return ok(a) && strings.Contains(a.body, `"status":"completed"`) && strings.Contains(a.body, "One, two.")
			})
		events := s.do(http.MethodGet, g.BaseURL()+"/responses/"+id+"?stream=true", s.key, "")
		for _, kind := range []string{"response.created", "response.output_text.delta", "response.output_text.done", "response.output_item.done", "response.completed"} {
			if !strings.Contains(events.body, "event: "+kind+"\n") {
				s.t.Errorf("the events of the background response lack %s: %+v", kind, events)
			}
		}
	}
}

// slowRun is the run of the background response; nil while there is none.
func slowRun(runs []harness.Run) *harness.Run {
	for i := range runs {
		if strings.Contains(runs[i].Prompt, "slow") {
			return &runs[i]
		}
	}
	return nil
}

// through lives through an outage.
func (s *service) through(away, back func()) {
	t := s.t
	t.Helper()
	for _, g := range s.gateways {
		s.chat(g, s.key).wants(t, "before, with a hosted key", http.StatusOK)
	}
	id := s.begin()
	s.sim.Await("the slow answer", func(runs []harness.Run) bool { return slowRun(runs) != nil })
	away()
	var all sync.WaitGroup
	for _, g := range s.gateways {
		all.Go(func() { s.chat(g, harness.Key).wants(t, "away, with a Cursor key", http.StatusOK) })
		all.Go(func() { s.chat(g, s.key).wants(t, "away, with a hosted key", http.StatusServiceUnavailable) })
		all.Go(func() { s.do(http.MethodGet, g.URL+"/healthz", "", "").wants(t, "away, health", http.StatusOK) })
	}
	all.Go(s.spare.Stop) // which fails the test when it takes too long
	all.Wait()
	s.sim.Await("the end of the slow answer", func(runs []harness.Run) bool { return slowRun(runs).End == "well" })
	back()
	for _, g := range s.gateways {
		s.eventually("back, with a hosted key", func() answer { return s.chat(g, s.key) }, ok)
	}
	s.isKept(id)
}

func TestASilentNetwork(t *testing.T) {
	need(t)
	t.Parallel()
	database := harness.NewPostgres(t)
	n := newLine(t, hostOf(t, database))
	s := start(t, at(t, database, n.address()))
	s.through(func() { n.setSilent(true) }, func() { n.setSilent(false) })
}

// A firewall that forgets: every connection is reset, and again when it is made anew.
func TestAConnectionThatIsCut(t *testing.T) {
	need(t)
	t.Parallel()
	database := harness.NewPostgres(t)
	n := newLine(t, hostOf(t, database))
	s := start(t, at(t, database, n.address()))
	s.through(func() {
		n.to("127.0.0.1:1") // where nobody listens
		n.cut()
	}, func() { n.to(hostOf(t, database)) })
}

// A full disk or an operator makes a database read-only. When it isn't any more, old sessions still are.
func TestADatabaseThatIsReadOnly(t *testing.T) {
	need(t)
	t.Parallel()
	database := harness.NewPostgres(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	server := harness.PostgresServer(t)
	s := start(t, database)
	s.through(func() {
		harness.SQL(t, server, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
		harness.SQL(t, server, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '"+name+"'")
	}, func() { harness.SQL(t, server, "ALTER DATABASE "+name+" RESET default_transaction_read_only") })
}

// A process that is killed while it works on a background response: the other ends it, so that nobody waits for ever.
func TestAReplicaThatDies(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t, harness.NewPostgres(t))
	id := s.begin()
	s.gateways[0].Kill()
	s.eventually("the response of the dead process", func() answer { return s.do(http.MethodGet, s.gateways[1].BaseURL()+"/responses/"+id, s.key, "") },
		func(a answer) bool { return ok(a) && strings.Contains(a.body, `"status":"failed"`) })
	s.chat(s.gateways[1], s.key).wants(t, "with a hosted key", http.StatusOK)
}

// TestAServerThatIsStopped stops PostgreSQL itself as a crash does, for gateways that talk to it directly and for others
// that do so through PgBouncer. The tests that run beside each other wait until this one is over.
func TestAServerThatIsStopped(t *testing.T) {
	need(t)
	defer ctl(t, "start")
	databases := []string{harness.NewPostgres(t)}
	if bouncer := os.Getenv("COMPOSER_TEST_PGBOUNCER"); bouncer != "" {
		u, err := url.Parse(harness.NewPostgres(t))
		if err != nil {
			t.Fatal(err)
		}
		through, err := url.Parse(bouncer)
		if err != nil {
			t.Fatal(err)
		}
		through.Path = u.Path
		query := through.Query()
		query.Set("default_query_exec_mode", "exec") // see docs/deployment.md
		through.RawQuery = query.Encode()
		databases = append(databases, through.String())
	}
	// Both live through the same outage: each says when it is ready for the next part.
	var stopped, started sync.Once
	var ready, done sync.WaitGroup
	ready.Add(len(databases))
	done.Add(len(databases))
	t.Run("all", func(t *testing.T) {
		for _, database := range databases {
			t.Run(hostOf(t, database), func(t *testing.T) {
				t.Parallel()
				// One that fails early must not keep the others waiting.
				isReady, isDone := sync.OnceFunc(ready.Done), sync.OnceFunc(done.Done)
				defer isDone()
				defer isReady()
				s := start(t, database)
				s.through(func() {
					isReady()
					ready.Wait()
					stopped.Do(func() { ctl(t, "stop") })
				}, func() {
					isDone()
					done.Wait()
					started.Do(func() { ctl(t, "start") })
				})
			})
		}
	})
}

// onReplica is 200 when a replica answers a question with one.
func (s *service) onReplica(database, question string) (a answer) {
	s.t.Helper()
	if a.body = harness.SQL(s.t, database, question); a.body == "1" {
		a.status = http.StatusOK
	}
	return a
}

// TestAFailover: the gateways reach a replica that only reads, as after a failover in which a name still leads to the
// server of before. The name is moved, but their connections stay; they must not be used any more. Then the other
// server dies, the replica takes its place, and the name is moved back.
func TestAFailover(t *testing.T) {
	need(t)
	defer ctl(t, "start")
	database := harness.NewPostgres(t)
	n := newLine(t, hostOf(t, database))
	s := start(t, at(t, database, n.address()))
	standby := ctl(t, "standby")
	standby = at(t, database, hostOf(t, standby))
	s.eventually("the replica", func() answer { return s.onReplica(standby, "SELECT count(*) FROM keys") }, ok)

	n.to(hostOf(t, standby))
	n.cut()
	for _, g := range s.gateways {
		s.chat(g, harness.Key).wants(t, "on a replica, with a Cursor key", http.StatusOK)
		s.chat(g, s.key).wants(t, "on a replica, with a hosted key", http.StatusServiceUnavailable)
	}
	n.to(hostOf(t, database))
	for _, g := range s.gateways {
		s.eventually("on the right server again", func() answer { return s.chat(g, s.key) }, ok)
	}

	id := s.begin()
	s.eventually("the background response", func() answer { return s.do(http.MethodGet, s.gateways[1].BaseURL()+"/responses/"+id, s.key, "") }, ok)
	s.eventually("the replica", func() answer { return s.onReplica(standby, "SELECT count(*) FROM responses") }, ok)
	ctl(t, "stop")
	ctl(t, "promote")
	n.to(hostOf(t, standby))
	for _, g := range s.gateways {
		s.eventually("on the new server", func() answer { return s.chat(g, s.key) }, ok)
	}
	s.isKept(id)
}
