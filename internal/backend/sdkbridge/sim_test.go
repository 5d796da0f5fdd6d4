package sdkbridge_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/sim/bridgesim"
	"composer-api/internal/sim/script"
)

// A simRig is a Backend with simulated bridges, for tests in a bubble of testing/synctest.
type simRig struct {
	*sdkbridge.Backend
	host *bridgesim.Host
}

// newSim starts no bridge yet. cfg needs no NewHome.
func newSim(t *testing.T, source string, cfg sdkbridge.Config) *simRig {
	t.Helper()
	r := &simRig{host: bridgesim.New(nil)}
	r.play(t, source)
	cfg.NewHome = r.host.NewHome
	r.Backend = sdkbridge.New(cfg)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if bridges, homes := r.host.Bridges(), r.host.Homes(); len(bridges) > 0 || homes > 0 {
			t.Errorf("%d bridges and %d homes are left", len(bridges), homes)
		}
	})
	return r
}

func (r *simRig) play(t *testing.T, source string) {
	t.Helper()
	s, err := script.Parse(t.Name(), []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	r.host.Play(s)
}

// inBubble runs a test in a bubble, with everything cleaned up before the bubble ends.
func inBubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func (r *simRig) start(t *testing.T, req *agent.Request) agent.Run {
	t.Helper()
	run, err := r.Start(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	return run
}

// collect reads a turn to its end.
func collect(t *testing.T, run agent.Run) backendtest.Turn {
	t.Helper()
	turn, err := backendtest.Collect(t.Context(), run)
	if err != nil {
		t.Fatalf("%v after %+v", err, turn)
	}
	return turn
}

// say has a whole turn with the prompt, and closes the run.
func (r *simRig) say(t *testing.T, req *agent.Request) backendtest.Turn {
	t.Helper()
	run := r.start(t, req)
	defer run.Close()
	return collect(t, run)
}

func resume(t *testing.T, run agent.Run, turn backendtest.Turn, text string) {
	t.Helper()
	var results []agent.ToolResult
	for _, call := range turn.Calls {
		results = append(results, agent.ToolResult{CallID: call.ID, Parts: []agent.Part{{Text: text}}})
	}
	if err := run.Resume(t.Context(), results); err != nil {
		t.Fatal(err)
	}
}

// followUp is the request that continues the conversation of a turn.
func followUp(turn backendtest.Turn, prompt string) *agent.Request {
	req := backendtest.Request("hi")
	req.Messages = append(req.Messages,
		agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: turn.Text}}},
		agent.Message{Role: agent.User, Parts: []agent.Part{{Text: prompt}}})
	req.Continue, req.New = turn.Done.Conversation, 2
	return req
}

// The same exam as for the real bridge: what the simulated one lets through, and loses, is the same.
func TestSimulatedExam(t *testing.T) {
	r := newSim(t, "turn always", sdkbridge.Config{})
	backendtest.Exam(t, backendtest.Features{NoErrorCodes: true, NoCutCharacters: true, ContinueOnce: true, ExactNames: true}, func(t *testing.T, s *script.Script) agent.Backend {
		r.host.Play(s)
		return r.Backend
	})
}

// A held call lasts as long as the client likes, and keeps nobody else from anything.
func TestACallIsHeldForAnHour(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn when prompt \"hi\"\ncall look {\"path\":\"a\"}\ntext {result 1}\nturn always\ntext hello", sdkbridge.Config{})
		run := r.start(t, backendtest.Request("hi"))
		turn := collect(t, run)
		time.Sleep(time.Hour)
		if other := r.say(t, backendtest.Request("you")); other.Text != "hello" {
			t.Errorf("somebody else got %+v", other)
		}
		resume(t, run, turn, "seen")
		if last := collect(t, run); last.Text != "seen" || last.Done.Reason != agent.Stop {
			t.Errorf("after an hour: %+v", last)
		}
		if n := r.host.Started(); n != 1 {
			t.Errorf("%d bridges were started", n)
		}
	})
}

