// Package doctor looks at a gateway before, or while, it runs: its settings, the way to Cursor, the key, the bridge, the
// database and what is around it. Each thing that is wrong is named with what cures it.
//
// A check is a row of [checks] and a file of its own. It looks at the [Subject], changes nothing that stays, and reports
// what it finds as [Finding]s. A check that makes no sense while another one is broken names that one, and is skipped then,
// so that one fault gives one finding and not ten.
//
//	Examine ──► version ──► settings ──► proxy, dns, tcp, clock, tls, http2 ──► key, token ──► bridge ──► store, disk, cert, port, clients ──► turn
//
// doctor.go has the table of checks, subject.go what is looked at, report.go what a check writes to, network.go what checks of
// the network share. The checks, in the table's order: version.go, settings.go, proxy.go, dns.go, tcp.go, clock.go, tls.go,
// http2.go, key.go, token.go, bridge.go, store.go, disk.go (with free_*.go for each system), certificate.go, port.go,
// clients.go, turn.go.
//
// It knows neither flags nor variables: internal/cli makes the Subject, out of the same parts as the gateway that it starts.
package doctor

import (
	"context"
	"slices"
	"time"

	"composer-api/internal/agent"
)

// A Level is how serious a finding is.
type Level string

// The levels. Only Broken makes an examination fail.
const (
	OK      Level = "ok"
	Warning Level = "warning" // works, and may not be meant, or not for long
	Broken  Level = "broken"  // does not work
	Skipped Level = "skipped" // was not looked at; the text says why
)

// A Finding is one thing that a check has found. It holds no secret and nothing of what people say.
type Finding struct {
	Check string `json:"check"` // the name of the row in checks
	// Level says how serious it is; only Broken makes the exit code 1.
	Level Level `json:"level"`
	// Text is a sentence without a full stop at its end.
	Text string `json:"text"`
	// Cure is a command, or what to do where no command can do it. It is there whenever the level is Warning or Broken.
	Cure string `json:"cure,omitempty"`
	// Details are lines that belong to the text, such as the settings.
	Details []string `json:"details,omitempty"`
	// Took is how long it took, in milliseconds, where that is of interest; 0 elsewhere.
	Took int64 `json:"took_ms,omitempty"`
}

// A check is one row of the table.
type check struct {
	// name is what findings are headed by, and what needs refer to.
	name string
	// needs are the checks without which this one says nothing: it is skipped when one of them is broken, or was skipped itself.
	needs []string
	// limit bounds it; ctx of run ends then.
	limit time.Duration
	// run looks, and writes to r. It returns nothing: what went wrong is a finding.
	run func(ctx context.Context, s *Subject, r *report)
}

// Limits of a step. A turn starts a bridge and waits for a model.
const (
	// A network's disk may hang, so even what reads only files has a limit.
	brief     = 5 * time.Second
	network   = 15 * time.Second
	patiently = 90 * time.Second
)

// checks are all, in their order. What a row needs stands above it.
// The order is that in which a person would look: from the machine to Cursor, then to the model.
var checks = []check{
	{"version", nil, brief, version},
	{"settings", nil, brief, settings},
	{"proxy", []string{"settings"}, network, proxy},
	{"dns", []string{"settings", "proxy"}, network, dns},
	{"tcp", []string{"dns"}, network, tcp},
	{"clock", []string{"tcp"}, network, clock},
	{"tls", []string{"tcp"}, network, secured},
	{"http2", []string{"tls"}, network, http2},
	{"key", []string{"tls"}, network, key},
	{"token", []string{"key"}, network, token},
	{"bridge", []string{"settings"}, patiently, bridge},
	{"store", []string{"settings"}, network, stored},
	{"disk", []string{"settings"}, brief, disk},
	{"cert", []string{"settings"}, brief, certificates},
	{"port", []string{"settings"}, network, port},
	{"clients", []string{"settings"}, brief, clients},
	{"turn", []string{"http2", "token", "bridge"}, patiently, turn},
}

// Examine runs the checks one after the other and hands each finding to tell as soon as it is there. It reports whether
// nothing is broken. It ends early when ctx does.
func Examine(ctx context.Context, s *Subject, tell func(Finding)) (healthy bool) {
	because := map[string]string{} // for a check that is broken or was skipped, the one at fault
	healthy = true
	for _, c := range checks {
		if ctx.Err() != nil {
			return false
		}
		r := &report{check: c.name, tell: tell}
		// Not the nearest check but the one at fault is named: "because of dns", not "because of
		// token".
		if i := slices.IndexFunc(c.needs, func(name string) bool { return because[name] != "" }); i >= 0 {
			because[c.name] = because[c.needs[i]]
			r.skip("not looked at, because of %s", because[c.name])
			continue
		}
		runCheck(ctx, c, s, r)
		// Skipped by itself, such as a key that isn't there: what needs it has nothing to look at.
		if r.worst == Broken || r.worst == Skipped {
			because[c.name] = c.name
		}
		healthy = healthy && r.worst != Broken
	}
	return healthy
}

// runCheck runs one check within its limit. A bug in it is a finding, and doesn't end the examination.
func runCheck(ctx context.Context, c check, s *Subject, r *report) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	defer agent.CatchPanic(func(err *agent.Error) {
		r.broken("this is a bug in composer-api", "%s: report this: %v", c.name, err.Err)
	})
	c.run(ctx, s, r)
}
