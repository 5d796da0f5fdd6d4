package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/localtoken"
	"composer-api/internal/pages"
	"composer-api/internal/status"
)

// 'status', and both sides of it: what a gateway tells of itself (live, figures), and the command that asks one.

// live is what the process does at the moment.
// It may be called at any time, from any goroutine. The numbers are not of one moment: each is read
// under a lock of its own.
func (s *Instance) live() status.Report {
	now := status.Report{Draining: s.server.Draining(), Turns: s.server.Turns()}
	// The same functions that the metrics are read from, so that both show the same numbers.
	from := sources(s.gateway, s.backends)
	parked, oldest := from.Parked()
	// In seconds, as JSON has no durations.
	now.Parked, now.Oldest = parked, oldest.Seconds()
	if from.Bridges != nil {
		now.Bridges = from.Bridges()
	}
	if from.Connections != nil {
		now.Connections = from.Connections()
	}
	return now
}

// figures are what the operator's page shows of the process: the same as 'status'.
func (s *Instance) figures() []pages.Figure {
	now := s.live()
	now.Today = s.today.Tally()
	var list []pages.Figure
	// live has left Today out, as GET /status fills it in by itself.
	for _, row := range rows(&now) {
		list = append(list, pages.Figure{Name: row.name, Value: row.value})
	}
	return list
}

// A row is a line of 'status'.
//
// The page and the command show the same rows, so what is in the one is never missing in the other.
type row struct{ name, value string }

// rows are what a report says of now and today.
func rows(r *status.Report) []row {
	list := []row{{"Turns under way", fmt.Sprint(r.Turns)}, {"Parked runs", "0"}}
	if r.Parked > 0 {
		oldest := time.Duration(r.Oldest * float64(time.Second)).Round(time.Second)
		list[1].value = fmt.Sprintf("%d, the oldest for %v", r.Parked, oldest)
	}
	// Most gateways have neither bridges nor connections of this kind; a row of zeros would raise
	// questions.
	if r.Bridges > 0 {
		list = append(list, row{"Bridges", fmt.Sprint(r.Bridges)})
	}
	if r.Connections > 0 {
		list = append(list, row{"Connections", fmt.Sprint(r.Connections)})
	}
	t := &r.Today
	// In percent, rounded down: 100 % is only what was wholly in the cache.
	cached := int64(0)
	if t.Input > 0 {
		cached = t.Cached * 100 / t.Input
	}
	return append(list,
		row{"Turns today", fmt.Sprintf("%d, %d failed", t.Turns, t.Failed)},
		row{"Tokens today", fmt.Sprintf("%s in (%d %% from the cache), %s out", thousands(t.Input), cached, thousands(t.Output))},
		row{"Dollars today", fmt.Sprintf("$%.2f, since %s", t.CostUSD, t.From.Format("15:04"))},
	)
}

