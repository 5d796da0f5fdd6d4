package parking

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// TestUpstreamIsResetWhenTheClientLeaves measures several times and judges by the middle one, because a busy machine
// may let any process wait.
func TestUpstreamIsResetWhenTheClientLeaves(t *testing.T) {
	const times, limit = 7, 50 * time.Millisecond
	sim, gateway := start(t, "turn always\ntext It begins.\nhold")
	var took []time.Duration
	for i := range times {
		body, leave := newChat(t, gateway).user("Talk.").stream()
		readUntil(t, body, "It begins.")
		left := time.Now()
		leave()
		runs := sim.Await("the reset", func(runs []harness.Run) bool { return len(runs) == i+1 && runs[i].End != "" })
		if runs[i].End != "left" {
			t.Errorf("the run ended %q", runs[i].End)
		}
		took = append(took, runs[i].Ended.Sub(left))
	}
	slices.Sort(took)
	if took[times/2] > limit {
		t.Errorf("upstream was reset after %v, want at most %v in most cases", took, limit)
	}
}

func TestAParkedRunOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, oneCall)
	c := newChat(t, gateway).user("Look.")
	body, leave := c.stream()
	readUntil(t, body, "[DONE]")
	leave()
	if open := sim.Open(); open != 1 {
		t.Errorf("%d runs are open", open)
	}
	gateway.Stop()
	wantEnds(t, sim, "left")
}

func TestSIGTERMLetsStreamsFinishAndTakesNoNewTurns(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, `
turn when prompt "parked"
call look {}
turn when prompt "stream"
text It begins.
delay 1500ms
text It ends.
`)
	newChat(t, gateway).user("parked").send()
	body, _ := newChat(t, gateway).user("stream").stream()
	readUntil(t, body, "It begins.")
	gateway.Signal()
	// The process is still there: it refuses politely until the stream is over.
	refused := newChat(t, gateway).user("too late")
	sim.Await("the end of the parked run", func(runs []harness.Run) bool { return runs[0].End == "left" })
	if a, err := refused.try(); err != nil || a.Status != http.StatusServiceUnavailable {
		t.Errorf("a new turn got %d (%v), want 503", a.Status, err)
	}
	rest, err := io.ReadAll(body)
	if err != nil || !strings.Contains(string(rest), "It ends.") || !strings.HasSuffix(strings.TrimSpace(string(rest)), "[DONE]") {
		t.Errorf("the stream did not finish: %v\n%s", err, rest)
	}
	gateway.Stop()
	wantEnds(t, sim, "left", "well")
}

func TestTheGracePeriodEnds(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, "turn\ntext It begins.\nhold", "--grace=200ms")
	body, _ := newChat(t, gateway).user("Talk.").stream()
	readUntil(t, body, "It begins.")
	gateway.Signal()
	rest, err := io.ReadAll(body)
	if err != nil || !strings.Contains(string(rest), `"error"`) || strings.Contains(string(rest), "[DONE]") {
		t.Errorf("want an error and no [DONE]: %v\n%s", err, rest)
	}
	gateway.Stop()
	wantEnds(t, sim, "left")
}
