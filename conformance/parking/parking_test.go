// Package parking shows over plain HTTP what becomes of runs that wait for tool results: which requests they go on
// for, and what happens when they can't.
package parking

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// twoCalls is a model that makes two calls at once and reports their results; the run after that is another one.
const twoCalls = `
turn
calls 2
call look {"at":"one"}
call look {"at":"two"}
end
text {result 1} and {result 2}
turn
text afresh
`

// oneCall is the same with one.
const oneCall = `
turn
call look {"at":"one"}
text {result 1}
turn
text afresh
`

// start starts a simulator with a script, and a gateway.
func start(t testing.TB, script string, args ...string) (*harness.Sim, *harness.Gateway) {
	t.Helper()
	sim := harness.StartSim(t)
	sim.Play(script)
	t.Cleanup(func() {
		if wrong := sim.Violations(); len(wrong) > 0 {
			t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
		}
	})
	return sim, harness.StartGateway(t, sim, args...)
}

// wantEnds fails the test unless the runs ended so, in the order in which they began.
func wantEnds(t testing.TB, sim *harness.Sim, ends ...string) {
	t.Helper()
	runs := sim.AwaitIdle()
	var got []string
	for _, r := range runs {
		got = append(got, r.End)
	}
	if !slices.Equal(got, ends) {
		t.Errorf("runs ended %q, want %q\n%s", got, ends, harness.Summary(runs))
	}
}

func TestResultsResumeTheRun(t *testing.T) {
	for _, tc := range []struct {
		name    string
		results func(c *chat, ids []string)
		want    string // of the answer, which tells the results: a regular expression
	}{
		{"in order", func(c *chat, ids []string) { c.result(ids[0], "first").result(ids[1], "second") }, `^first and second$`},
		{"out of order", func(c *chat, ids []string) { c.result(ids[1], "second").result(ids[0], "first") }, `^first and second$`},
		{"one missing", func(c *chat, ids []string) { c.result(ids[1], "second") }, `^error: .+ and second$`},
		{"with a user message", func(c *chat, ids []string) {
			c.result(ids[0], "first").result(ids[1], "second").user("Hurry up!")
		}, `^first and second(?s:.*)The user says(?s:.*)Hurry up!\n</user_message>$`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sim, gateway := start(t, twoCalls)
			c := newChat(t, gateway).user("Look twice.")
			asked := c.send()
			tc.results(c, asked.ids())
			a := c.send()
			if a.Resume != "parked" || !regexp.MustCompile(tc.want).MatchString(a.Content) {
				t.Errorf("the answer is %q (%s), want %s (parked)", a.Content, a.Resume, tc.want)
			}
			wantEnds(t, sim, "well")
		})
	}
}

func TestASecondCopyOfTheResultsStartsAfresh(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, oneCall)
	c := newChat(t, gateway).user("Look.")
	asked := c.send()
	c.result(asked.Calls[0].ID, "seen")
	answers := make(chan answer)
	for _, c := range []*chat{c, c.fork()} {
		go func() {
			a, err := c.try()
			if err != nil {
				t.Error(err)
			}
			answers <- a
		}()
	}
	got := map[string]string{}
	for range 2 {
		a := <-answers
		got[a.Resume] = a.Content
	}
	if got["parked"] != "seen" || got["transcript"] != "afresh" {
		t.Errorf("the answers are %q", got)
	}
	wantEnds(t, sim, "well", "well")
}

func TestAnEditedHistoryStartsAfresh(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, oneCall)
	c := newChat(t, gateway).user("Look at one.")
	asked := c.send()
	c.messages[0].Content = "Look at two."
	c.result(asked.Calls[0].ID, "seen")
	again := c.send()
	again.want(t, "transcript", "afresh")
	wantEnds(t, sim, "left", "well")
}

func TestAnExpiredRunStartsAfresh(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, oneCall, "--park-timeout=100ms")
	c := newChat(t, gateway).user("Look.")
	asked := c.send()
	sim.AwaitIdle()
	c.result(asked.Calls[0].ID, "seen")
	again := c.send()
	again.want(t, "transcript", "afresh")
	wantEnds(t, sim, "left", "well")
}

func TestARunOfAnotherProcessStartsAfresh(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*harness.Gateway)
	}{
		{"stopped", func(g *harness.Gateway) { g.Stop() }},
		{"killed", func(g *harness.Gateway) { g.Kill() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sim, gateway := start(t, oneCall)
			c := newChat(t, gateway).user("Look.")
			asked := c.send()
			tc.end(gateway)
			sim.AwaitIdle()
			c.gateway = harness.StartGateway(t, sim)
			c.result(asked.Calls[0].ID, "seen")
			again := c.send()
			again.want(t, "transcript", "afresh")
			wantEnds(t, sim, "left", "well")
		})
	}
}

func TestAnotherOwnerNeverClaims(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, oneCall)
	c := newChat(t, gateway).user("Look.")
	asked := c.send()
	c.result(asked.Calls[0].ID, "seen")
	thief := c.fork()
	thief.key = "crsr_another"
	stolen := thief.send()
	stolen.want(t, "transcript", "afresh")
	own := c.send()
	own.want(t, "parked", "seen")
	wantEnds(t, sim, "well", "well")
	runs := sim.Runs()
	if runs[0].KeyHash == runs[1].KeyHash || runs[0].ConversationID == runs[1].ConversationID {
		t.Error("the two owners share a key or a conversation upstream")
	}
}

func TestTheTranscriptTellsWhatWasDone(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, `
turn
call look {"at":"one"}
turn
expect prompt Look at it.
expect prompt I looked before.
expect prompt what-was-seen
expect prompt Which colour?
text done
`, "--park-timeout=50ms")
	c := newChat(t, gateway).user("Look at it.")
	asked := c.send()
	sim.AwaitIdle()
	c.messages[1].Content = "I looked before."
	c.result(asked.Calls[0].ID, "what-was-seen").user("Which colour?")
	again := c.send()
	again.want(t, "transcript", "done")
	if run := sim.AwaitIdle()[1]; len(run.Failures) > 0 {
		t.Errorf("%v\nthe prompt is\n%s", run.Failures, run.Prompt)
	}
}

func TestAWrongKeyIsRefused(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, oneCall)
	c := newChat(t, gateway).user("Look.")
	c.key = "crsr_bad"
	a, err := c.try()
	if err != nil || a.Status != http.StatusUnauthorized || a.Error != "invalid_api_key" {
		t.Errorf("%d %s (%v)", a.Status, a.Error, err)
	}
	if runs := sim.Runs(); len(runs) > 0 {
		t.Errorf("it came as far as upstream:\n%s", harness.Summary(runs))
	}
}
