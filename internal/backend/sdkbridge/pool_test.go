package sdkbridge_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/sim/bridgesim"
)

// greet is hello for ever.
const greet = "turn times 1000 when continued\ntext again\nturn always\ntext hello"

func request(owner, prompt string) *agent.Request {
	req := backendtest.Request(prompt)
	req.Caller.Owner = owner
	return req
}

// bridgesOf are the numbers of the bridges that the runs were on, in order.
func (r *simRig) bridgesOf() []int {
	var numbers []int
	for _, run := range r.host.Runs() {
		numbers = append(numbers, run.Bridge)
	}
	return numbers
}

func (r *simRig) wantBridges(t *testing.T, want ...int) {
	t.Helper()
	got := r.bridgesOf()
	if len(got) != len(want) {
		t.Fatalf("the runs were on bridges %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("the runs were on bridges %v, want %v", got, want)
		}
	}
}

func TestABridgeIsReplacedAfterSoManyRunsTheNewOneFirst(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{RecycleRuns: 2})
		r.say(t, backendtest.Request("1"))
		held := r.start(t, backendtest.Request("2")) // its answer waits to be read
		r.host.DelayStarts(2 * time.Second)
		began := time.Now()
		r.say(t, backendtest.Request("3")) // the new bridge is on its way, and nobody waits for it
		if took := time.Since(began); took > time.Second {
			t.Errorf("a run has waited %v for the next bridge", took)
		}
		time.Sleep(3 * time.Second)
		turn := r.say(t, backendtest.Request("4"))
		if n := len(r.host.Bridges()); n != 2 {
			t.Errorf("%d bridges while a run is on the old one", n)
		}
		collect(t, held)
		held.Close()
		synctest.Wait()
		if n := len(r.host.Bridges()); n != 1 {
			t.Errorf("%d bridges in the end", n)
		}
		if turn = r.say(t, followUp(turn, "5")); turn.Text != "again" {
			t.Errorf("the conversation went on with %+v", turn)
		}
		r.wantBridges(t, 1, 1, 1, 2, 2)
	})
}

// A conversation outlives its bridge: the next one takes the agent over.
func TestAConversationGoesOnOnTheNextBridge(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{})
		turn := r.say(t, backendtest.Request("hi"))
		r.host.Bridges()[0].Kill()
		again := r.say(t, followUp(turn, "and now?"))
		if again.Text != "again" {
			t.Errorf("%+v", again)
		}
		third := followUp(again, "and now?")
		if got := r.say(t, third); got.Text != "again" {
			t.Errorf("%+v", got)
		}
		r.wantBridges(t, 1, 2, 2)
		if got := r.host.Runs()[1]; !got.Continued || got.Prompt != "and now?" {
			t.Errorf("the run that continues was %+v", got)
		}
	})
}

func TestABridgeIsReplacedWhenItHasGrown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{RecycleMemory: 500 << 20})
		r.say(t, backendtest.Request("1"))
		r.host.Bridges()[0].Grow(600 << 20)
		time.Sleep(time.Minute)
		r.say(t, backendtest.Request("2")) // begins the replacement
		synctest.Wait()
		r.say(t, backendtest.Request("3"))
		r.wantBridges(t, 1, 1, 2)
		if n := len(r.host.Bridges()); n != 1 {
			t.Errorf("%d bridges", n)
		}
	})
}

// One thread carries so many runs; what waits for a client gives it nothing to do.
func TestABusyBridgeGetsASecondOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn times 20 when prompt \"tool\"\ncall look {}\ntext done\nturn always\nhold", sdkbridge.Config{MaxPerPool: 2})
		for range 20 {
			collect(t, r.start(t, backendtest.Request("tool")))
		}
		if n := r.host.Started(); n != 1 {
			t.Errorf("%d bridges for runs that are parked", n)
		}
		for range 8 {
			r.start(t, backendtest.Request("hi"))
		}
		if n := r.host.Started(); n != 1 {
			t.Errorf("%d bridges for eight runs", n)
		}
		r.start(t, backendtest.Request("hi")) // begins the start
		synctest.Wait()
		var late []agent.Run
		for range 20 {
			late = append(late, r.start(t, backendtest.Request("hi")))
		}
		on := map[int]int{}
		for _, run := range r.host.Runs()[20:] {
			on[run.Bridge]++
		}
		if on[1] != 15 || on[2] != 14 || r.host.Started() != 2 {
			t.Errorf("29 runs are spread over bridges like this: %v", on)
		}
		for _, run := range late[1:] { // the first of them is on the second bridge
			run.Close()
		}
		time.Sleep(6 * time.Minute)
		if n := len(r.host.Bridges()); n != 2 {
			t.Errorf("%d bridges while runs are on both", n)
		}
	})
}

func TestABridgeThatIsNotNeededEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn times 9\nhold 10s\ntext hello\n"+greet, sdkbridge.Config{MaxPerPool: 2})
		var runs []agent.Run
		for range 9 {
			runs = append(runs, r.start(t, backendtest.Request("hi")))
		}
		synctest.Wait()
		r.say(t, backendtest.Request("hi"))
		var last backendtest.Turn
		for _, run := range runs {
			last = collect(t, run)
			run.Close()
		}
		if n := len(r.host.Bridges()); n != 2 {
			t.Fatalf("%d bridges", n)
		}
		time.Sleep(10 * time.Minute)
		if n := len(r.host.Bridges()); n != 1 {
			t.Errorf("%d bridges after ten minutes", n)
		}
		if turn := r.say(t, followUp(last, "still there?")); turn.Text != "again" {
			t.Errorf("%+v", turn)
		}
	})
}

func TestOwnersShareNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{PerOwner: true, MaxBridges: 2})
		ann := r.say(t, request("ann", "hi"))
		r.say(t, request("bob", "hi"))
		if n := r.host.Homes(); n != 2 {
			t.Errorf("%d homes for two owners", n)
		}
		r.say(t, request("cem", "hi")) // in place of ann's, which was used longest ago
		synctest.Wait()
		if n := len(r.host.Bridges()); n != 2 {
			t.Errorf("%d bridges", n)
		}
		next := followUp(ann, "and now?")
		next.Caller.Owner = "ann"
		if got := r.say(t, next); got.Text != "again" {
			t.Errorf("ann's conversation went on with %+v", got)
		}
		r.wantBridges(t, 1, 2, 3, 4)
		synctest.Wait()
		busy := []agent.Run{r.start(t, request("ann", "hi")), r.start(t, request("cem", "hi"))}
		if _, err := r.Start(t.Context(), request("bob", "hi")); agent.CodeOf(err) != agent.Overloaded {
			t.Errorf("a third bridge: %v", err)
		}
		for _, run := range busy {
			run.Close()
		}
		time.Sleep(16 * time.Minute)
		if n := len(r.host.Bridges()); n != 0 {
			t.Errorf("%d bridges of owners who have gone", n)
		}
		time.Sleep(6 * time.Hour)
		if n := r.host.Homes(); n != 0 {
			t.Errorf("%d homes after six hours", n)
		}
	})
}

// A conversation of one owner is lost for another, whatever they send.
func TestAConversationBelongsToItsOwner(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{})
		next := followUp(r.say(t, request("ann", "hi")), "and now?")
		next.Caller.Owner = "bob"
		if _, err := r.Start(t.Context(), next); agent.CodeOf(err) != agent.ConversationLost {
			t.Errorf("got %v", err)
		}
	})
}

func TestStartsThatFailWaitLongerAndLonger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{})
		r.host.FailStarts(errors.New("no node"))
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			_, err := r.Start(t.Context(), backendtest.Request("hi"))
			if e := agent.AsError(err); e.Code != agent.Overloaded || e.RetryAfter != want*time.Second {
				t.Fatalf("%v, retry after %v, want %v", err, e.RetryAfter, want*time.Second)
			}
			if err := r.Probe(t.Context()); err == nil {
				t.Error("it says that it is ready")
			}
			if _, again := r.Start(t.Context(), backendtest.Request("hi")); agent.AsError(again) != agent.AsError(err) {
				t.Errorf("at once: %v", again)
			}
			time.Sleep(want * time.Second)
		}
		r.host.FailStarts(nil)
		if turn := r.say(t, backendtest.Request("hi")); turn.Text != "hello" {
			t.Errorf("%+v", turn)
		}
		if err := r.Probe(t.Context()); err != nil {
			t.Errorf("in the end: %v", err)
		}
	})
}

// A bridge that dies at once again and again is not started in a loop.
func TestBridgesThatDieSoonWaitLongerAndLonger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{})
		r.Warm()
		synctest.Wait()
		began := time.Now()
		for time.Since(began) < 5*time.Minute {
			for _, bridge := range r.host.Bridges() {
				bridge.Kill()
			}
			time.Sleep(time.Second)
		}
		if n := r.host.Started(); n < 8 || n > 16 {
			t.Errorf("%d starts in five minutes", n)
		}
		time.Sleep(time.Minute)
		if err := r.Probe(t.Context()); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

func TestABridgeThatDiesIsStartedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{})
		r.Warm()
		time.Sleep(time.Hour)
		r.host.Bridges()[0].Kill()
		synctest.Wait()
		if err := r.Probe(t.Context()); err != nil || r.host.Started() != 2 {
			t.Errorf("%v after %d starts", err, r.host.Started())
		}
	})
}

