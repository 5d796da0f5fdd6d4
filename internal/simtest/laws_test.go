package simtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// The laws: what must be true of every run, whatever happens in it.
//
//	reply               each answer, when it has come
//	  form              it has the form that its API promises, as a whole and event by event
//	  text              it is what the script said: nothing lost, repeated or in another order
//	  saw               the model saw this client's results, each for its own call, or was told that there is none; no run goes on
//	                    whose conversation the client has edited
//	  calls             each call is given once, whole, in order
//	  owner             nothing of it belongs to anybody else
//	  usage             what turns report adds up to what upstream said
//	  asked             upstream was asked once, and again only after something went wrong
//	  kept              results go to the run that waits for them, at whichever replica they come in (peers_test.go)
//	  excuse            it failed for a reason that is on the list (excuses_test.go)
//	stops               soon after a client has cancelled a response, or an answer has ended at a word, upstream's run has ended
//	titled              a title that is asked for beside a task is that task's
//	bounds              a gateway has no more turns under way than were asked for, no run waits longer than it may
//	stored              what is stored of an answer is the answer, and nobody else's
//	conversed           a conversation on the server holds what its client remembers (conversations_test.go)
//	owner (upstream)    a conversation upstream is used with one key alone
//	hears               upstream hears soon when a client has left
//	persist (people)    when all is well again, what had failed succeeds
//	poll (people)       a background response comes to an end
//	isIdle              when everybody has gone, no turn is under way and no run waits
//	upstreamIsIdle      when everybody has gone, no run is left upstream, and upstream was never treated wrongly
//	nothingIsConnected  and no connection
//	atTheEnd            no key and no content in a log, no key in the store
//
// That no goroutine is left is the bubble's own law: synctest fails a test that leaves one.
type laws struct {
	world *world

	mu     sync.Mutex
	broken []string
	given  map[string]string // to whom a call's id was given
	leaves []leaving
}

// breaks notes that a law was broken.
func (l *laws) breaks(who, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	l.world.say(who, "BROKEN: %s", what)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = append(l.broken, who+": "+what)
}

// reply holds one answer against the laws.
func (l *laws) reply(p *living, c *talk, t *task, r *reply) {
	for _, b := range r.bad {
		l.breaks(p.Name, "form: %s", b)
	}
	if c.edited && r.resume == "parked" {
		l.breaks(p.Name, "saw: a run goes on that has seen other words than the client tells now")
	}
	l.owner(p, r)
	stage := l.text(p, c, t, r)
	if r.ok() {
		l.calls(p, c, t, stage, r)
		if !r.left { // the usage may come last
			l.usage(p, c, t, r)
		}
	} else if !r.left {
		l.excuse(p, c, t, r)
	}
	if r.code == "broken" {
		c.lost = t
	}
	l.asked(p, c, t, r)
	l.kept(p, c, t, r)
	// Of two requests nobody knows which is on which run, and a job of another replica's is cancelled with its next renewal.
	if r.left && !twice(t) && !(t.Ask == "cancel" && p.Wanders) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.leaves = append(l.leaves, leaving{p.Name, p.Speaks, c.key, r.began, r.finished})
	}
}

// renewal is how long a background response goes on that another replica was asked to cancel.
const renewal = 6 * time.Second

// twice reports whether a request of the task is sent twice at once.
func twice(t *task) bool {
	return slices.ContainsFunc(t.Stages, func(s *stage) bool { return s.Answer == "twice" })
}

// mayLeave reports whether a client leaves in the task, or cancels what it has asked for.
func mayLeave(t *task) bool {
	return t.Ask == "cancel" || slices.ContainsFunc(t.Stages, func(s *stage) bool { return s.Leave != "" })
}

// A leaving is a request whose client has left.
type leaving struct {
	name, speaks string
	key          int
	began, at    time.Time
}

// titled: a title is that of its task, and no call; beside a task, no fault of the task's is a reason to fail.
func (l *laws) titled(p *living, key int, name string, r *reply) {
	for _, b := range r.bad {
		l.breaks(p.Name, "form: %s", b)
	}
	switch {
	case r.ok() && (r.text != titleOf(name) || len(r.calls) > 0):
		l.breaks(p.Name, "text: the title of %s is %q with %d calls", name, r.text, len(r.calls))
	case !r.ok() && !l.operation(p, &task{}, r) && !l.exchange(p, key, r):
		l.breaks(p.Name, "excuse: nothing explains that there is no title: status %d, %s: %s", r.status, r.code, r.err)
	}
}