// thousands is a number with a comma between each three digits.
func thousands(n int64) string {
	digits := fmt.Sprint(n)
	// From the end, so that the places before it keep their numbers.
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// statusCmd is 'status'.
type statusCmd struct {
	gatewayFlags `embed:""`
	CAFile       string `name:"ca-file" var:"COMPOSER_CA_FILE" placeholder:"FILE" help:"Additional certificate authorities to trust, as PEM, for a gateway that speaks TLS itself."`
	// Watch repeats it until ctx ends.
	Watch bool `short:"w" help:"Show it again and again, until Ctrl-C."`
	// Every is the time between the beginnings of two questions. Validate bounds it.
	Every time.Duration `default:"1s" placeholder:"DURATION" help:"How often, with --watch."`
	// JSON prints a status.Report as GET /status gives it.
	JSON bool `name:"json" help:"Print JSON; with --watch one document a line."`
}

// Help is what --help prints below the command's line.
func (statusCmd) Help() string {
	return "It asks the gateway that runs here, with the token of this user's state folder, and costs no turn. Today begins at midnight by the gateway's clock, or when it was started."
}

// Validate refuses an interval that would keep both sides busy. kong calls it.
func (c *statusCmd) Validate() error {
	if c.Every < 100*time.Millisecond {
		return errors.New("--every must be 100ms or more")
	}
	return nil
}

// Run shows the status once, or with --watch until ctx ends. A gateway that goes away while it is watched is waited for.
func (c *statusCmd) Run(ctx context.Context, p *process) error {
	token, err := ownToken(p)
	if err != nil {
		return err
	}
	// Looked for with each question: a gateway that was started again may have another address, and has other connections.
	ask := func() (root string, report *status.Report, err error) {
		at := c.place(ctx, p)
		client, err := at.client(c.CAFile)
		if err != nil {
			return "", nil, err
		}
		defer client.CloseIdleConnections()
		client.Transport.(*http.Transport).Proxy = nil // it is this machine
		report, err = status.Ask(ctx, client, at.root, token)
		return at.root, report, statusHint(err)
	}
	if !c.Watch {
		root, report, err := ask()
		if err != nil {
			return err
		}
		return c.print(p.stdout, root, report)
	}
	// From here on Ctrl-C is the normal end, and no error.
	screen := newScreen(p.stdout)
	defer screen.close()
	// A question that takes longer than the interval is never overtaken by the next: ticks are dropped meanwhile.
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for {
		// The whole picture is built first and shown at once, so that it doesn't flicker.
		var page strings.Builder
		root, report, err := ask()
		switch {
		case ctx.Err() != nil:
			return nil
		// A wrong token, or another program on the port: waiting doesn't cure that.
		case err != nil && !errors.Is(err, status.ErrNobody):
			return err
		case err != nil:
			fmt.Fprintf(&page, "%v; waiting for one\n", err)
		default:
			if err := c.print(&page, root, report); err != nil {
				return err
			}
		}
		if err := screen.show(page.String()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// print writes a report, for a person or for a program.
func (c *statusCmd) print(w io.Writer, root string, r *status.Report) error {
	if c.JSON {
		// One line, with a line break behind it.
		return json.NewEncoder(w).Encode(r)
	}
	state := "takes turns"
	if r.Draining {
		state = "takes no new turns: it is being shut down"
	}
	fmt.Fprintf(w, "composer-api %s on %s, up for %v, %s\n", r.Version, root, time.Since(r.Since).Round(time.Second), state)
	// 16 is the longest name and a blank.
	fmt.Fprintf(w, "%-16s%s\n", "Upstreams", upstreamState(r))
	for _, row := range rows(r) {
		fmt.Fprintf(w, "%-16s%s\n", row.name, row.value)
	}
	return nil
}

// upstreamState names the upstreams, and says whether the first can be reached.
func upstreamState(r *status.Report) string {
	switch r.Upstream {
	case "ok":
		return strings.Join(r.Upstreams, ", ")
	case "unreachable":
		return strings.Join(r.Upstreams, ", ") + ": can't be reached; 'composer-api doctor' says why"
	}
	// A gateway that was started without an upstream serves its pages, and says in each answer what
	// is missing.
	return "none; 'composer-api upstream install' gets one"
}

// ownToken is the local token of this user; none is no error, because a demo asks for none.
func ownToken(p *process) (agent.Secret, error) {
	// The token is in the state folder of the user who runs this command, so the gateway of another user refuses it.
	dir, err := p.env.StateDir()
	if err != nil {
		return agent.Secret{}, err
	}
	token, err := localtoken.Read(dir)
	if errors.Is(err, os.ErrNotExist) {
		return agent.Secret{}, nil
	}
	if err != nil {
		return agent.Secret{}, tokenHint(err)
	}
	return token, nil
}

// statusHint says what to do when there is no report.
func statusHint(err error) error {
	switch {
	case errors.Is(err, status.ErrNobody):
		return &hinted{err, "start one with 'composer-api serve', or say where it listens with --addr or COMPOSER_ADDR"}
	case errors.Is(err, status.ErrWrongToken):
		return &hinted{err, "it is another user's, or 'composer-api token --rotate' was used since it was started: start it again"}
	case errors.Is(err, status.ErrUntrusted):
		return &hinted{err, "name the file of its authority with --ca-file or COMPOSER_CA_FILE, or the name that the certificate is for with --addr https://NAME:PORT"}
	case errors.Is(err, status.ErrUnknown):
		return &hinted{err, "see what listens there: 'composer-api doctor' does; an older composer-api has no status, and the address of one that speaks TLS begins with https://"}
	}
	return err
}
