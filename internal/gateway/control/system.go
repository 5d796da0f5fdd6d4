package control

import (
	"regexp"
	"slices"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/lru"
)

// Upstream has a place of its own for the client's system text: there it is the model's system prompt, in place of Cursor's
// own, and is really obeyed. Cursor grants that to some accounts; to others it says so when it refuses the run.

// A SystemMode says where the client's system text goes. It is the operator's setting
// (COMPOSER_SYSTEM_PROMPT); "" counts as SystemText.
type SystemMode string

// The modes.
const (
	SystemAuto   SystemMode = "auto"   // into upstream's place where the account may, else into the message
	SystemNative SystemMode = "native" // into upstream's place, or the run is refused
	SystemText   SystemMode = "text"   // into the message
)

// refusers remembers for a day which owners may not give upstream a system prompt. It is safe
// for concurrent use. mu guards owners. The keys are owners, so that one account's refusal says
// nothing about another's.
type refusers struct {
	// mu guards owners, which has no lock of its own.
	mu sync.Mutex
	// The value is when to ask again. The cache's own age counts from the last use, and a busy
	// owner would never be asked about again.
	owners *lru.Cache[string, time.Time] // until when
}

// refusedFor is how long a refusal is remembered: an account that is granted the right gets it then.
const refusedFor = 24 * time.Hour

func newRefusers() *refusers {
	return &refusers{owners: lru.New[string, time.Time](lru.Limits{Count: 10_000, Age: refusedFor})}
}

// add remembers a refusal from now on.
func (r *refusers) add(owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners.Put(owner, time.Now().Add(refusedFor), 0)
}

// has reports whether the owner was refused within the last day.
func (r *refusers) has(owner string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, known := r.owners.Get(owner)
	return known && time.Now().Before(until)
}

// native reports whether the system text of req goes into the backend's own place for it.
//
// Without system text there is nothing to decide, and upstream's own prompt stays in place.
func (l *Layer) native(backend agent.Backend, req *agent.Request) bool {
	_, can := backend.(agent.SystemPrompter)
	if !can || l.cfg.System == SystemText || l.cfg.System == "" || req.SystemText() == "" || hasSystemImage(req) {
		return false
	}
	return l.cfg.System == SystemNative || !l.refusers.has(req.Caller.Owner)
}

// hasSystemImage reports whether an image stands in the system text: the place is for text alone.
func hasSystemImage(req *agent.Request) bool {
	return slices.ContainsFunc(req.Messages, func(m agent.Message) bool {
		return m.Role == agent.System && slices.ContainsFunc(m.Parts, func(p agent.Part) bool { return p.Image != nil })
	})
}

// aboutSystem is what upstream's refusal speaks of. Its words are not known; that it says so is.
var aboutSystem = regexp.MustCompile(`(?i)system[ _-]?prompt`)

// withoutNative decides about a run that failed with err before it has said anything: whether it may start again with the
// system text in the message. Upstream refuses what it does not grant as an invalid argument, and other things, too. So a
// refusal that does not speak of the system prompt is only believed to be about it when the run goes well without.
//
// Only SystemAuto tries again: with SystemNative the operator wants the refusal as an error.
func (r *Run) withoutNative(err error) bool {
	if !r.asked.NativeSystem || r.heard || r.layer.cfg.System != SystemAuto || agent.CodeOf(err) != agent.InvalidValue {
		return false
	}
	if aboutSystem.MatchString(agent.AsError(err).Message) {
		r.layer.refusers.add(r.asked.Caller.Owner)
	} else {
		r.suspected = true
	}
	return true
}

// confirm remembers a refusal that was only suspected to be about the system prompt: the run has begun to speak without one.
func (r *Run) confirm() {
	if r.suspected {
		r.suspected = false
		r.layer.refusers.add(r.asked.Caller.Owner)
	}
}

// System says how the client's system text reaches the model; "" when there is none. It may be called at any time and from
// any goroutine: the turn says so to the client while another goroutine waits in Next.
func (r *Run) System() agent.SystemWay {
	r.mu.Lock()
	inner, hasSystem := r.inner, r.hasSystem
	r.mu.Unlock()
	if prompted, ok := inner.(agent.SystemPrompted); ok && prompted.NativeSystem() {
		return agent.SystemNative
	}
	if !hasSystem {
		return ""
	}
	return agent.SystemText
}