// hears: two seconds after a client has left in the middle of an answer nothing is said to it any more. A run that has called
// tools meanwhile waits for their results.
func (l *laws) hears() {
	for _, left := range l.leaves {
		soon := left.at.Add(2*time.Second + 6*l.world.plan.Latency)
		if l.world.during(left.began, soon) != nil {
			continue
		}
		during := func(at time.Time) bool { return !at.Before(left.began) && !at.After(left.at) }
		for _, run := range l.world.upstream.playsOf(left.key, left.speaks, time.Time{}, left.at) {
			if !slices.ContainsFunc(run.said, during) || slices.ContainsFunc(run.asked, func(at time.Time) bool { return !at.Before(left.began) && !at.After(soon) }) {
				continue
			}
			if last := run.said[len(run.said)-1]; last.After(soon) {
				l.breaks(left.name, "hears: %v after it has left, a run of %s goes on", last.Sub(left.at), run.name)
			}
		}
	}
}

// stops: so soon after a client has asked for the end of an answer no run of it goes on upstream, whatever the store does meanwhile,
// unless another replica has been asked (elsewhere): from there the way is the store. Runs that have called tools wait for the results,
// and those before the request were others'.
func (l *laws) stops(p *living, key int, name string, began, asked, answered time.Time, elsewhere bool) {
	soon := asked.Add(100*time.Millisecond + 6*l.world.plan.Latency)
	time.Sleep(time.Until(soon))
	for _, o := range l.world.during(began, soon) {
		if !strings.HasPrefix(o.Do, "store ") || elsewhere || l.world.hosted[key] != "" { // the account is in the store
			return
		}
	}
	for _, play := range l.world.upstream.playsOf(key, p.Speaks, began, answered) {
		if len(play.asked) > 0 {
			return
		}
	}
	mine := map[string]bool{}
	for _, run := range l.world.sim.Runs() {
		if run.KeyHash != hashOfKey(key) || run.Started.Before(began) || run.Started.After(answered) || !strings.Contains(run.Prompt, name) && !mine[run.RunID] {
			continue
		}
		mine[run.RunID] = run.RunID != ""
		if run.End == "" {
			l.breaks(p.Name, "stops: %v after it has asked for the end of it, a run of %s goes on", soon.Sub(asked), name)
		}
	}
}

// asked: a request is one run upstream, or none if it goes on with one. Each fault and each operation may be the reason for a
// further one (two with Cursor's bridge, which begins again by itself), and so may the repair of an answer that is asked for in
// a form.
func (l *laws) asked(p *living, c *talk, t *task, r *reply) {
	runs := len(l.world.upstream.playsOf(c.key, p.Speaks, r.began, r.finished))
	faults := len(l.world.upstream.faultsOf(c.key, p.Speaks, r.began, r.finished))
	most := 1 + faults + 5*len(l.world.during(r.began, r.finished))
	switch {
	case l.world.plan.Upstream == "sdkbridge":
		most += faults
	case r.resume == "parked" && l.world.plan.Upstream == "localagent": // with the chat endpoint each turn is a request
		most--
	}
	if t.Ask == "schema" || t.Ask == "required" {
		if most += 2; t.Strays {
			most += faults // an answer that is begun again strays again, and is repaired again
		}
	}
	if t.Ask == "cancel" && p.Wanders {
		// The job that was cancelled at another replica goes on until it renews its lease, and so do its bridge's attempts.
		most += len(l.world.upstream.faultsOf(c.key, p.Speaks, r.began.Add(-renewal), r.began))
	}
	if runs > most && !twice(t) {
		l.breaks(p.Name, "asked: %d runs for one request (%s)", runs, r.resume)
	}
}

// stageText takes an answer apart: which task and stage, what it saw, and the words.
var stageText = regexp.MustCompile(`(?s)^«(\w+\.t\d+)\.s(\d+)(?: saw (.*?))?»: (.*)$`)

