package simtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A live person: their client's connections and what they have done so far.
type living struct {
	*person
	world    *world
	clients  []*http.Client // one for each replica
	requests atomic.Int64
	left     stageSet       // stages in which they have left already
	twice    sync.WaitGroup // requests that are sent a second time
	beside   sync.WaitGroup // titles that are asked for
	sockets  sockets
	apart    time.Duration // what keeps this person's requests apart from those that others send at the same moment
}

// How long clients keep what they don't use: a connection, which they give up before the gateway does, as real ones do, so that a
// request doesn't cross with its end; and a socket, of which they hear when it ends.
const (
	idleTime   = 90 * time.Second
	socketTime = 5 * time.Minute
)

// A stageSet is stages of tasks. A person who sends a request twice uses it in two goroutines.
type stageSet struct {
	mu  sync.Mutex
	all map[*stage]bool
}

// add puts s into the set, and reports whether it was not there.
func (set *stageSet) add(s *stage) bool {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.all[s] {
		return false
	}
	if set.all == nil {
		set.all = map[*stage]bool{}
	}
	set.all[s] = true
	return true
}

// has reports whether s is in the set.
func (set *stageSet) has(s *stage) bool {
	set.mu.Lock()
	defer set.mu.Unlock()
	return set.all[s]
}

// token is what a person sends for the key of a number: an account's, if there is one.
func (w *world) token(key int) string { return cmp.Or(w.hosted[key], keyOf(key)) }

// signUp gives a person an account for each key that they may use.
func (w *world) signUp(p *person) {
	client := &http.Client{Transport: &http.Transport{DialContext: w.replicas[0].in.Dial}}
	defer client.CloseIdleConnections()
	for n := p.Key; n < p.Key+80; n += 20 {
		var got struct{ APIKey string }
		resp, err := client.Post("http://gateway/api/signup", "application/json", strings.NewReader(`{"cursorApiKey":"`+keyOf(n)+`"}`))
		if err == nil {
			err = json.NewDecoder(resp.Body).Decode(&got)
			resp.Body.Close()
		}
		if w.hosted[n] = got.APIKey; err != nil || got.APIKey == "" {
			w.laws.breaks(p.Name, "it can't sign up: %v", err)
		}
	}
}

// live is a person's whole life.
func (w *world) live(p *person) {
	l := &living{person: p, world: w}
	l.apart = time.Duration(1+slices.Index(w.plan.People, p)) * 137 * time.Microsecond
	for _, r := range w.replicas {
		t := &http.Transport{DialContext: r.in.Dial, IdleConnTimeout: idleTime}
		defer t.CloseIdleConnections()
		l.clients = append(l.clients, &http.Client{Transport: t})
	}
	defer l.sockets.close()
	defer l.beside.Wait()
	time.Sleep(p.Start)
	c := &talk{surface: p.Surface, key: p.Key, tools: []string{"look", "read"}, model: "composer-2.5"}
	if p.Briefed {
		c.messages = []message{{role: "user", text: "You help somebody with one thing."}, {role: "assistant", text: "Gladly."}}
	}
	for i, t := range p.Tasks {
		c.change(t.Before)
		if t.Before != "" {
			w.say(p.Name, "changes the conversation: %s", t.Before)
		}
		if t.Ask == "schema" && c.awaits() {
			c.dropResults() // a run may wait for them, whose script has no JSON
		}
		c.messages = append(c.messages, message{role: "user", text: "Please do «" + taskName(p.Speaks, i) + "»."})
		if t.Before == "aside" {
			c.messages = append(c.messages, message{role: "user", text: "Be brief."})
		}
		if t.Titled {
			l.beside.Go(func() { l.title(c.surface, c.key, i) })
		}
		if !l.task(c, t) {
			// Given up: the message goes, and with it what is without an answer.
			c.forget()
			c.line = nil
			for len(c.messages) > 0 && c.messages[len(c.messages)-1].role != "assistant" {
				c.messages = c.messages[:len(c.messages)-1]
			}
			if n := len(c.messages); n > 0 && len(c.messages[n-1].calls) > 0 {
				c.messages[n-1].calls = nil
				if c.messages[n-1].text == "" {
					c.messages = c.messages[:n-1]
				}
			}
		}
		time.Sleep(700*time.Millisecond + l.apart)
	}
	w.say(p.Name, "is done")
}