// A bridge that hangs is ended, and its runs with it: nobody could cancel them.
func TestABridgeThatHangsIsEnded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn\ntext It begins.\nhold\n"+greet, sdkbridge.Config{})
		run := r.start(t, backendtest.Request("hi"))
		if e, err := run.Next(t.Context()); err != nil || e.Kind != agent.Text {
			t.Fatalf("%+v, %v", e, err)
		}
		r.host.Bridges()[0].Hang()
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Probe(brief); agent.CodeOf(err) != agent.UpstreamTimeout {
			t.Errorf("asked for a sign of life: %v", err)
		}
		began := time.Now()
		if _, err := run.Next(t.Context()); agent.CodeOf(err) != agent.Upstream {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		if turn := r.say(t, backendtest.Request("hi")); turn.Text != "hello" {
			t.Errorf("%+v", turn)
		}
		if got := r.host.Runs()[0]; got.End != bridgesim.EndedKilled {
			t.Errorf("%+v", got)
		}
	})
}

func TestAgentsAreDeletedWhenTheyAreTooManyOrTooOld(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{MaxIdleAgents: 3})
		turns := make([]backendtest.Turn, 5)
		for i := range turns {
			turns[i] = r.say(t, backendtest.Request("hi"))
		}
		synctest.Wait()
		if left := r.host.Bridges()[0].Agents(); len(left) != 3 {
			t.Errorf("%d agents are left", len(left))
		}
		if _, err := r.Start(t.Context(), followUp(turns[1], "and now?")); agent.CodeOf(err) != agent.ConversationLost {
			t.Errorf("an old conversation: %v", err)
		}
		last := r.say(t, followUp(turns[4], "and now?"))
		time.Sleep(5 * time.Hour)
		last = r.say(t, followUp(last, "and now?"))
		time.Sleep(5 * time.Hour)
		if left := r.host.Bridges()[0].Agents(); len(left) != 1 {
			t.Errorf("%d agents are left after ten hours", len(left))
		}
		if turn := r.say(t, followUp(last, "and now?")); turn.Text != "again" {
			t.Errorf("%+v", turn)
		}
	})
}

// What was said in an agent that nobody needs is deleted by the next bridge, when there is none at the time.
func TestAgentsOfAHomeWithoutABridgeAreDeletedLater(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{PerOwner: true})
		r.say(t, request("ann", "hi"))
		time.Sleep(5 * time.Hour)
		kept := r.say(t, request("ann", "hi"))
		time.Sleep(90 * time.Minute) // by now the first is too old, and the bridge has ended
		next := followUp(kept, "and now?")
		next.Caller.Owner = "ann"
		r.say(t, next)
		synctest.Wait()
		if left := r.host.Bridges()[0].Agents(); len(left) != 1 {
			t.Errorf("agents: %v", left)
		}
	})
}

// An agent has one run at a time; who comes second begins anew from the transcript.
func TestAConversationThatIsBusyIsLostForTheSecond(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn\ntext hello\nturn always\nhold", sdkbridge.Config{})
		turn := r.say(t, backendtest.Request("hi"))
		r.start(t, followUp(turn, "and now?"))
		if _, err := r.Start(t.Context(), followUp(turn, "and now?")); agent.CodeOf(err) != agent.ConversationLost {
			t.Errorf("got %v", err)
		}
	})
}

// The gateway may ask for the id of a conversation that has just been given up, whose agent is being deleted.
func TestTheIDOfAnAgentThatIsBeingDeletedIsNotUsed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always when prompt \"fail\"\nerror permission_denied no\n"+greet, sdkbridge.Config{})
		for range 20 {
			for _, prompt := range []string{"fail", "hi"} {
				req := backendtest.Request(prompt)
				req.ConversationID = "agent-x"
				run := r.start(t, req)
				if turn, err := backendtest.Collect(t.Context(), run); (prompt == "hi") != (turn.Text == "hello") {
					t.Fatalf("%s: %+v, %v", prompt, turn, err)
				}
				run.Close()
			}
		}
	})
}

func TestAProbeAsksTheBridgeAndThenForCursor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		away := agent.Errorf(agent.Upstream, "Cursor can't be reached.")
		var reached error
		r := newSim(t, greet, sdkbridge.Config{RecycleRuns: 2, Reach: func(context.Context) error { return reached }})
		for range 5 { // which wear no bridge out
			if err := r.Probe(t.Context()); err != nil {
				t.Error(err)
			}
		}
		reached = away
		if err := r.Probe(t.Context()); !errors.Is(err, away) {
			t.Errorf("without Cursor: %v", err)
		}
		if runs, started := len(r.host.Runs()), r.host.Started(); runs != 0 || started != 1 {
			t.Errorf("the probes took %d runs and %d bridges", runs, started)
		}
	})
}

// Nobody's own bridge is started for a probe.
func TestAProbeStartsNoBridgeOfAnOwner(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{PerOwner: true})
		r.host.FailStarts(errors.New("no node"))
		if err := r.Probe(t.Context()); err != nil || r.host.Started() != 0 {
			t.Errorf("%v after %d starts", err, r.host.Started())
		}
	})
}
