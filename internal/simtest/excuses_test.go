package simtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The short list of reasons for which a request may fail. Each reason belongs to the one request that it can explain: a fault
// that was played in a run of that request, an operation that was on while it was under way. So the next try of a request
// has to succeed, unless there is a reason of its own for it.
//
//	a fault          faultRows says how often it is retried, so that nobody sees it; begunAgain, when an answer that has been cut
//	                 off is begun again
//	an exchange      of a key fails for a moment, and other faults or operations had taken the turn's retries
//	an operation     operations says what clients may see of it
//	the response     that it follows could not be stored, because of an operation

// What a failure is called, on all APIs.
var (
	byUpstream = []string{"upstream_error", "server_error", "api_error"}
	byLoad     = []string{"server_is_overloaded", "overloaded_error"}
	byTime     = []string{"upstream_timeout", "timeout_error", "api_error", "server_error"}
	byLimit    = []string{"rate_limit_exceeded", "rate_limit_error"}
	byKey      = []string{"invalid_api_key", "authentication_error", "invalid_prompt"} // the last in a stream of responses
	byRequest  = []string{"invalid_value", "invalid_request_error", "invalid_prompt"}
	byWay      = []string{"no answer", "broken"} // not an answer of the gateway's at all
)

// A faultRow says what a client may see of a fault.
type faultRow struct {
	retried int      // how often in one turn, as long as nothing was said; see package retry
	codes   []string // what it is called when it isn't retried
	always  bool     // it is retried also when something was said
}

// ever is more often than any plan has a fault.
const ever = 100

// faultRows has a row for each of faults.
var faultRows = map[string]faultRow{
	"cut":             {retried: 2, codes: byUpstream},
	"drop":            {retried: 2, codes: byUpstream},
	"garbage":         {retried: 2, codes: byUpstream},
	"unavailable":     {retried: 2, codes: byLoad},
	"status 503":      {retried: 2, codes: byLoad},
	"status 429":      {codes: byLimit},
	"limited":         {codes: byLimit},
	"refused":         {codes: byRequest},
	"unauthenticated": {retried: 1, codes: byKey},
	"status 401":      {retried: 1, codes: byKey},
	"hold":            {retried: ever, always: true},
	"stall":           {retried: 1, codes: byTime},
	"checkpoint cut":  {retried: 2, codes: byUpstream, always: true},
	"checkpoint drop": {retried: 2, codes: byUpstream, always: true},
}

// elsewhere has the rows that are others with an upstream.
var elsewhere = map[string]map[string]faultRow{
	"chat": {
		"garbage":         {codes: byUpstream},
		"checkpoint cut":  {retried: 2, codes: byUpstream}, // it has no checkpoints
		"checkpoint drop": {retried: 2, codes: byUpstream},
	},
	// The bridge begins again by itself, also when something was said. Then the gateway ends the turn.
	"sdkbridge": {
		"cut":             {retried: 10, codes: byUpstream},
		"drop":            {retried: 10, codes: byUpstream},
		"checkpoint cut":  {retried: 10, codes: byUpstream},
		"checkpoint drop": {retried: 10, codes: byUpstream},
		"unavailable":     {retried: 3, codes: byUpstream},
		"status 503":      {retried: 3, codes: byUpstream},
		"status 429":      {retried: 3, codes: byUpstream},
		"limited":         {retried: 3, codes: byUpstream},
		"refused":         {retried: 3, codes: byUpstream},
		"unauthenticated": {codes: byKey},
		"status 401":      {codes: byKey},
		"garbage":         {retried: 2, codes: byUpstream},
	},
}

func rowOf(upstream, kind string) faultRow {
	if row, ok := elsewhere[upstream][kind]; ok {
		return row
	}
	return faultRows[kind]
}

// excuse: a request fails for a reason that is on the list. Nothing else is one.
func (l *laws) excuse(p *living, c *talk, t *task, r *reply) {
	if l.fault(p, c, t, r) || l.exchange(p, c.key, r) || l.operation(p, t, r) || l.neverStored(p, c, r) {
		return
	}
	var met []string
	for _, f := range l.world.upstream.faultsOf(c.key, p.Speaks, r.began, r.finished) {
		met = append(met, fmt.Sprintf("%s, said %v, used %v", f.kind, f.said, f.used))
	}
	l.breaks(p.Name, "excuse: nothing explains the failure: status %d, %s: %s (faults: %q)", r.status, r.code, r.err, met)
}