// task has the model do a task. false when the person gives up.
func (l *living) task(c *talk, t *task) bool {
	for range 12 {
		r := l.persist(c, t)
		l.twice.Wait()
		if r == nil {
			return false
		}
		c.edited, c.given, c.tries = false, r, 0
		m := message{role: "assistant", text: r.text, thinking: r.thinking, sealed: r.sealed, calls: slices.Clone(r.calls)}
		c.messages = append(c.messages, m)
		conversation := c.conversation
		if c.forget(); c.surface == "responses" && r.kept {
			l.stored(c, r)
			switch {
			case l.Stateful:
				c.goOn(r)
			case conversation != "":
				c.belong(conversation, len(c.messages))
				l.conversed(c, r)
			}
		}
		if len(r.calls) == 0 {
			return true
		}
		if !l.answer(c, t, r) {
			return true // never: the next message comes in place of the results
		}
	}
	l.world.laws.breaks(l.Name, "a task took more than 12 turns")
	return false
}

// stored compares an answer with what is stored of it, and lets somebody else try to read it and to go on with it.
func (l *living) stored(c *talk, r *reply) {
	again := l.send(context.Background(), c, "GET", "/v1/responses/"+r.id, nil, toTheEnd)
	l.world.laws.stored(l, r, again)
	stranger := &talk{surface: "responses", key: 99, model: c.model}
	l.world.laws.pried(l, l.send(context.Background(), stranger, "GET", "/v1/responses/"+r.id, nil, toTheEnd))
	body := []byte(`{"model":"composer-2.5","input":"What was said?","previous_response_id":"` + r.id + `"}`)
	l.world.laws.pried(l, l.send(context.Background(), stranger, "POST", "/v1/responses", body, toTheEnd))
}

// toTheEnd is for answers that are read to their end.
func toTheEnd(*reply) bool { return false }

// persist sends a request until it is answered. nil when the person gives up.
func (l *living) persist(c *talk, t *task) *reply {
	for try := 0; ; try++ {
		r := l.ask(c, t)
		l.world.laws.reply(l, c, t, r)
		if r.ok() && !r.left {
			return r
		}
		if c.conversation != "" && (r.left || r.code == "broken" || l.world.during(r.began, r.finished) != nil) {
			c.forget() // nobody knows whether the turn was added to it
		}
		switch {
		case r.left && l.gaveUp(t):
			return nil
		case r.left:
			time.Sleep(500*time.Millisecond + l.apart)
			continue
		case r.code == "previous_response_not_found" && c.previous != "":
			c.forget()
			continue
		case try < l.Patience:
			time.Sleep(time.Duration(1<<try)*900*time.Millisecond + l.apart)
		default:
			// Later, when all is well again, it must work. A task has few faults, and each try meets one.
			if try > l.Patience+10 {
				l.world.laws.breaks(l.Name, "after all is well again, its request still fails: %s", r.err)
				return nil
			}
			time.Sleep(max(time.Until(l.world.calm), 90*time.Second) + l.apart)
		}
	}
}

func (l *living) gaveUp(t *task) bool {
	for _, s := range t.Stages {
		if l.left.has(s) && strings.HasSuffix(s.Leave, "give up") {
			return true
		}
	}
	return false
}

// stageOf is the stage that the next answer is likely to be of: after the results that the conversation ends with.
func (c *talk) stageOf(t *task) *stage {
	n := 0
	for i := len(c.messages) - 1; i >= 0 && !(c.messages[i].role == "user" && taskMark.MatchString(c.messages[i].text)); i-- {
		if c.messages[i].role == "assistant" && len(c.messages[i].calls) > 0 {
			n++
		}
	}
	return t.Stages[min(n, len(t.Stages)-1)]
}

