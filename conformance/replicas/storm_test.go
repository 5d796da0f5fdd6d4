package replicas

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// The storm: hundreds of clients at once on three replicas, while replicas are killed, started again and replaced one by one.
// It takes two minutes, is run by make test-replicas, and writes down what came of it.

const (
	// stormVariable is how many clients there are; without it there is no storm.
	stormVariable = "COMPOSER_TEST_STORM"
	// tableVariable is the file into which the figures go; without it they are only logged.
	tableVariable = "COMPOSER_TEST_STORM_TABLE"

	// stormThink is how long a client's tool takes at most.
	stormThink = 3 * time.Second
	// stormTime is how long replicas are killed, one every killEvery.
	stormTime, killEvery = 30 * time.Second, 4 * time.Second
)

// A row is a line of the table.
type row struct{ what, figure string }

// A storm is the test as it goes on.
type storm struct {
	*cluster
	clients int
	rows    []row
	next    int // number of the next loop
}

func (s *storm) say(what, format string, args ...any) {
	s.t.Helper()
	r := row{what, fmt.Sprintf(format, args...)}
	s.rows = append(s.rows, r)
	s.t.Logf("%s: %s", r.what, r.figure)
}

func TestAStorm(t *testing.T) {
	clients, err := strconv.Atoi(os.Getenv(stormVariable))
	if err != nil {
		t.Skip("hundreds of clients while replicas are killed; hint: make test-replicas")
	}
	begin := time.Now()
	s := &storm{cluster: newCluster(t, harness.NewPostgres(t), 3, "1m"), clients: clients}
	s.calm()
	s.kills()
	s.rolling()
	s.background()
	s.limits()
	s.violations()
	if name := os.Getenv(tableVariable); name != "" {
		if err := os.WriteFile(name, []byte(s.table(time.Since(begin))), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// violations: nothing that upstream forbids has happened. Heartbeats are counted only: on a machine with too much to do they
// come late.
func (s *storm) violations() {
	late := 0
	for _, v := range s.sim.Violations() {
		if strings.Contains(v, " heartbeats of exec ") {
			late++
			continue
		}
		s.t.Errorf("violation: %s", v)
	}
	s.say("runs whose heartbeats came late", "%d", late)
}

// table is what came of it, for people.
func (s *storm) table(took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What three replicas bear\n\nMeasured %s on %d cores, in %v: three servers behind nginx (round robin, nothing sticky), PostgreSQL, %d clients at once, and the simulator, all on this machine. "+
		"`make test-replicas` makes this file.\n\n| what | |\n| --- | --- |\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), took.Round(time.Second), s.clients)
	for _, r := range s.rows {
		fmt.Fprintf(&b, "| %s | %s |\n", r.what, r.figure)
	}
	return b.String()
}

// load has all clients run loops, one after the other, until meanwhile has returned. Each runs one at least.
func (s *storm) load(meanwhile func()) (all *tally, took time.Duration, runs int) {
	s.t.Helper()
	all = &tally{}
	var numbers sync.Mutex // protects s.next
	number := func() int {
		numbers.Lock()
		defer numbers.Unlock()
		s.next++
		return s.next
	}
	before, begin := len(s.sim.Runs()), time.Now()
	enough := make(chan struct{})
	var clients sync.WaitGroup
	for range s.clients {
		clients.Go(func() {
			for {
				s.loop(number(), stormThink, all)
				select {
				case <-enough:
					return
				default:
				}
			}
		})
	}
	meanwhile()
	close(enough)
	clients.Wait()
	took = time.Since(begin)
	all.check(s.t)
	return all, took, len(s.sim.Runs()) - before
}

// report writes down what came of a load.
func (s *storm) report(what string, all *tally, took time.Duration, runs int) {
	s.t.Helper()
	right := "all with the right answer"
	if len(all.failures) > 0 {
		right = fmt.Sprintf("%d **failed**", len(all.failures))
	}
	s.say(what, "%d loops of %d calls in %v, %s; %d upstream runs; %.1f %% of the loops were one run to the end; %d results found their run and %d did not; clients sent %d requests again",
		all.loops, calls, took.Round(time.Second), right, runs, 100*float64(all.parked)/float64(max(all.loops, 1)), all.resumed["parked"], all.resumed["transcript"], all.again)
}

// calm: nobody dies.
func (s *storm) calm() {
	all, took, runs := s.load(func() {})
	s.report("all replicas alive", all, took, runs)
	// A database that doesn't answer in two seconds, on a machine that is very busy, makes a loop begin again.
	if few := s.clients / 20; all.parked < all.loops-few || runs > all.loops+few {
		s.t.Error("these are more runs than loops")
	}
}

// kills: a replica is killed every few seconds, and started again at the same address.
func (s *storm) kills() {
	kills := 0
	all, took, runs := s.load(func() {
		for end := time.Now().Add(stormTime); time.Now().Before(end); kills++ {
			s.wait(killEvery)
			i := kills % len(s.replicas)
			s.replicas[i].Kill()
			s.wait(killEvery / 4)
			s.start(i)
		}
	})
	s.report(fmt.Sprintf("kill -9, %d times, one every %v", kills, killEvery+killEvery/4), all, took, runs)
}

// rolling: each replica is asked to end, finishes what it has begun, and a new one takes its address.
func (s *storm) rolling() {
	var longest time.Duration
	all, took, runs := s.load(func() {
		for i := range s.replicas {
			s.wait(stormThink)
			begin := time.Now()
			s.replicas[i].Stop()
			longest = max(longest, time.Since(begin))
			s.start(i)
		}
	})
	s.report("rolling update", all, took, runs)
	s.say("rolling update: a replica has finished after", "%v at most", longest.Round(100*time.Millisecond))
	if few := all.loops / 10; all.parked < all.loops-few {
		s.t.Error("loops lost their runs in a rolling update")
	}
}

// responses is how many responses run in the background at once.
const responses = 24

// A backgroundResponse is one of them, as its client sees it.
type backgroundResponse struct {
	id        string
	streams   [2]followed
	cancelled time.Time // when that was asked for; zero for those that end by themselves
	err       error
}

// background: responses that are begun, followed by two, and cancelled by every other client, each wherever nginx sends the
// request.
func (s *storm) background() {
	all := make([]backgroundResponse, responses)
	var clients sync.WaitGroup
	for i := range all {
		clients.Go(func() { all[i].err = s.oneResponse(i, &all[i]) })
	}
	clients.Wait()
	ended := map[string]time.Time{}
	for _, r := range s.sim.AwaitIdle() {
		if i := strings.Index(r.Prompt, "response "); i >= 0 {
			name, _, _ := strings.Cut(r.Prompt[i:], ".")
			ended[name] = r.Ended
		}
	}
	var apart, cancels []time.Duration
	for i, r := range all {
		if r.err != nil {
			s.t.Errorf("response %d: %v", i, r.err)
			continue
		}
		for n := range r.streams[0].at {
			apart = append(apart, r.streams[0].at[n].Sub(r.streams[1].at[n]).Abs())
		}
		if !r.cancelled.IsZero() {
			cancels = append(cancels, ended[fmt.Sprint("response ", i)].Sub(r.cancelled))
		}
	}
	s.say("background responses at once, each followed by two", "%d; both got the same events; between the two %s", responses, spread(apart))
	s.say("from a cancel on any replica to its end upstream", "%s", spread(cancels))
}

// oneResponse begins a response, follows it twice, and cancels it if its number is even.
func (s *storm) oneResponse(i int, r *backgroundResponse) error {
	script := strings.ReplaceAll(slowWords(), "\n", `\nsim: `)
	_, script, _ = strings.Cut(script, `\n`) // the line that says when
	if i%2 == 1 {
		script = strings.Replace(script, `hold\nsim: `, "", 1)
	}
	a, _ := s.insist(http.MethodPost, "/v1/responses", cursorKey, fmt.Sprintf(`{"model":"composer-2.5","background":true,"input":"response %d.\n%s"}`, i, strings.TrimSuffix(script, `\nsim: `)))
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || !a.ok() {
		return fmt.Errorf("%+v", a)
	}
	r.id = made.ID
	errs := make([]error, len(r.streams))
	said := make(chan struct{})
	var followers, all sync.WaitGroup
	followers.Add(len(r.streams))
	for n := range r.streams {
		all.Go(func() {
			last := sync.OnceFunc(followers.Done)
			defer last()
			r.streams[n], errs[n] = s.follow(s.url+"/v1", r.id, func(event string) {
				if isLastWord(event) {
					last()
				}
			})
		})
	}
	go func() {
		followers.Wait()
		close(said)
	}()
	<-said
	want := "completed"
	if i%2 == 0 {
		want = "cancelled"
		r.cancelled = time.Now()
		if a, _ := s.insist(http.MethodPost, "/v1/responses/"+r.id+"/cancel", cursorKey, ""); !a.ok() || !strings.Contains(a.body, `"status":"cancelled"`) {
			return fmt.Errorf("cancel: %+v", a)
		}
	}
	all.Wait()
	for n, f := range r.streams {
		switch {
		case errs[n] != nil:
			return errs[n]
		case !slices.Equal(f.events, r.streams[0].events):
			return fmt.Errorf("the followers got %d and %d events", len(r.streams[0].events), len(f.events))
		case len(f.events) < 2 || !strings.Contains(f.events[len(f.events)-2], `"status":"`+want+`"`):
			return fmt.Errorf("it is not %s: the end is %s", want, tail(f.events))
		}
	}
	return nil
}

// spread says half of the durations, 99 % of them and the longest.
func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "–"
	}
	slices.Sort(d)
	return fmt.Sprintf("%v (half), %v (99 %%), %v (all)", d[len(d)/2].Round(time.Millisecond), d[len(d)*99/100].Round(time.Millisecond), d[len(d)-1].Round(time.Millisecond))
}

// limits: a hosted key's limits hold on all replicas together. Requests are counted exactly; what a request takes in tokens is
// known when it has ended, so those that run at the same time may go over that limit (docs/hosted-keys.md).
func (s *storm) limits() {
	const asked, requests, concurrent, tokens, each = 200, 60, 8, 5000, 500
	s.sim.Play(fmt.Sprintf("turn always\ndelay 50ms\ntext Well.\nusage input=%d output=%d", each-100, 100))
	key := func(flags ...string) string {
		a, _ := s.insist(http.MethodPost, "/api/signup", cursorKey, `{"cursorApiKey":"crsr_`+rand.Text()+rand.Text()+`"}`)
		var up signedUp
		if err := json.Unmarshal([]byte(a.body), &up); err != nil || !a.ok() {
			s.t.Fatalf("sign-up: %+v", a)
		}
		listed := strings.Split(harness.Operate(s.t, s.variables, "keys", "list", "--account", up.Account.ID), "\n")
		harness.Operate(s.t, s.variables, append([]string{"keys", "limit", strings.Fields(listed[1])[0]}, flags...)...)
		return up.APIKey
	}
	// ask sends all requests, at most so many at once, and returns how many were answered and how many refused.
	ask := func(key string, atOnce int) (answered, refused int) {
		var mu sync.Mutex
		var clients sync.WaitGroup
		slots := make(chan struct{}, atOnce)
		for range asked {
			slots <- struct{}{}
			clients.Go(func() {
				defer func() { <-slots }()
				a := s.ask(http.MethodPost, s.url+"/v1/chat/completions", key, hello)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case a.ok():
					answered++
				case a.err == nil && a.status == http.StatusTooManyRequests:
					refused++
				default:
					s.t.Errorf("with a limit: %+v", a)
				}
			})
		}
		clients.Wait()
		return answered, refused
	}
	answered, refused := ask(key("--requests-per-minute", fmt.Sprint(requests)), asked)
	s.say(fmt.Sprintf("%d requests at once with a key for %d a minute", asked, requests), "%d answered, %d refused", answered, refused)
	if answered > requests {
		s.t.Error("more than the limit")
	}
	answered, refused = ask(key("--tokens-per-minute", fmt.Sprint(tokens), "--concurrent", fmt.Sprint(concurrent)), concurrent)
	most := tokens/each + concurrent
	s.say(fmt.Sprintf("%d requests of %d tokens, %d at once, with a key for %d tokens a minute", asked, each, concurrent, tokens),
		"%d answered, %d refused; %d tokens, and %d with the stated overshoot are allowed", answered, refused, answered*each, most*each)
	if answered > most {
		s.t.Error("more than the limit and what runs at the same time")
	}
}