// fault reports whether a fault in a run of this request explains the failure. It explains no other one.
func (l *laws) fault(p *living, c *talk, t *task, r *reply) bool {
	met := map[string]int{} // by kind, in this request
	faults := l.world.upstream.faultsOf(c.key, p.Speaks, r.began, r.finished)
	again := len(faults) == 1 && l.begunAgain(p, t, r)
	for _, f := range faults {
		if f.used {
			continue
		}
		met[f.kind]++
		row := rowOf(l.world.plan.Upstream, f.kind)
		if slices.Equal(row.codes, byKey) && l.refused(r) > 0 {
			row.retried-- // the retry that a refused token gets is spent on the one that was revoked
		}
		for _, o := range l.world.reached(r) {
			row.retried -= operations[o.Do].spends
		}
		row.retried -= l.world.exchange.failed(c.key, r.began, r.finished)
		said := f.said && !row.always && !(again && (slices.Equal(row.codes, byUpstream) || slices.Equal(row.codes, byLoad)))
		if (said || met[f.kind] > row.retried) && slices.Contains(row.codes, r.code) {
			f.used = true
			return true
		}
	}
	return false
}

// begunAgain reports whether the gateway begins an answer again, once, that breaks off after something was said: its client gets
// nothing before the end, and no operation has taken that try (decision 135).
func (l *laws) begunAgain(p *living, t *task, r *reply) bool {
	return !p.Stream && !t.background() && len(l.world.reached(r)) == 0
}

// retries is how often one turn is tried again before it has said anything; see package retry.
const retries = 2

// exchange reports whether exchanges of a key have failed that explain the failure. By themselves they don't: each passes in a
// moment, and a plan has no more of them than retries. One may also cross with the end of a connection that another server closes.
func (l *laws) exchange(p *living, key int, r *reply) bool {
	failed := l.world.exchange.failed(key, r.began, r.finished)
	spent := len(l.world.upstream.faultsOf(key, p.Speaks, r.began, r.finished))
	for _, o := range l.world.reached(r) {
		if spent += operations[o.Do].spends; o.Do == "goaway" {
			failed++
		}
	}
	spent += failed
	return failed > 0 && spent > retries && slices.Contains(slices.Concat(byUpstream, byLoad, byTime), r.code)
}

// refused is how often upstream has refused a token while the request was under way, because it was revoked or over.
func (l *laws) refused(r *reply) (n int) {
	for _, run := range l.world.sim.Runs() {
		if run.KeyHash == "" && !run.Started.Before(r.began) && !run.Started.After(r.finished) {
			n++
		}
	}
	return n
}

// lease is how long a process may be without the store before another one takes it for dead, and says so of its background
// responses until it is back: decision 16.
const lease = 15 * time.Second

// operation reports whether an operation that was on during the request explains the failure. A background response ends with
// its process, and says so in words of its own. A gateway that is behind Cursor's clock takes tokens for good that are over: of two
// that are refused in one turn, the second is its end.
func (l *laws) operation(p *living, t *task, r *reply) bool {
	for _, o := range l.world.reached(r) {
		explains := operations[o.Do].explains
		if l.passesOn(p, o, r) {
			explains = byWay
		}
		if slices.Contains(explains, r.code) || t.background() && r.code == "server_error" && slices.Contains(explains, byWay[0]) {
			return true
		}
		if t.background() && p.Wanders && o.For > lease && storeIsAway(o) && r.code == "server_error" && strings.Contains(r.err, "restarted") {
			return true
		}
		if o.Do == "Cursor ahead" && l.refused(r) > 1 && slices.Contains(byKey, r.code) {
			return true
		}
	}
	return false
}

// neverStored reports whether the failure is that the response before can't be found, which came while an operation was on. Or it
// is in progress still, for all but the process that had its end and not the store (decision 100).
func (l *laws) neverStored(p *living, c *talk, r *reply) bool {
	if c.previous == "" {
		return false
	}
	if r.code == "invalid_value" && strings.Contains(r.err, "still in progress") {
		began := c.kept.began
		if len(c.line) > 0 {
			began = c.line[0].kept.began
		}
		on := l.world.during(began, r.finished)
		return slices.ContainsFunc(on, storeIsAway) && (p.Wanders || slices.ContainsFunc(on, endsAProcess))
	}
	return r.code == "previous_response_not_found" && l.world.during(c.kept.began, c.kept.finished.Add(5*time.Second)) != nil
}
