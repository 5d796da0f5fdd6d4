// Package status tells what a running gateway is doing, and what it has done today: GET /status, which 'composer-api status'
// and the operator's page show.
//
// There are numbers in it and no names: nothing of what was said, and not who has said it.
//
//	watch ── Observer ──► Today ──┐
//	                              ├──► Report ──► Routes, GET /status ──► Ask
//	gateway, backends ── Sources ─┘
//
// Its files: report.go has the report; today.go the counts of this day; routes.go answers with both; ask.go asks a running
// gateway, for the command.
package status

import (
	"time"

	"composer-api/internal/agent"
)

// A Report is what is told. Members are only ever added.
type Report struct {
	// Version is the program's. A report without one is none of ours.
	Version   string   `json:"version"`
	Upstreams []string `json:"upstreams"` // the one of /v1 first; none when none is configured
	// Upstream says whether that one can be reached: "ok", "unreachable" or "not_configured".
	Upstream string `json:"upstream"`
	// Since is when the process began.
	Since time.Time `json:"since"`
	// Draining says that no new turns are taken.
	Draining bool `json:"draining"`
	// Turns is how many are under way.
	Turns int `json:"turns"`
	// Parked is how many runs wait for tool results, and Oldest for how many seconds the first of them has.
	Parked int     `json:"parked"`
	Oldest float64 `json:"parked_oldest_seconds"`
	// Bridges is how many bridges of Cursor's run, and Connections how many connections to the local-agent endpoint are open.
	Bridges     int `json:"bridges"`
	Connections int `json:"connections"`
	// Today is what was counted since midnight.
	Today Tally `json:"today"`
}

// A Tally is what turns come to.
type Tally struct {
	// From is when counting began: midnight by the server's clock, or the start of the process if that is later.
	From   time.Time `json:"from"`
	Turns  int       `json:"turns"`  // that have ended
	Failed int       `json:"failed"` // of these, with an error
	// Input is the whole prompt of each turn, and Output has the thinking in it.
	Input  int64 `json:"input_tokens"`
	Cached int64 `json:"cached_tokens"` // of Input, from upstream's cache
	Output int64 `json:"output_tokens"`
	// CostUSD is what they cost in US dollars, as far as prices are known.
	CostUSD float64 `json:"cost_usd"`
}

// add adds a turn's usage. Nothing is known of a turn that has failed early.
func (t *Tally) add(u *agent.Usage, failed bool) {
	t.Turns++
	if failed {
		t.Failed++
	}
	t.Input += u.Prompt()
	t.Cached += u.CacheRead
	t.Output += u.Output
	t.CostUSD += u.CostUSD()
}