// A saidStage is what an answer says of itself.
type saidStage struct {
	name string
	n    int
	of   *task
}

// text: an answer is exactly what a stage says; one that failed or was left is the beginning of it. Only the rest of a
// group of calls may come without words.
func (l *laws) text(p *living, c *talk, t *task, r *reply) *saidStage {
	if t.Ask == "schema" && r.ok() {
		var said struct{ Said string }
		if err := json.Unmarshal([]byte(r.text), &said); err != nil || !strings.HasSuffix(said.Said, "»: .") {
			l.breaks(p.Name, "text: %q is not the JSON that the model wrote", r.text)
		}
		return nil
	}
	m := stageText.FindStringSubmatch(r.text)
	switch {
	case t.Ask == "schema", !r.ok() && m == nil, r.text == "" && len(r.calls) > 0:
		return nil
	case m == nil:
		l.breaks(p.Name, "text: %q is no answer of the model's", r.text)
		return nil
	}
	s := &saidStage{name: m[1]}
	fmt.Sscan(m[2], &s.n)
	s.of = l.world.plan.task(s.name)
	if s.of == nil || s.n >= len(s.of.Stages) || !c.tasks()[s.name] {
		l.breaks(p.Name, "text: %q answers what this conversation did not ask", r.text)
		return nil
	}
	var want strings.Builder
	for i := range s.of.Stages[s.n].Words {
		fmt.Fprintf(&want, "w%d ", i+1)
	}
	want.WriteString(".")
	whole := want.String()
	if c.stops(t) {
		whole, _, _ = strings.Cut(whole, stopWord)
	}
	if r.ok() && m[4] != whole || !strings.HasPrefix(whole, m[4]) {
		l.breaks(p.Name, "text: of %s.s%d it got %q, and the model said %q", s.name, s.n, m[4], whole)
	}
	if s.n > 0 {
		l.saw(p, c, s, m[3])
	}
	return s
}

// saw: for each call of the stage before, the model saw the result that this request holds, or that there is none.
func (l *laws) saw(p *living, c *talk, s *saidStage, saw string) {
	if saw == unseen {
		return
	}
	results := c.results()
	seen := strings.Split(saw, " & ")
	if len(seen) != s.of.Stages[s.n-1].Calls {
		l.breaks(p.Name, "saw: %q is not one result for each of %d calls", saw, s.of.Stages[s.n-1].Calls)
		return
	}
	for i, got := range seen {
		want, has := results[callName(s.name, s.n-1, i)]
		switch {
		case c.repeats(callName(s.name, s.n-1, i)) && strings.HasPrefix(got, "error: "): // the other one has no result
		case has && !strings.Contains(got, want):
			l.breaks(p.Name, "saw: the model saw %q for a call, and the client's result is %q", got, want)
		case !has && resultMark.MatchString(got):
			l.breaks(p.Name, "saw: the model saw %q for a call that this client gave no result", got)
		case !has && got != nothing && !strings.HasPrefix(got, "error: "):
			l.breaks(p.Name, "saw: the model was told %q for a call without a result, not that there is none", got)
		}
	}
}

// calls: an answer has the calls of its stage, each once and in order. A group that isn't announced may come in parts, a
// simulator that misbehaves leaves announcements out, and of a connection that breaks only some of the calls come.
func (l *laws) calls(p *living, c *talk, t *task, s *saidStage, r *reply) {
	last := ""
	for _, k := range r.calls {
		var args struct{ N string }
		if err := json.Unmarshal([]byte(k.args), &args); err != nil {
			l.breaks(p.Name, "calls: the arguments %q are not those of the model", k.args)
			continue
		}
		if args.N <= last {
			l.breaks(p.Name, "calls: %s after %s", args.N, last)
		}
		last = args.N
		if s != nil && !strings.HasPrefix(args.N, fmt.Sprintf("%s.s%d.", s.name, s.n)) {
			l.breaks(p.Name, "calls: %s with the words of %s.s%d", args.N, s.name, s.n)
		}
		l.mu.Lock()
		before := l.given[k.id]
		l.given[k.id] = p.Name + " " + args.N
		l.mu.Unlock()
		if before != "" {
			l.breaks(p.Name, "calls: %s was given before, to %s", k.id, before)
		}
	}
	late := l.world.during(r.began, r.finished) != nil // the others of a group may be on a way that is cut
	if s != nil && t.Ask != "title" && !late {
		want := s.of.Stages[s.n].Calls
		if c.stops(t) && s.of.Stages[s.n].stopped() {
			want = 0 // the model was going to make calls
		}
		if len(r.calls) != want && (len(r.calls) == 0 || s.of.Stages[s.n].Announced && l.world.plan.Misbehaves == 0) {
			l.breaks(p.Name, "calls: %d of the %d of %s.s%d", len(r.calls), want, s.name, s.n)
		}
	}
}

