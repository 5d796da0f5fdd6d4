package localagent

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/sim/cursorsim"
)

// One goroutine sends the heartbeats of all runs. A bug that it meets in one of them must end that run alone.
func TestAPanicInAnAlarmEndsItsRunAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn always\ncall look {}\ntext done", cursorsim.Config{}, nil)
		good := r.start(t, backendtest.Request("good"))
		turn := collect(t, good)
		bad := r.start(t, backendtest.Request("bad"))
		calls := collect(t, bad)
		broken := bad.(*run)
		broken.mu.Lock()
		open := broken.stream
		broken.stream = nil
		broken.mu.Unlock()
		defer open.close(errClosed)

		time.Sleep(5 * time.Minute) // in which upstream gives up a run that sends no heartbeats
		if err := bad.Resume(t.Context(), []agent.ToolResult{{CallID: calls.Calls[0].ID}}); agent.CodeOf(err) != agent.Internal || !strings.Contains(err.Error(), "panic") {
			t.Errorf("the bad run: %v", err)
		}
		resume(t, good, turn)
		if got := collect(t, good); got.Text != "done" {
			t.Errorf("the good run says %q", got.Text)
		}
	})
}
