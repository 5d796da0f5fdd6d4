package control_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/gateway/control"
	"composer-api/internal/sim/cursorsim"
)

// A client that leaves while the model tries again ends that attempt: upstream's stream is reset at once, and nothing of
// the turn stays.
func TestAClientLeavesDuringTheRepair(t *testing.T) {
	look := tool{Name: "look", Parameters: []byte(`{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}`)}
	strict := look
	strict.Strict = true
	const (
		inText  = "turn\ntext No.\nturn\nthink Well.\nhold\n"
		written = "turn\ntext \"look(path: a)\"\nturn\nthink Well.\nhold\n"
		// Wrong arguments are answered within the run.
		inTheRun = "turn\ncall look {}\nthink Well.\nhold\n"
		// The same on a run that has waited for results.
		parked = "turn\ncall look {\"path\":\"a\"}\ntext No.\nturn\nthink Well.\nhold\n"
	)
	format := []byte(`{"type":"object","properties":{}}`)
	for name, tc := range map[string]struct {
		script   string
		ask      ask
		results  bool // the repair is in the client's second turn
		attempts int
	}{
		"tool_choice":         {script: inText, ask: ask{Tools: []tool{look}, Choice: "required"}, attempts: 2},
		"json":                {script: inText, ask: ask{Format: format}, attempts: 2},
		"narrated":            {script: written, ask: ask{Tools: []tool{look}, Settings: control.Config{RepairNarrated: true}}, attempts: 2},
		"arguments":           {script: inTheRun, ask: ask{Tools: []tool{strict}}, attempts: 1},
		"tool_choice, parked": {script: parked, ask: ask{Tools: []tool{look}, Choice: "required"}, results: true, attempts: 2},
		"json, parked":        {script: parked, ask: ask{Tools: []tool{look}, Format: format}, results: true, attempts: 2},
		"arguments, parked":   {script: "turn\ncall look {\"path\":\"a\"}\ncall look {}\nthink Well.\nhold\n", ask: ask{Tools: []tool{strict}}, results: true, attempts: 1},
	} {
		for _, s := range surfaces {
			t.Run(name+"/"+s.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tc.ask.Prompt = "Look."
					w := newWorld(t, tc.script, tc.ask)
					defer w.close()
					c := &client{t: t, world: w, surface: s, ask: tc.ask}
					if tc.results {
						if first := c.send(); len(first.calls) != 1 {
							t.Fatalf("the client got %s", first)
						}
						c.results([]string{"dark"})
					}
					ctx, cancel := context.WithCancel(t.Context())
					over := make(chan *answer)
					go func() { over <- c.sendUntil(ctx) }()
					time.Sleep(time.Minute)
					synctest.Wait()
					runs := w.sim.Runs()
					if n := len(runs); n != tc.attempts || runs[n-1].Continued != (n > 1) || runs[n-1].End != "" {
						t.Fatalf("%d attempts: %+v", n, runs)
					}
					cancel()
					if got := <-over; got.text != "" || strings.Contains(got.end, "stop") {
						t.Errorf("the client got %s", got)
					}
					synctest.Wait()
					if end := w.sim.Runs()[tc.attempts-1].End; end != cursorsim.EndedLeft {
						t.Errorf("the last attempt ended %q", end)
					}
					if n, _ := w.gateway.Parked(); n != 0 {
						t.Errorf("%d runs still wait", n)
					}
				})
			})
		}
	}
}