// owner: what is said belongs to this person, and so does what the model saw.
func (l *laws) owner(p *living, r *reply) {
	all := r.text + r.thinking + r.err
	for _, k := range r.calls {
		all += k.args
	}
	for _, m := range stageMark.FindAllStringSubmatch(all, -1) {
		if speaks, _, _ := strings.Cut(m[1], "."); speaks != p.Speaks {
			l.breaks(p.Name, "owner: it got %q of somebody else", m[0])
		}
	}
	for _, m := range resultMark.FindAllStringSubmatch(all, -1) {
		if !p.owns(m[2]) {
			l.breaks(p.Name, "owner: the model saw the result %q of somebody else", m[0])
		}
	}
	if strings.Contains(all, "crsr_") {
		l.breaks(p.Name, "owner: an answer holds a key")
	}
}

// owns reports whether a key is one of the person's; a person who changes the key has one 20 further.
func (p *person) owns(key string) bool {
	var n int
	fmt.Sscan(key, &n)
	return (n-p.Key)%20 == 0
}

// usage: the turns of a run report together what upstream said of the run. What a run has cost that broke is not in it. The
// input may be more, because the last turn never reports less than its own prompt (package meter).
//
// Which run an answer is of: the one that has begun with its request, or else the one that has made the calls that it goes on
// after. A conversation that was branched may go back to an older one.
func (l *laws) usage(p *living, c *talk, t *task, r *reply) {
	if r.out < 0 || r.in < 0 {
		l.breaks(p.Name, "usage: %d and %d tokens", r.in, r.out)
	}
	var of loop
	began := false
	for _, run := range l.world.upstream.playsOf(c.key, p.Speaks, r.began, r.finished) {
		began = began || !run.resumed
		of.vague = of.vague || run.repairs
	}
	if calls := c.lastCalls(); !began && len(calls) > 0 {
		of = calls[0].of
	}
	of.in, of.out = of.in+r.in, of.out+r.out
	// Two runs may wait for the same results, after a request that was sent twice, at once or because the client had left or its
	// answer was lost: then nobody knows which of them has got these. What a repair costs is estimated. A run may go on with the
	// next task, so what it began with counts, too.
	// What a run would have cost that is ended at a word nobody says.
	of.vague = of.vague || twice(t) || mayLeave(t) || c.lost == t || c.stops(t)
	for i := range r.calls {
		r.calls[i].of = of
	}
	// The chat endpoint has no usage.
	if len(r.calls) > 0 || l.world.plan.Upstream == "chat" || of.vague {
		return
	}
	l.world.upstream.mu.Lock()
	defer l.world.upstream.mu.Unlock()
	for _, run := range l.world.upstream.plays {
		if run.key == hashOfKey(c.key) && run.out == of.out && run.in <= of.in && r.in <= run.in && !run.ended.Before(r.began) {
			return
		}
	}
	l.breaks(p.Name, "usage: the turns of a run report %d and %d tokens, and upstream said no such thing", of.in, of.out)
}

// stored: a response that says it is stored can be read, and is what was given, word for word.
func (l *laws) stored(p *living, r, again *reply) {
	switch {
	case !again.ok() && l.world.during(r.began, again.finished) != nil:
	case !again.ok():
		l.breaks(p.Name, "stored: the response can't be read: status %d, %s: %s", again.status, again.code, again.err)
	case again.doc != r.doc:
		l.breaks(p.Name, "stored: it got %s, and %s is stored", r.doc, again.doc)
	}
}

