package simtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"composer-api/internal/sim/script"
)

// What is said goes by these forms, so that every piece of it tells where it belongs:
//
//	the title of «p1.t2»                      a request for its title; titleOf is the answer
//	do «p1.t2»                                the person's message of a task
//	«p1.t2.s1 saw [[p1.t2.s0.c1=k1.v1]]»: w1 w2 w3 .      what the model says in a stage
//	{"n":"p1.t2.s0.c1"}                       the arguments of a call
//	[[p1.t2.s0.c1=k1.v1]]                     the result of a call: of which, by whose key, which attempt
var (
	taskMark   = regexp.MustCompile(`do «(\w+\.t\d+)»`)
	titleMark  = regexp.MustCompile(`the title of «(\w+\.t\d+)»`)
	stageMark  = regexp.MustCompile(`«(\w+\.t\d+)\.s(\d+)`)
	wordMark   = regexp.MustCompile(` w\d+`)
	resultMark = regexp.MustCompile(`\[\[(\w+\.t\d+\.s\d+\.c\d+)=k(\d+)\.v(\d+)\]\]`)
)

// corrected is how the gateway tells the model once more what the request asks.
var corrected = regexp.MustCompile(`A program reads your answer|You have (not called|called no) `)

// titleOf is the title of a task.
func titleOf(task string) string { return "About «" + task + "»" }

// nothing is what the model says it saw for a call without a result, when it reads the whole conversation.
const nothing = "nothing"

// unseen is what it says in place of all results after a run that was resumed: they are in the server's state.
const unseen = "~"

// An upstream is the model's mind: it decides what a run says, by what the run was told. Its methods may be called
// concurrently.
type upstream struct {
	world *world

	mu  sync.Mutex
	met map[string]int // faults that are planned for a run, by key, task and stage
	// talks is where each conversation is: what a run began with.
	talks  map[string]place
	owners map[string]string // of conversations, the key's hash
	plays  []*play
	faults []*metFault
}

// A play is what the model was asked for once: a run, or an attempt of one.
type play struct {
	key     string // its hash
	name    string // of the task
	resumed bool   // it carries on one that broke
	repairs bool   // it was told once more what the request asks
	began   time.Time
	said    []time.Time // when it has said something
	asked   []time.Time // when it has called tools
	ended   time.Time   // when it has said everything; zero before
	in, out int64       // the usage that it says then
}

// A metFault is a fault that was played.
type metFault struct {
	of   *play
	kind string
	at   time.Time
	said bool // the stage had begun to speak
	used bool // it has explained a failure
}

// playsOf are the plays for a person's key and what they speak of, that began between two times.
func (u *upstream) playsOf(key int, speaks string, from, to time.Time) (found []*play) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range u.plays {
		if p.key == hashOfKey(key) && strings.HasPrefix(p.name, speaks+".") && !p.began.Before(from) && !p.began.After(to) {
			found = append(found, p)
		}
	}
	return found
}

// faultsOf are the faults that a person's runs have met between two times, and that have explained nothing yet.
func (u *upstream) faultsOf(key int, speaks string, from, to time.Time) (found []*metFault) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, f := range u.faults {
		if f.of.key == hashOfKey(key) && strings.HasPrefix(f.of.name, speaks+".") && !f.at.Before(from) && !f.at.After(to) {
			found = append(found, f)
		}
	}
	return found
}

// reached is the step that notes that a play has come so far.
func (u *upstream) reached(p *play, note func()) script.Step {
	return script.Reached{Note: func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		p.said = append(p.said, time.Now())
		if note != nil {
			note()
		}
	}}
}

// A place is a stage of a task.
type place struct {
	name  string
	stage int
}

