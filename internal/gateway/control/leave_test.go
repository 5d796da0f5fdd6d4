package control_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/sim/cursorsim"
)

// A client that leaves while the model tries again ends that attempt: upstream's stream is reset at once, and nothing of
// the turn stays.
func TestAClientLeavesDuringTheRepair(t *testing.T) {
	const source = "turn\ntext No.\nturn\nthink Well.\nhold\n"
	for name, asked := range map[string]ask{
		"tool_choice": {Prompt: "Look.", Tools: []tool{{Name: "look"}}, Choice: "required"},
		"json":        {Prompt: "Look.", Format: []byte(`{"type":"object","properties":{}}`)},
	} {
		for _, s := range surfaces {
			t.Run(name+" "+s.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, source, asked)
					defer w.close()
					ctx, cancel := context.WithCancel(t.Context())
					over := make(chan *answer)
					go func() { over <- (&client{t: t, world: w, surface: s, ask: asked}).sendUntil(ctx) }()
					time.Sleep(time.Minute)
					synctest.Wait()
					if runs := w.sim.Runs(); len(runs) != 2 || !runs[1].Continued || runs[1].End != "" {
						t.Fatalf("%d attempts: %+v", len(runs), runs)
					}
					cancel()
					if got := <-over; got.text != "" || strings.Contains(got.end, "stop") {
						t.Errorf("the client got %s", got)
					}
					synctest.Wait()
					if end := w.sim.Runs()[1].End; end != cursorsim.EndedLeft {
						t.Errorf("the second attempt ended %q", end)
					}
				})
			})
		}
	}
}
