package simtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// The laws: what must be true of every run, whatever happens in it.
//
//	reply               each answer, when it has come
//	  form              it has the form that its API promises, as a whole and event by event
//	  text              it is what the script said: nothing lost, repeated or in another order
//	  saw               the model saw this client's results, each for its own call, or was told that there is none
//	  calls             each call is given once, whole, in order
//	  owner             nothing of it belongs to anybody else
//	  usage             what turns report adds up to what upstream said
//	  excuse            it failed for a reason that is on the list
//	stored              what is stored of an answer is the answer
//	persist (people)    when all is well again, what had failed succeeds
//	poll (people)       a background response comes to an end
//	upstreamIsIdle      when everybody has gone, no run is left upstream, and upstream was never treated wrongly
//	nothingIsConnected  and no connection
//	atTheEnd            no key and no content in a log, no key in the store
//
// That no goroutine is left is the bubble's own law: synctest fails a test that leaves one.
type laws struct {
	world *world

	mu       sync.Mutex
	broken   []string
	given    map[string]string // to whom a call's id was given
	failures map[string]int    // of a task, that no operation excuses
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
	l.owner(p, r)
	stage := l.text(p, c, t, r)
	if r.ok() {
		l.calls(p, t, stage, r)
		l.usage(p, t, stage, r)
	} else if !r.left {
		l.excuse(p, r)
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
	if whole := want.String(); r.ok() && m[4] != whole || !strings.HasPrefix(whole, m[4]) {
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
func (l *laws) calls(p *living, t *task, s *saidStage, r *reply) {
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
	if s != nil && t.Ask != "title" {
		if want := s.of.Stages[s.n].Calls; len(r.calls) != want && (len(r.calls) == 0 || s.of.Stages[s.n].Announced && l.world.plan.Misbehaves == 0 && !l.world.disturbed(r.began, r.finished)) {
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

// usage: the turns of a run report together what upstream said of the run. It can be told only where nothing went wrong.
func (l *laws) usage(p *living, t *task, s *saidStage, r *reply) {
	if r.out < 0 || r.in < 0 {
		l.breaks(p.Name, "usage: %d and %d tokens", r.in, r.out)
	}
	if r.resume == "parked" {
		p.loop.out += r.out
	} else {
		p.loop = loop{out: r.out, whole: r.resume != ""}
	}
	if len(r.calls) > 0 || s == nil || !p.loop.whole || l.world.plan.Upstream != "localagent" || p.Wanders || t.hasFault() || s.of != t || t.Ask != "" && t.Ask != "title" || len(l.world.plan.Operations) > 0 {
		return
	}
	for _, st := range t.Stages {
		if st.Answer != "" || st.Leave != "" {
			return
		}
	}
	if _, want := usageOf(t); p.loop.out != want {
		l.breaks(p.Name, "usage: the turns of a run report %d tokens of output, and upstream said %d", p.loop.out, want)
	}
}

func (t *task) hasFault() bool {
	for _, s := range t.Stages {
		if s.Fault != nil {
			return true
		}
	}
	return false
}

// excuse: a request fails because upstream has failed (and not more often than that), or because an operator or the network
// was at work. Nothing else is a reason.
func (l *laws) excuse(p *living, r *reply) {
	if l.world.disturbed(r.began, r.finished) {
		return
	}
	faults := 0
	u := l.world.upstream
	u.mu.Lock()
	for id, n := range u.met {
		if strings.Contains(id, " "+p.Speaks+".t") {
			faults += n
		}
	}
	u.mu.Unlock()
	l.mu.Lock()
	l.failures[p.Name]++
	failures := l.failures[p.Name]
	l.mu.Unlock()
	if failures > faults {
		l.breaks(p.Name, "excuse: nothing explains the failure: status %d, %s: %s", r.status, r.code, r.err)
	}
}

// stored: a response that says it is stored can be read, and is what was streamed.
func (l *laws) stored(p *living, r, again *reply) {
	switch {
	case !again.ok() && l.world.disturbed(again.began, again.finished):
	case !again.ok():
		l.breaks(p.Name, "stored: the response can't be read: status %d, %s: %s", again.status, again.code, again.err)
	case again.text != r.text || fmt.Sprint(again.calls) != fmt.Sprint(r.calls) || again.in != r.in || again.out != r.out:
		l.breaks(p.Name, "stored: it got %q and the calls %v, and %q with %v is stored", r.text, r.calls, again.text, again.calls)
	}
}

// upstreamIsIdle: no run is left, and the gateway has kept to the protocol.
func (l *laws) upstreamIsIdle() {
	keys := map[string]int{}
	for n := range 200 {
		sum := sha256.Sum256([]byte(keyOf(n)))
		keys[hex.EncodeToString(sum[:8])] = n
	}
	for _, r := range l.world.sim.Runs() {
		if r.End == "" {
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
		if (strings.Contains(v.What, "heartbeats") || strings.Contains(v.What, "did not come within")) && len(l.world.plan.Operations) > 0 {
			continue // the network was split
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

// nothingIsConnected: after the end of the gateways there is no connection, to them or from them.
func (l *laws) nothingIsConnected() {
	for _, r := range l.world.replicas {
		if in, out := r.in.Conns(), r.out.Conns(); in > 0 || out > 0 {
			l.breaks("world", "%d connections to replica %d and %d from it are left", in, r.n, out)
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
	for _, secret := range []string{"_secret", "do «", ".t1.s0"} {
		if i := strings.Index(kept, secret); i >= 0 {
			l.breaks("world", "the store holds %q: %.200q", secret, kept[max(0, i-120):])
		}
	}
}