// pried: somebody else can neither read a response nor go on with it.
func (l *laws) pried(p *living, r *reply) {
	if r.status == http.StatusOK || r.text != "" {
		l.breaks(p.Name, "owner: somebody else has got its response: %q", r.text)
	}
}

// upstreamIsIdle: no run is left, and the gateway has kept to the protocol.
func (l *laws) upstreamIsIdle() {
	keys := map[string]int{}
	for n := range 400 {
		sum := sha256.Sum256([]byte(keyOf(n)))
		keys[hex.EncodeToString(sum[:8])] = n
	}
	does := func(what string) bool {
		return slices.ContainsFunc(l.world.plan.Operations, func(o *operation) bool { return o.Do == what })
	}
	halfOpen := does("half-open upstream") // the server hears nothing of an end then
	nothingComes := halfOpen || does("split upstream")
	for _, r := range l.world.sim.Runs() {
		if r.End == "" && !halfOpen {
			l.breaks("upstream", "a run is left: %.60q", r.Prompt)
		}
		n, known := keys[r.KeyHash]
		if !known {
			continue // refused
		}
		for _, m := range resultMark.FindAllStringSubmatch(r.Prompt, -1) {
			if !(&person{Key: n}).owns(m[2]) {
				l.breaks("upstream", "a run of key %d was told %s", n, m[0])
			}
		}
	}
	for _, v := range l.world.sim.Violations() {
		if nothingComes && (strings.Contains(v.What, "heartbeats") || strings.Contains(v.What, "did not come within")) {
			continue
		}
		l.breaks("upstream", "violation: %s", v.What)
	}
	if l.world.bridges != nil {
		for _, r := range l.world.bridges.Runs() {
			if r.End == "" {
				l.breaks("upstream", "a run of a bridge is left: %.60q", r.Prompt)
			}
		}
	}
}

// everythingGoes: two months later nothing of all that is kept, whatever it was. It is swept as the servers do.
func (l *laws) everythingGoes() {
	if len(l.world.hosted) > 0 {
		return // accounts stay
	}
	l.world.clock.set(61 * 24 * time.Hour)
	if _, err := l.world.database.Open().Sweep(context.Background()); err != nil {
		l.breaks("world", "kept: sweeping fails: %v", err)
	}
	if left := strings.Join(strings.Fields(l.world.database.Dump()), " "); strings.Trim(left, "map[]\" ") != "" {
		l.breaks("world", "kept: after two months there is still %.200s", left)
	}
}

// nothingIsConnected: after the end of the gateways there is no connection, to them or from them.
func (l *laws) nothingIsConnected() {
	for _, r := range l.world.replicas {
		if in, out := r.in.Conns(), r.out.Conns(); in > 0 || out > 0 {
			l.breaks("world", "%d connections to replica %d and %d from it are left", in, r.n, out)
		}
		for other, way := range r.ways {
			if n := way.Conns(); n > 0 {
				l.breaks("world", "%d connections from replica %d to replica %d are left", n, r.n, other.n)
			}
		}
	}
	if b := l.world.bridges; b != nil && (len(b.Bridges()) > 0 || b.Homes() > 0) {
		l.breaks("world", "%d bridges and %d homes are left", len(b.Bridges()), b.Homes())
	}
}

// atTheEnd: logs hold neither keys nor content, and the store holds no key.
func (l *laws) atTheEnd() {
	log := l.world.log.b.String()
	for _, secret := range []string{"_secret", "do «", ".t1.s0"} {
		if i := strings.Index(log, secret); i >= 0 {
			l.breaks("world", "the log holds %q: %.200q", secret, log[max(0, i-120):])
		}
	}
	kept := l.world.database.Dump()
	for n, token := range l.world.hosted {
		if strings.Contains(log, token) || strings.Contains(kept, token) {
			l.breaks("world", "the log or the store holds the key of account %d", n)
		}
	}
	for _, secret := range []string{"_secret", "do «", ".t1.s0"} {
		if i := strings.Index(kept, secret); i >= 0 {
			l.breaks("world", "the store holds %q: %.200q", secret, kept[max(0, i-120):])
		}
	}
}