// What is held is cancelled before it is released, so that the model sees no answer of ours.
func TestAParkedRunThatIsGivenUpToldTheModelNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ncalls 2\ncall look {}\ncall listen {}\nend\ntext {results}", sdkbridge.Config{})
		run := r.start(t, backendtest.Request("hi"))
		if turn := collect(t, run); len(turn.Calls) != 2 {
			t.Fatalf("%+v", turn)
		}
		run.Close()
		synctest.Wait()
		if got := r.host.Runs()[0]; got.End != bridgesim.EndedCanceled || len(got.Results) > 0 {
			t.Errorf("%+v", got)
		}
		if left := r.host.Bridges()[0].Agents(); len(left) > 0 {
			t.Errorf("agents are left: %v", left)
		}
	})
}

// When the cancelling itself fails, the calls stay held until the bridge has ended.
func TestCallsOfARunThatCannotBeCancelledAreNotAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ncall look {}\ntext {results}", sdkbridge.Config{})
		run := r.start(t, backendtest.Request("hi"))
		collect(t, run)
		r.host.Refuse("CancelRun", 1, "internal", "oh dear")
		run.Close()
		time.Sleep(time.Minute)
		if got := r.host.Runs()[0]; got.End != "" || len(got.Results) > 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAStartThatIsInterruptedIsCancelled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\nhold", sdkbridge.Config{})
		r.host.DelayStarts(10 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Start(ctx, backendtest.Request("hi")); agent.CodeOf(err) != agent.UpstreamTimeout && ctx.Err() == nil {
			t.Errorf("got %v", err)
		}
		if runs := r.host.Runs(); len(runs) > 0 {
			t.Errorf("runs: %+v", runs)
		}
	})
}

// A bridge that takes its time to start, on a slow or busy machine, takes nothing of the time that Cursor has.
func TestTheStartOfABridgeIsNotUpstreamsTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ndelay 1s\ntext hello", sdkbridge.Config{StartTimeout: 5 * time.Second})
		r.host.DelayStarts(20 * time.Second)
		run := r.start(t, backendtest.Request("hi"))
		r.host.Bridges()[0].Kill() // before anything was said: it begins again, on a bridge that takes as long
		if turn := collect(t, run); turn.Text != "hello" {
			t.Errorf("%+v", turn)
		}
		r.wantBridges(t, 1, 2)
	})
}

// A consumer writes when nothing is buffered. What yields nothing must not count, or text would wait for what follows it.
func TestWhatYieldsNothingIsNotBuffered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ntext one\ntokens 3\nunknown\ndelay 1s\ntext two\ntext three\ntokens 2\nhold", sdkbridge.Config{})
		run := r.start(t, backendtest.Request("hi"))
		for _, want := range []struct {
			text     string
			buffered bool
		}{{"one", false}, {"two", true}, {"three", false}} {
			e, err := run.Next(t.Context())
			synctest.Wait()
			if err != nil || string(e.Text) != want.text || run.Buffered() != want.buffered {
				t.Errorf("%q, %v, buffered: %v, want %+v", e.Text, err, run.Buffered(), want)
			}
		}
	})
}

// A call that the bridge makes twice under one id is one for the client.
func TestACallThatComesTwiceIsOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ncall look {}\ntext {result 1}", sdkbridge.Config{})
		r.host.RepeatCalls(true)
		run := r.start(t, backendtest.Request("hi"))
		turn := collect(t, run)
		if len(turn.Calls) != 1 {
			t.Fatalf("%d calls", len(turn.Calls))
		}
		resume(t, run, turn, "seen")
		if last := collect(t, run); last.Text != "seen" {
			t.Errorf("%+v", last)
		}
	})
}

// A result may come with another form that the answer must have. The agent was begun without it, so the model hears of it
// there, once.
func TestAResultTellsOfAnotherFormOfTheAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn\ncall look {\"path\":\"a\"}\ncall look {\"path\":\"b\"}\ntext {result 1} | {result 2}\n", sdkbridge.Config{})
		run := r.start(t, backendtest.Request("hello"))
		asked := backendtest.Request("hello")
		asked.Format = agent.Format{Kind: agent.JSONSchema, Schema: []byte(`{"type":"integer"}`)}
		for range 2 {
			turn := collect(t, run)
			if !run.(agent.Adaptable).Adapt(asked) {
				t.Fatal("the run is given up")
			}
			resume(t, run, turn, "dark")
		}
		first, second, _ := strings.Cut(collect(t, run).Text, " | ")
		if !strings.Contains(first, "{\"type\":\"integer\"}\n</system_instructions>") || second != "dark" {
			t.Errorf("the model reads %q, then %q", first, second)
		}
	})
}