// ask sends the conversation once.
func (l *living) ask(c *talk, t *task) *reply {
	w, api := l.world, apis[c.surface]
	if l.Converse && c.surface == "responses" && c.conversation == "" {
		l.begin(c)
	}
	p := *l.person
	body, err := json.Marshal(api.body(c, &p, t))
	if err != nil {
		panic(err) // our own types
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := c.stageOf(t)
	leave := ""
	if s.Leave != "" && !t.background() && l.left.add(s) {
		leave = s.Leave
		w.situation("leaves " + leave + " × " + c.surface + " × " + w.plan.Upstream)
		if wait := map[bool]time.Duration{true: 50 * time.Millisecond, false: 3 * time.Second}[leave == "at once"]; leave == "at once" || !l.Stream {
			stop := time.AfterFunc(wait+w.plan.Latency, cancel)
			defer stop.Stop()
		}
	}
	c.tries++
	w.say(l.Name, "asks %s%s: %s%s", c.surface, map[bool]string{true: ", streamed"}[l.Stream], c.summary(), map[bool]string{true: ", and will leave: " + leave}[leave != ""])
	send := l.send
	if l.Socket && c.surface == "responses" && !t.background() {
		send = l.overSocket
	}
	r := send(ctx, c, "POST", api.path, body, func(r *reply) bool {
		return strings.HasPrefix(leave, "mid") && len(r.text) > 12 || leave == "last" && r.done || t.Ask == "follow" && c.surface == "responses" && len(r.text) > 12
	})
	if ctx.Err() != nil && !r.done {
		r.left = true
	}
	if c.surface == "responses" && r.status == http.StatusOK {
		switch {
		case t.Ask == "follow":
			l.follow(c, r)
		case t.Ask == "cancel" && l.left.add(s):
			l.cancel(c, t, r)
		case t.background():
			l.poll(c, r)
		}
	}
	if c.stops(t) && r.ok() && s.stopped() && !twice(t) {
		name, key := c.task(), c.key
		l.beside.Go(func() { w.laws.stops(l, key, name, r.began, r.finished, r.finished, false) })
	}
	w.say(l.Name, "%s", r.summary())
	return r
}

// summary is a request in a few words.
func (c *talk) summary() string {
	last := c.messages[len(c.messages)-1]
	what := fmt.Sprintf("%d messages, the last %s %q", len(c.messages)-c.sent, last.role, last.text)
	if c.previous != "" {
		what += ", after the previous response"
	}
	if c.conversation != "" {
		what += ", in their conversation"
	}
	return what
}

// summary is a reply in a few words.
func (r *reply) summary() string {
	var calls []string
	for _, k := range r.calls {
		calls = append(calls, k.args)
	}
	s := fmt.Sprintf("got %q", r.text)
	if calls != nil {
		s += " and the calls " + strings.Join(calls, " ")
	}
	switch {
	case r.left:
		s += ", and left"
	case r.err != "" && r.after:
		s += fmt.Sprintf(", then it failed: %s: %s", r.code, r.err)
	case r.err != "":
		s = fmt.Sprintf("failed: status %d, %s: %s", r.status, r.code, r.err)
	case r.resume != "":
		s += " (" + r.resume + ")"
	}
	return s
}

// client is the one for request number n.
func (l *living) client(n int) *http.Client {
	if l.Wanders {
		return l.clients[n%len(l.clients)]
	}
	return l.clients[0]
}

// patient is how long clients wait for an answer: for ever, nearly, so that one that never comes is a failure without an excuse
// and not a test without an end. Where their connections may be half open they hear nothing of an end, and give up sooner.
func (w *world) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	if slices.ContainsFunc(w.plan.Operations, func(o *operation) bool { return o.Do == "half-open clients" }) {
		return context.WithTimeout(ctx, 4*time.Minute)
	}
	return context.WithTimeout(ctx, time.Hour)
}

// title asks for a title beside a task, as clients do when a conversation begins: without tools, and without waiting for it.
func (l *living) title(surface string, key, i int) {
	time.Sleep(1100*time.Microsecond + l.apart)
	w, name := l.world, taskName(l.Speaks, i)
	c := &talk{surface: surface, key: key, model: "composer-2.5", messages: []message{{role: "user", text: "Write the title of «" + name + "»."}}}
	body, err := json.Marshal(apis[surface].body(c, l.person, &task{Ask: "title"}))
	if err != nil {
		panic(err) // our own types
	}
	r := l.send(context.Background(), c, "POST", apis[surface].path, body, toTheEnd)
	w.say(l.Name, "has asked for a title, and %s", r.summary())
	w.situation("title beside × " + surface + " × " + w.plan.Upstream)
	w.laws.titled(l, key, name, r)
}

// send sends one request, and reads what comes.
func (l *living) send(ctx context.Context, c *talk, method, path string, body []byte, more func(*reply) bool) *reply {
	r := &reply{began: time.Now(), check: l.world.plan.Published}
	l.sendInto(ctx, r, c, method, path, body, more)
	return r
}

