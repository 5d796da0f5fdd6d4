package status

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/localtoken"
)

// Config is what the route needs.
type Config struct {
	// Version and Upstreams are passed on.
	Version   string
	Upstreams []string
	// Token is the local token, which is asked for. Without one nobody is answered, unless Open says that everybody is, in the
	// demo.
	Token agent.Secret
	Open  bool
	// Live is what the process does at the moment. The other members of the Report are filled in afterwards.
	Live func() Report
	// Reachable asks the upstream of /v1 for a sign of life. Errors are *agent.Error.
	Reachable func(context.Context) error
	// Today counts. It has to be told of turns by whoever wires it.
	Today *Today
}

// A Reporter makes Reports.
type Reporter struct {
	cfg Config
	// since is when New was called.
	since time.Time
}

// New makes a Reporter of a process that begins now.
func New(cfg Config) *Reporter { return &Reporter{cfg, time.Now()} }

// report is how things are. It asks upstream whether it can be reached, within the time of ctx.
func (r *Reporter) report(ctx context.Context) Report {
	report := r.cfg.Live()
	report.Version, report.Upstreams, report.Since, report.Today = r.cfg.Version, r.cfg.Upstreams, r.since, r.cfg.Today.Tally()
	report.Upstream = "ok"
	if err := r.cfg.Reachable(ctx); agent.CodeOf(err) == agent.NotConfigured {
		report.Upstream = "not_configured"
	} else if err != nil {
		report.Upstream = "unreachable"
	}
	return report
}

// Routes are the lines of the routing table.
func (r *Reporter) Routes() []api.Route {
	return []api.Route{{Pattern: "GET /status", Open: true, Handle: r.status}}
}

// status answers GET /status. It is an open route for httpd, because what it asks for is the token, whether the server lends a
// Cursor key or not; a key of Cursor's opens nothing here.
func (r *Reporter) status(w http.ResponseWriter, req *http.Request, _ *api.Call) error {
	sent, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if !r.cfg.Open && !localtoken.Equal(sent, r.cfg.Token) {
		return agent.Errorf(agent.InvalidKey, "This asks for the gateway's own token, which 'composer-api token' prints; after 'composer-api token --rotate' start the gateway again.")
	}
	doc, err := json.Marshal(r.report(req.Context()))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return api.WriteJSON(w, doc)
}
