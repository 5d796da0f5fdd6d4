package control_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// Who was refused a system prompt is not asked about for a day, and then once more: the right may have been granted.
func TestARefusalOfTheSystemPromptIsRememberedForADay(t *testing.T) {
	const source = "turn always when system\nerror invalid_argument retryable=false No custom system prompt for you.\nturn always\ntext ok\n"
	asked := ask{System: "Be brief.", Prompt: "Hi"}
	asked.Settings.System = "auto"
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, source, asked)
		defer w.close()
		runs := 0
		for _, step := range []struct {
			wait time.Duration
			runs int // two when the system prompt is tried first
		}{{0, 2}, {0, 1}, {23 * time.Hour, 1}, {time.Hour, 2}, {time.Hour, 1}} {
			time.Sleep(step.wait)
			if got := (&client{t: t, world: w, surface: surfaces[0], ask: asked}).send(); got.text != "ok" {
				t.Fatalf("got %s", got)
			}
			synctest.Wait()
			if n := len(w.sim.Runs()) - runs; n != step.runs {
				t.Errorf("after %v: %d runs, want %d", step.wait, n, step.runs)
			}
			runs = len(w.sim.Runs())
		}
	})
}