// sendInto is send for a reply that may have begun before.
func (l *living) sendInto(ctx context.Context, r *reply, c *talk, method, path string, body []byte, more func(*reply) bool) {
	n := int(l.requests.Add(1))
	client := l.client(n)
	defer func() { r.finished = time.Now() }()
	ctx, cancel := l.world.patient(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://gateway"+path, bytes.NewReader(body))
	if err != nil {
		panic(err) // our own path
	}
	req.Header.Set("Content-Type", "application/json")
	r.request = fmt.Sprintf("%s-%d", l.Name, n)
	req.Header.Set("X-Request-Id", r.request)
	if c.surface == "messages" {
		req.Header.Set("X-Api-Key", l.world.token(c.key))
		req.Header.Set("Anthropic-Version", "2023-06-01")
	} else {
		req.Header.Set("Authorization", "Bearer "+l.world.token(c.key))
	}
	resp, err := client.Do(req)
	if err != nil {
		r.fail("no answer", "broken")
		return
	}
	defer resp.Body.Close()
	apis[c.surface].readReply(r, resp, more)
}

// follow reads the rest of a background response's stream, of which the client has read the beginning and left. Whenever the
// stream breaks, it comes back.
func (l *living) follow(c *talk, r *reply) {
	for range 100 {
		if r.done || r.err != "" && r.code != "broken" {
			r.left = false
			return
		}
		if r.err != "" {
			time.Sleep(3*time.Second + l.apart)
		}
		r.left, r.err, r.code = false, "", ""
		l.sendInto(context.Background(), r, c, "GET", fmt.Sprintf("/v1/responses/%s?stream=true&starting_after=%d", r.id, r.events-1), nil, toTheEnd)
	}
	l.world.laws.breaks(l.Name, "the stream of a background response does not end")
}

// cancel ends a background response after a while. What it has said by then the client does not look at.
func (l *living) cancel(c *talk, t *task, r *reply) {
	time.Sleep(1300*time.Millisecond + l.apart)
	asked := time.Now()
	again := l.send(context.Background(), c, "POST", "/v1/responses/"+r.id+"/cancel", nil, toTheEnd)
	if !twice(t) {
		l.world.laws.stops(l, c.key, c.task(), r.began, asked, again.finished, l.Wanders)
	}
	began := r.began
	*r = *again
	r.began, r.resume, r.left = began, "", true
}

// poll waits for a background response to end.
func (l *living) poll(c *talk, r *reply) {
	began, id := r.began, r.id
	for range 600 {
		time.Sleep(3*time.Second + l.apart)
		again := l.send(context.Background(), c, "GET", "/v1/responses/"+id, nil, toTheEnd)
		if again.status == http.StatusOK && (again.done || again.err != "" || again.code != "") {
			*r = *again
			r.began, r.resume = began, ""
			return
		}
		if again.status == http.StatusNotFound {
			*r = *again
			r.began = began
			return
		}
	}
	l.world.laws.breaks(l.Name, "a background response does not end")
}

// answer gives the results of a reply's calls, as its stage says. false when there are to be none.
func (l *living) answer(c *talk, t *task, r *reply) bool {
	how := ""
	if s := stageOfCall(t, r.calls[0]); s != nil {
		how = s.Answer
	}
	l.world.situation("answers " + how + " × " + c.surface + " × " + l.world.plan.Upstream)
	pause := 300*time.Millisecond + l.apart
	switch how {
	case "late":
		pause = 4 * time.Minute
	case "very late":
		pause = 11 * time.Minute // the run is not parked so long
	}
	time.Sleep(pause)
	last := &c.messages[len(c.messages)-1]
	switch how {
	case "never":
		return false
	case "renamed":
		for i := range last.calls {
			last.calls[i].id = fmt.Sprintf("renamed_%d_%d", len(c.messages), i)
		}
		c.forget()
	case "reshaped":
		for i := range last.calls {
			last.calls[i].args = " " + strings.Replace(last.calls[i].args, ":", " : ", 1)
		}
		c.forget()
	case "surface", "key", "tools", "model":
		c.change(how)
	case "edited":
		c.change("edit")
		c.edited = true
	}
	var results []message
	for i, k := range last.calls {
		if how == "partial" && i == 0 && len(last.calls) > 1 {
			continue
		}
		var args struct{ N string }
		if err := json.Unmarshal([]byte(k.args), &args); err != nil {
			l.world.laws.breaks(l.Name, "a call has the arguments %q", k.args)
		}
		results = append(results, message{role: "tool", callID: k.id, text: fmt.Sprintf("[[%s=k%d.v1]]", args.N, c.key), isError: how == "error"})
	}
	if how == "reordered" {
		slices.Reverse(results)
	}
	c.messages = append(c.messages, results...)
	if how == "interrupted" {
		c.messages = append(c.messages, message{role: "user", text: interruption})
	}
	if how == "twice" {
		// The same request again while the first is under way, as after a time-out of the client's own.
		if c.conversation != "" {
			c.forget() // each has one of its own, because both would add to it
		}
		twin := *c
		twin.messages, twin.tools = slices.Clone(c.messages), slices.Clone(c.tools)
		l.twice.Go(func() {
			r := l.ask(&twin, t)
			l.world.laws.reply(l, &twin, t, r)
		})
		time.Sleep(20*time.Millisecond + l.apart)
	}
	return true
}

// stageOfCall is the stage of a task that a call belongs to.
func stageOfCall(t *task, k call) *stage {
	for i, s := range t.Stages {
		if strings.Contains(k.args, fmt.Sprintf(".s%d.", i)) {
			return s
		}
	}
	return nil
}