// model implements script.Model.
func (u *upstream) model(f script.Facts) []script.Step {
	if f.Key == "" {
		return nil // the chat endpoint asks before it refuses a token
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if title := titleMark.FindStringSubmatch(f.Told); title != nil {
		u.owner(&f)
		rest := titleOf(title[1])
		for n := len(rest); f.Resume && n > 0; n-- { // it had said the beginning when it broke
			if strings.HasSuffix(f.Said, rest[:n]) {
				rest = rest[n:]
				break
			}
		}
		return []script.Step{script.Text{Text: rest}}
	}
	name, at, word := where(&f)
	knows := f.Resume // what it saw is in the server's state
	if name == "" {   // it is told to do what it was told before
		knows = true
		name, at = u.talks[f.Conversation].name, u.talks[f.Conversation].stage
	}
	u.talks[f.Conversation] = place{name, at}
	u.owner(&f)
	now := &play{key: hashed(f.Key), name: name, began: time.Now(), resumed: f.Resume}
	u.plays = append(u.plays, now)
	now.in, now.out = 400_000+int64(len(u.plays)), 50_000+int64(len(u.plays))
	t := u.world.plan.task(name)
	if t == nil {
		u.world.say("upstream", "is told of no task: %.80q", f.Told)
		return []script.Step{script.Text{Text: "«nobody.t0.s0»: ."}}
	}
	if at >= len(t.Stages) {
		at, word = len(t.Stages)-1, t.Stages[len(t.Stages)-1].Words+2
	}
	now.repairs = corrected.MatchString(f.Told)
	if now.repairs && t.Stages[at].Calls == 0 && !f.Resume {
		at = 0 // it was told to call a tool, in the middle of a task that went on with its last step: it begins again
	}
	if t.Strays && at == 0 && word == 0 && !now.repairs && demanded(&f, t) {
		u.world.say("upstream", "strays from %s", name)
		u.world.situation("strays × " + t.Ask + " × " + u.world.plan.Upstream)
		return []script.Step{script.Text{Text: "I would rather talk about it."}, script.Checkpoint{}}
	}
	var steps []script.Step
	calls := 0 // that this run has made so far
	played, more := "", true
	for i := at; i < len(t.Stages); i++ {
		s := t.Stages[i]
		saw := ""
		switch {
		case i == 0 || word > 0:
		case i == at && knows:
			saw = " saw " + unseen
		case i == at:
			saw = " saw " + u.read(&f, name, i-1, t.Stages[i-1].Calls)
		default:
			var list []string
			for n := range t.Stages[i-1].Calls {
				list = append(list, fmt.Sprintf("{result %d}", calls-t.Stages[i-1].Calls+n+1))
			}
			saw = " saw " + strings.Join(list, " & ")
		}
		steps, more = u.stage(steps, now, name, t, i, word, saw, &played)
		if !more {
			break
		}
		calls += s.Calls
		word = 0
	}
	if more {
		steps = append(steps, script.Usage{Input: now.in - 1000, Output: now.out, CacheRead: 1000}, u.reached(now, func() { now.ended = time.Now() }))
	}
	how := ""
	switch {
	case f.Resume:
		how = ", resumed"
	case f.Continued:
		how = ", continued"
	}
	u.world.say("upstream", "plays %s from s%d%s%s", name, at, how, played)
	return steps
}

// demanded reports whether the model hears now that its answer must have a form. Of a call it does not any more when it has made
// one for the task, or for an older one that goes on in its place.
func demanded(f *script.Facts, t *task) bool {
	if t.Ask == "schema" {
		return true
	}
	tasks := taskMark.FindAllStringIndex(f.Told, -1)
	return tasks == nil || !resultMark.MatchString(f.Told[tasks[len(tasks)-1][1]:])
}

// owner: a conversation upstream belongs to one key. Whoever remembers it for somebody else breaks this law.
func (u *upstream) owner(f *script.Facts) {
	key := hashed(f.Key)
	if before, known := u.owners[f.Conversation]; known && before != key {
		u.world.laws.breaks("upstream", "owner: the conversation of one key is used with another")
	}
	u.owners[f.Conversation] = key
}

// hashed is a key's hash as the local-agent endpoint knows it; the bridge knows the key itself.
func hashed(key string) string {
	if strings.HasPrefix(key, "crsr_") {
		sum := sha256.Sum256([]byte(key))
		return hex.EncodeToString(sum[:8])
	}
	return key
}

// hashOfKey is the hash of a key by its number.
func hashOfKey(n int) string { return hashed(keyOf(n)) }

// stage adds one stage to steps, from a word on. more is false when a fault ends the run there.
func (u *upstream) stage(steps []script.Step, now *play, name string, t *task, i, word int, saw string, played *string) (_ []script.Step, more bool) {
	s := t.Stages[i]
	f := s.Fault
	id := fmt.Sprintf("%s %s.s%d", now.key, name, i)
	if f != nil && (u.met[id] >= f.Times || f.Word < word) {
		f = nil
	}
	if f != nil {
		u.met[id]++
		*played = fmt.Sprintf(" (%s before word %d of s%d)", f.Kind, f.Word+1, i)
		u.world.met(t, s, f.Kind)
	}
	kind := "no fault"
	if f != nil {
		kind = f.Kind
	}
	speaks, _, _ := strings.Cut(name, ".")
	steps = append(steps, u.reached(now, func() { u.world.comes(speaks, t, i, kind) }))
	if f != nil && f.Word == 0 {
		steps = append(steps, u.fails(now, f, len(steps) == 1)...)
		if ends(f.Kind) {
			return steps, false
		}
	}
	for n := range s.Think {
		if word == 0 {
			steps = append(steps, script.Think{Text: fmt.Sprintf("hm%d ", n+1)})
		}
	}
	if t.Ask == "schema" {
		steps = append(steps, script.Text{Text: fmt.Sprintf(`{"said":"«%s.s%d»: .`, name, i)})
		if f != nil && f.Word > 0 {
			steps = append(steps, u.fails(now, f, false)...)
			if ends(f.Kind) {
				return steps, false
			}
		}
		return append(steps, script.Text{Text: `"}`}), true
	}
	if word == 0 {
		steps = append(steps, script.Text{Text: fmt.Sprintf("«%s.s%d%s»: ", name, i, saw)})
		word = 1
	}
	for n := word; n <= s.Words; n++ {
		if f != nil && f.Word == n {
			steps = append(steps, u.fails(now, f, false)...)
			if ends(f.Kind) {
				return steps, false
			}
		}
		if s.Gap > 0 {
			steps = append(steps, script.Delay{For: s.Gap})
		}
		steps = append(steps, u.reached(now, nil), script.Text{Text: fmt.Sprintf("w%d ", n)})
	}
	if word <= s.Words+1 {
		steps = append(steps, script.Text{Text: "."})
	}
	if s.Calls == 0 || i == len(t.Stages)-1 {
		return steps, true
	}
	calls := script.Calls{}
	if s.Announced {
		calls.Announced = s.Calls
	}
	for n := range s.Calls {
		if n > 0 && s.Apart > 0 {
			calls.Steps = append(calls.Steps, script.Delay{For: s.Apart})
		}
		args, _ := json.Marshal(map[string]string{"n": callName(name, i, n)})
		calls.Steps = append(calls.Steps, script.Call{Tool: toolOf(n), Args: args})
	}
	return append(steps, u.reached(now, func() { now.asked = append(now.asked, time.Now()) }), calls), true
}

// stopped reports whether the stage says stopWord.
func (s *stage) stopped() bool { return s.Words >= 3 }

// callName names call n of a stage.
func callName(task string, stage, n int) string { return fmt.Sprintf("%s.s%d.c%d", task, stage, n+1) }

// toolOf is the tool of call n of a stage.
func toolOf(n int) string { return []string{"look", "read", "look"}[n%3] }

// fails is a fault as steps, the first of which notes it.
func (u *upstream) fails(now *play, f *fault, first bool) []script.Step {
	kind := f.Kind
	if strings.HasPrefix(kind, "status ") && !first {
		kind = "cut"
	}
	note := u.reached(now, func() {
		u.faults = append(u.faults, &metFault{of: now, kind: kind, at: time.Now(), said: f.Word > 0})
	})
	return append([]script.Step{note}, failure(f, first)...)
}

// failure is a fault as steps. first says that nothing was said before, which an HTTP status needs.
func failure(f *fault, first bool) []script.Step {
	status := func(code int, after time.Duration) []script.Step {
		if first {
			return []script.Step{script.Status{Code: code, RetryAfter: after, Message: "simulated"}}
		}
		return []script.Step{script.Cut{}}
	}
	switch f.Kind {
	case "cut":
		return []script.Step{script.Cut{}}
	case "drop":
		return []script.Step{script.Drop{}}
	case "unavailable":
		return []script.Step{script.Error{Code: "unavailable", Message: "simulated"}}
	case "limited":
		return []script.Step{script.Error{Code: "resource_exhausted", Message: "simulated"}}
	case "refused":
		return []script.Step{script.Error{Code: "invalid_argument", Message: "simulated"}}
	case "unauthenticated":
		return []script.Step{script.Error{Code: "unauthenticated", Message: "simulated"}}
	case "status 503":
		return status(503, 0)
	case "status 429":
		return status(429, 2*time.Second)
	case "status 401":
		return status(401, 0)
	case "hold":
		return []script.Step{script.Hold{For: 23 * time.Second}}
	case "stall":
		return []script.Step{script.Stall{For: 47 * time.Second}}
	case "garbage":
		return []script.Step{script.Garbage{Kind: "payload"}}
	case "checkpoint cut":
		return []script.Step{script.Checkpoint{}, script.Delay{For: 100 * time.Millisecond}, script.Cut{}}
	case "checkpoint drop":
		return []script.Step{script.Checkpoint{}, script.Delay{For: 100 * time.Millisecond}, script.Drop{}}
	}
	panic("no fault is called " + f.Kind)
}

// ends reports whether nothing follows a fault.
func ends(kind string) bool { return kind != "hold" && kind != "stall" }

// where finds out where a run begins: the newest task that it was told of, the stage that follows the results that it has
// of it, and, when it carries on a broken run, the word.
func where(f *script.Facts) (name string, stage, word int) {
	if f.Resume {
		if at := stageMark.FindAllStringSubmatchIndex(f.Said, -1); at != nil {
			last := at[len(at)-1]
			name = f.Said[last[2]:last[3]]
			stage, _ = strconv.Atoi(f.Said[last[4]:last[5]])
			rest := f.Said[last[1]:]
			if strings.HasSuffix(rest, " .") { // its calls were answered before the checkpoint
				return name, stage + 1, 0
			}
			return name, stage, len(wordMark.FindAllString(rest, -1)) + 1
		}
	}
	told := taskMark.FindAllStringSubmatchIndex(f.Told, -1)
	if told == nil {
		return "", 0, 0
	}
	last := told[len(told)-1]
	name = f.Told[last[2]:last[3]]
	for _, m := range resultMark.FindAllStringSubmatch(f.Told, -1) {
		if rest, ok := strings.CutPrefix(m[1], name+".s"); ok {
			digits, _, _ := strings.Cut(rest, ".")
			n, _ := strconv.Atoi(digits)
			stage = max(stage, n+1)
		}
	}
	return name, stage, 0
}

// read is what the whole conversation says about the results of a stage's calls.
func (u *upstream) read(f *script.Facts, name string, stage, calls int) string {
	found := map[string]string{}
	for _, m := range resultMark.FindAllStringSubmatch(f.Told, -1) {
		found[m[1]] = m[0]
	}
	var list []string
	for n := range calls {
		if mark, ok := found[callName(name, stage, n)]; ok {
			list = append(list, mark)
		} else {
			list = append(list, nothing)
		}
	}
	return strings.Join(list, " & ")
}
