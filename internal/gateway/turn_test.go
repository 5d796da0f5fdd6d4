package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

// A recorder is a Sink that keeps what it gets.
type recorder struct {
	accepted []agent.Accepted
	turn     backendtest.Turn
	flushes  int
	onEvent  func(*agent.Event) error
}

// parked is how many runs wait for tool results now.
func (g *Gateway) parked() int {
	n, _ := g.Parked()
	return n
}

func (r *recorder) Accept(a agent.Accepted) error {
	r.accepted = append(r.accepted, a)
	return nil
}

func (r *recorder) Event(e *agent.Event) error {
	r.turn.Add(e)
	if r.onEvent != nil {
		return r.onEvent(e)
	}
	return nil
}

func (r *recorder) Flush() error {
	r.flushes++
	return nil
}

// A chat is a client that keeps its history and talks to a gateway.
type chat struct {
	t       *testing.T
	g       *Gateway
	owner   string
	model   string
	history []agent.Message
	tools   []agent.Tool
	serial  bool
	session string
	pin     bool

	rewrites bool // calls
	choice   agent.ToolChoice
	echo     func(*agent.ToolCall) json.RawMessage
	format   agent.Format
}

func newChat(t *testing.T, g *Gateway) *chat {
	return &chat{t: t, g: g, owner: "ann", model: "composer-2.5", tools: []agent.Tool{{Name: "look"}, {Name: "listen"}}}
}

// fork is another client with the same history.
func (c *chat) fork() *chat {
	f := *c
	f.history = append([]agent.Message(nil), c.history...)
	return &f
}

func (c *chat) user(text string) *chat {
	c.history = append(c.history, agent.Message{Role: agent.User, Parts: []agent.Part{{Text: text}}})
	return c
}

func (c *chat) result(id, text string) *chat {
	c.history = append(c.history, agent.Message{Role: agent.ToolRole, CallID: id, Parts: []agent.Part{{Text: text}}})
	return c
}

func (c *chat) request() *agent.Request {
	return &agent.Request{
		Caller: agent.Caller{Owner: c.owner}, ModelName: c.model, Messages: append([]agent.Message(nil), c.history...),
		Tools: c.tools, SerialToolCalls: c.serial, Session: c.session, PinSession: c.pin, RewritesCalls: c.rewrites, ToolChoice: c.choice, Echo: c.echo, Format: c.format,
	}
}

// send asks for a turn and adds the answer to the history.
func (c *chat) send() (*recorder, error) {
	var r recorder
	err := c.g.Turn(c.t.Context(), c.request(), &r)
	m := agent.Message{Role: agent.Assistant, Calls: r.turn.Calls}
	if r.turn.Text != "" {
		m.Parts = []agent.Part{{Text: strings.TrimSpace(r.turn.Text)}}
	}
	c.history = append(c.history, m)
	return &r, err
}

// must sends and checks where the turn came from and what it said.
func (c *chat) must(resume agent.Resume, text string) *recorder {
	c.t.Helper()
	r, err := c.send()
	if err != nil {
		c.t.Fatalf("turn: %v", err)
	}
	if len(r.accepted) != 1 || r.accepted[0].Resume != resume || r.turn.Text != text {
		c.t.Fatalf("got %+v and %q, want resume %q and %q", r.accepted, r.turn.Text, resume, text)
	}
	return r
}

func results(r *backendtest.FakeRun) []string {
	var all []string
	for _, given := range r.Results() {
		for _, result := range given {
			var text strings.Builder
			for _, p := range result.Parts {
				text.WriteString(p.Text)
			}
			if said := (&agent.Message{Parts: result.Said}).Text(); said != "" {
				text.WriteString(", and the user says " + said)
			}
			all = append(all, fmt.Sprintf("%s error=%v %s", result.CallID, result.IsError, text.String()))
		}
	}
	return all
}

func wantResults(t *testing.T, r *backendtest.FakeRun, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, results(r)); diff != "" {
		t.Error(diff)
	}
}

// twoCalls plays a run that asks for two tools and then answers; later runs answer at once.
func twoCalls() *backendtest.Fake {
	var once sync.Once
	return backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		turns := backendtest.Turns{{backendtest.Say("from the transcript"), backendtest.End("")}}
		once.Do(func() {
			turns = backendtest.Turns{
				{backendtest.Say("let me see "), backendtest.CallTool("call_1", "look", `{"at": 1}`), backendtest.CallTool("call_2", "listen", `{}`), backendtest.Wait()},
				{backendtest.Say("seen"), backendtest.End("")},
			}
		})
		return turns, nil
	})
}

func newGateway(t *testing.T, backends ...agent.Backend) *Gateway {
	g := New(Config{Backends: backends, ParkTimeout: time.Minute})
	t.Cleanup(func() {
		g.Close(context.Background())
		if n := g.parked(); n != 0 {
			t.Errorf("%d runs still parked", n)
		}
	})
	return g
}

func TestResultsResumeTheParkedRun(t *testing.T) {
	for name, send := range map[string]func(*chat){
		"in order":     func(c *chat) { c.result("call_1", "a").result("call_2", "b") },
		"out of order": func(c *chat) { c.result("call_2", "b").result("call_1", "a") },
		"with the tools in another order": func(c *chat) {
			c.tools = slices.Clone(c.tools)
			slices.Reverse(c.tools)
			c.result("call_1", "a").result("call_2", "b")
		},
		"with another description": func(c *chat) {
			c.tools = []agent.Tool{{Name: "look", Description: "Looks."}, {Name: "listen"}}
			c.result("call_1", "a").result("call_2", "b")
		},
		"with one more tool": func(c *chat) {
			c.tools = append([]agent.Tool{{Name: "smell"}}, c.tools...)
			c.result("call_1", "a").result("call_2", "b")
		},
		"without tools": func(c *chat) { c.tools = nil; c.result("call_1", "a").result("call_2", "b") },
		"with tool_choice none": func(c *chat) {
			c.choice.Mode = agent.ToolsNone
			c.result("call_1", "a").result("call_2", "b")
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake := twoCalls()
			c := newChat(t, newGateway(t, fake)).user("what is there?")
			first := c.must(agent.ResumeNew, "let me see ")
			if first.turn.Done.Reason != agent.ToolCalls {
				t.Errorf("ended with %v", first.turn.Done.Reason)
			}
			send(c)
			c.must(agent.ResumeParked, "seen")
			run := fake.Runs()[0]
			wantResults(t, run, "call_1 error=false a", "call_2 error=false b")
			if !run.IsClosed() || len(fake.Runs()) != 1 {
				t.Errorf("closed %v, %d runs", run.IsClosed(), len(fake.Runs()))
			}
		})
	}
}

func TestClientsMaySpellTheirHistoryAsTheyLike(t *testing.T) {
	fake := twoCalls()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.must(agent.ResumeNew, "let me see ")
	// The Responses form: text, each call followed by its result.
	answer := c.history[1]
	c.history = c.history[:1]
	c.history = append(c.history,
		agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: "let me"}, {Text: " see\n"}}},
		agent.Message{Role: agent.Assistant, Calls: []agent.ToolCall{{ID: "call_1", Name: "look", Arguments: []byte("{\"at\":1.0}")}}})
	c.result("call_1", "a")
	c.history = append(c.history, agent.Message{Role: agent.Assistant, Calls: answer.Calls[1:]})
	c.result("call_2", "b")
	c.must(agent.ResumeParked, "seen")
}

func TestAMissingResultIsAnErrorResult(t *testing.T) {
	fake := twoCalls()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.must(agent.ResumeNew, "let me see ")
	c.result("call_2", "b").must(agent.ResumeParked, "seen")
	wantResults(t, fake.Runs()[0], "call_1 error=true The client gave no result for this call.", "call_2 error=false b")
}

func TestAUserMessageGoesWithTheLastResult(t *testing.T) {
	fake := twoCalls()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.must(agent.ResumeNew, "let me see ")
	c.result("call_1", "a").result("call_2", "b").user("hurry").must(agent.ResumeParked, "seen")
	wantResults(t, fake.Runs()[0], "call_1 error=false a", "call_2 error=false b, and the user says hurry")
}

func TestWhoSpeaksAlongWithAResultIsNamed(t *testing.T) {
	fake := twoCalls()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.must(agent.ResumeNew, "let me see ")
	c.result("call_1", "a").result("call_2", "b").user("hurry").user("wait")
	c.history[len(c.history)-1].Name = "Bob"
	c.must(agent.ResumeParked, "seen")
	wantResults(t, fake.Runs()[0], "call_1 error=false a", "call_2 error=false b, and the user says hurry\n\nBob says:\nwait")
}

func TestTheSameResultsTwiceAtOnceResumeOnce(t *testing.T) {
	fake := twoCalls()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.must(agent.ResumeNew, "let me see ")
	c.result("call_1", "a").result("call_2", "b")
	var wg sync.WaitGroup
	got := make([]string, 2)
	for i := range got {
		again := c.fork()
		wg.Go(func() {
			r, err := again.send()
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = string(r.accepted[0].Resume) + ": " + r.turn.Text
		})
	}
	wg.Wait()
	want := []string{"parked: seen", "transcript: from the transcript"}
	if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatTheRunHasNotSeenStartsAfresh(t *testing.T) {
	for name, change := range map[string]func(*chat){
		"edited history": func(c *chat) { c.history[0].Parts[0].Text = "what was there?" },
		"edited answer":  func(c *chat) { c.history[1].Parts[0].Text = "let me hear" },
		"edited arguments": func(c *chat) {
			c.history[1].Calls = []agent.ToolCall{{ID: "call_1", Name: "look", Arguments: []byte(`{"at":2}`)}, c.history[1].Calls[1]}
		},
		"a call left out":            func(c *chat) { c.history[1].Calls = c.history[1].Calls[:1] },
		"compacted":                  func(c *chat) { c.history = append([]agent.Message{{Role: agent.User}}, c.history[1:]...) },
		"without the tool of a call": func(c *chat) { c.tools = c.tools[:1] },
	} {
		t.Run(name, func(t *testing.T) {
			fake := twoCalls()
			c := newChat(t, newGateway(t, fake)).user("what is there?")
			c.must(agent.ResumeNew, "let me see ")
			change(c)
			c.result("call_1", "a").result("call_2", "b").must(agent.ResumeTranscript, "from the transcript")
			if !fake.Runs()[0].IsClosed() {
				t.Error("the parked run is still open")
			}
		})
	}
}

func TestAnotherOwnerCannotClaim(t *testing.T) {
	fake := twoCalls()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.must(agent.ResumeNew, "let me see ")
	c.result("call_1", "a").result("call_2", "b")
	bob := c.fork()
	bob.owner = "bob"
	bob.must(agent.ResumeTranscript, "from the transcript")
	c.must(agent.ResumeParked, "seen")
}

func TestAfterExpiryTheTranscriptServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := twoCalls()
		c := newChat(t, newGateway(t, fake)).user("what is there?")
		c.must(agent.ResumeNew, "let me see ")
		time.Sleep(time.Minute)
		synctest.Wait()
		if !fake.Runs()[0].IsClosed() {
			t.Error("still open after its time")
		}
		c.result("call_1", "a").result("call_2", "b").must(agent.ResumeTranscript, "from the transcript")
	})
}

func TestARunThatDiedWhileParkedIsMadeGood(t *testing.T) {
	lost := &agent.Error{Code: agent.Upstream, Err: errors.New("connection reset")}
	for name, second := range map[string][]backendtest.Step{
		"on resume":         {backendtest.Fail(lost)},
		"before any output": {backendtest.Spend(agent.Usage{}), backendtest.Fail(lost)},
	} {
		t.Run(name, func(t *testing.T) {
			fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
				if len(req.Messages) > 1 {
					return backendtest.Turns{{backendtest.Say("again"), backendtest.End("")}}, nil
				}
				return backendtest.Turns{{backendtest.CallTool("call_1", "look", "{}"), backendtest.Wait()}, second}, nil
			})
			c := newChat(t, newGateway(t, fake)).user("hi")
			c.must(agent.ResumeNew, "")
			c.result("call_1", "a").must(agent.ResumeTranscript, "again")
			if !fake.Runs()[0].IsClosed() {
				t.Error("the dead run was not closed")
			}
		})
	}
}

// slow is a backend whose runs are silent for a while after they were resumed.
type slow struct {
	*backendtest.Fake
	silence time.Duration
}

func (b slow) Start(ctx context.Context, req *agent.Request) (agent.Run, error) {
	run, err := b.Fake.Start(ctx, req)
	return &slowRun{Run: run, silence: b.silence}, err
}

type slowRun struct {
	agent.Run
	silence time.Duration
	resumed bool
}

func (r *slowRun) Resume(ctx context.Context, results []agent.ToolResult) error {
	r.resumed = true
	return r.Run.Resume(ctx, results)
}

func (r *slowRun) Next(ctx context.Context) (agent.Event, error) {
	if r.resumed {
		time.Sleep(r.silence)
		r.resumed = false
	}
	return r.Run.Next(ctx)
}

// A dead connection is noticed by its silence only, after the stall timeout. The headers wait for that.
func TestTheHeadersOfAResumedRunWaitForItsStallTimeout(t *testing.T) {
	for _, tc := range []struct {
		silence time.Duration
		says    agent.Resume
	}{{30 * time.Second, agent.ResumeTranscript}, {parkedGrace + time.Second, agent.ResumeParked}} {
		synctest.Test(t, func(t *testing.T) {
			fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
				if len(req.Messages) > 1 {
					return backendtest.Turns{{backendtest.Say("again"), backendtest.End("")}}, nil
				}
				return backendtest.Turns{
					{backendtest.CallTool("call_1", "look", "{}"), backendtest.Wait()},
					{backendtest.Spend(agent.Usage{}), backendtest.Fail(&agent.Error{Code: agent.UpstreamTimeout})},
				}, nil
			})
			c := newChat(t, newGateway(t, slow{fake, tc.silence})).user("hi")
			c.must(agent.ResumeNew, "")
			c.result("call_1", "a").must(tc.says, "again")
		})
	}
}

func TestARefusalRightAfterTheStartIsNotAccepted(t *testing.T) {
	fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.Fail(&agent.Error{Code: agent.RateLimited})}}, nil
	})
	r, err := newChat(t, newGateway(t, fake)).user("hi").send()
	if agent.CodeOf(err) != agent.RateLimited || len(r.accepted) != 0 {
		t.Errorf("accepted %v, %v", r.accepted, err)
	}
}

func TestTheClientHearsAtOnceOfARunThatThinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
			return backendtest.Turns{{}}, nil // thinks for ever
		})
		ctx, cancel := context.WithCancel(t.Context())
		c := newChat(t, newGateway(t, fake)).user("hi")
		var r recorder
		failed := make(chan error)
		go func() { failed <- c.g.Turn(ctx, c.request(), &r) }()
		time.Sleep(refusalGrace + 1)
		synctest.Wait()
		if len(r.accepted) != 1 || r.accepted[0].Resume != agent.ResumeNew {
			t.Errorf("accepted %v", r.accepted)
		}
		cancel()
		if err := <-failed; agent.CodeOf(err) != agent.Canceled {
			t.Error(err)
		}
	})
}

// stubborn is a backend whose runs are refused, begin again by themselves, and are refused for good after a while.
type stubborn struct{ until time.Duration }

func (b stubborn) Name() string { return "stubborn" }

func (b stubborn) Start(context.Context, *agent.Request) (agent.Run, error) {
	return &stubbornRun{agent.Run(nil), time.After(b.until)}, nil
}

type stubbornRun struct {
	agent.Run
	refused <-chan time.Time
}

func (r *stubbornRun) AcceptedAt() time.Time { return time.Time{} } // always at it again
func (r *stubbornRun) Close() error          { return nil }
func (r *stubbornRun) Next(context.Context) (agent.Event, error) {
	<-r.refused
	return agent.Event{}, &agent.Error{Code: agent.Overloaded}
}

func TestARunThatBeginsAgainIsNotAcceptedYetButNotForEver(t *testing.T) {
	for _, tc := range []struct {
		after    time.Duration
		accepted int
	}{{time.Second, 0}, {refusalLimit + time.Second, 1}} {
		synctest.Test(t, func(t *testing.T) {
			r, err := newChat(t, newGateway(t, stubborn{tc.after})).user("hi").send()
			if agent.CodeOf(err) != agent.Overloaded || len(r.accepted) != tc.accepted {
				t.Errorf("refused after %v: accepted %v, %v", tc.after, r.accepted, err)
			}
		})
	}
}

func TestAnErrorAfterOutputIsNotRetried(t *testing.T) {
	fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.Say("once"), backendtest.Fail(&agent.Error{Code: agent.Upstream})}}, nil
	})
	r, err := newChat(t, newGateway(t, fake)).user("hi").send()
	if agent.CodeOf(err) != agent.Upstream || r.turn.Text != "once" || len(fake.Runs()) != 1 || !fake.Runs()[0].IsClosed() {
		t.Errorf("%+v, %v, %d runs", r, err, len(fake.Runs()))
	}
}

func TestOneCallAtATime(t *testing.T) {
	fake := twoCalls()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	c.serial = true
	first := c.must(agent.ResumeNew, "let me see ")
	if len(first.turn.Calls) != 1 || first.turn.Calls[0].ID != "call_1" {
		t.Fatalf("first: %+v", first.turn.Calls)
	}
	second := c.result("call_1", "a").must(agent.ResumeParked, "")
	if len(second.turn.Calls) != 1 || second.turn.Calls[0].ID != "call_2" || second.turn.Done.Reason != agent.ToolCalls {
		t.Fatalf("second: %+v", second.turn)
	}
	c.result("call_2", "b").must(agent.ResumeParked, "seen")
	wantResults(t, fake.Runs()[0], "call_1 error=false a", "call_2 error=false b")
}

// remembering plays runs that can be continued, each saying how many messages it was told and how many are new.
func remembering() *backendtest.Fake {
	var mu sync.Mutex
	n := 0
	return backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		from := ""
		if req.Continue != nil {
			from = " from " + req.Continue.ID()
		}
		said := fmt.Sprintf("%d new%s", len(req.Messages)-req.New, from)
		return backendtest.Turns{{backendtest.Say(said), backendtest.End(fmt.Sprintf("agent-%d", n))}}, nil
	})
}

func TestTheNextTurnContinuesTheConversation(t *testing.T) {
	c := newChat(t, newGateway(t, remembering())).user("one")
	c.must(agent.ResumeNew, "1 new")
	c.user("two").must(agent.ResumeMemory, "1 new from agent-1")
	c.user("three").must(agent.ResumeMemory, "1 new from agent-2")
}

func TestAConversationMayBeContinuedTwice(t *testing.T) {
	c := newChat(t, newGateway(t, remembering())).user("one")
	c.must(agent.ResumeNew, "1 new")
	fork := c.fork()
	c.user("two").must(agent.ResumeMemory, "1 new from agent-1")
	fork.user("deux").must(agent.ResumeMemory, "1 new from agent-1")
	c.user("three").must(agent.ResumeMemory, "1 new from agent-2")
}

func TestMemoryIsNeverSharedBy(t *testing.T) {
	for name, change := range map[string]func(*chat){
		"owners":             func(c *chat) { c.owner = "bob" },
		"sessions":           func(c *chat) { c.session = "other" },
		"different openings": func(c *chat) { c.history[0].Parts[0].Text = "ONE" },
		"a longer history": func(c *chat) {
			c.user("more").history = append(c.history, agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: "yes"}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t, newGateway(t, remembering())).user("one")
			c.must(agent.ResumeNew, "1 new")
			change(c)
			c.user("two")
			c.must(agent.ResumeTranscript, fmt.Sprintf("%d new", len(c.history)))
		})
	}
}

func TestALostConversationStartsAfreshAndIsForgotten(t *testing.T) {
	fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
		if req.Continue != nil {
			return nil, &agent.Error{Code: agent.ConversationLost}
		}
		return backendtest.Turns{{backendtest.Say("hello"), backendtest.End("agent-1")}}, nil
	})
	c := newChat(t, newGateway(t, fake)).user("one")
	c.must(agent.ResumeNew, "hello")
	again := c.user("two").fork()
	c.must(agent.ResumeTranscript, "hello")
	again.must(agent.ResumeTranscript, "hello")
	if n := len(fake.Runs()); n != 4 { // first; lost and afresh; afresh
		t.Errorf("%d runs, want 4", n)
	}
}

// What upstream refuses may be the old conversation alone: the turn starts once more, with a new one. The memory is
// forgotten, so that a retry doesn't run into the same refusal.
func TestARefusedConversationStartsAfreshAndIsForgotten(t *testing.T) {
	for _, code := range []agent.Code{agent.RateLimited, agent.QuotaExceeded, agent.Overloaded, agent.InvalidKey, agent.PermissionDenied, agent.InvalidValue} {
		t.Run(code.String(), func(t *testing.T) {
			limit := false // a real one, which every run meets
			fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
				if req.Continue != nil || limit {
					return backendtest.Turns{{backendtest.Fail(&agent.Error{Code: code})}}, nil
				}
				return backendtest.Turns{{backendtest.Say("hello"), backendtest.End("agent-1")}}, nil
			})
			c := newChat(t, newGateway(t, fake)).user("one")
			c.must(agent.ResumeNew, "hello")
			again := c.user("two").fork()
			c.must(agent.ResumeTranscript, "hello")
			again.must(agent.ResumeTranscript, "hello")
			if n := len(fake.Runs()); n != 4 { // first; refused and afresh; afresh
				t.Errorf("%d runs, want 4", n)
			}
			limit = true
			if _, err := c.user("three").send(); agent.CodeOf(err) != code {
				t.Errorf("a real limit: %v, want %v", err, code)
			}
			if n := len(fake.Runs()); n != 6 {
				t.Errorf("%d runs after the limit, want 6", n)
			}
		})
	}
}

// An upstream that was too busy for a conversation and its retries gets one attempt for a new one: nobody waits twice.
func TestAnUpstreamThatIsTooBusyForAConversationIsAskedOnceMore(t *testing.T) {
	for name, always := range map[string]bool{"for the conversation alone": false, "for everything": true} {
		t.Run(name, func(t *testing.T) {
			fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
				if req.Continue != nil || always && len(req.Messages) > 1 {
					return backendtest.Turns{{backendtest.Fail(&agent.Error{Code: agent.Overloaded, Final: true})}}, nil
				}
				return backendtest.Turns{{backendtest.Say("hello"), backendtest.End("agent-1")}}, nil
			})
			c := newChat(t, newGateway(t, fake)).user("one")
			c.must(agent.ResumeNew, "hello")
			if c.user("two"); always {
				if _, err := c.send(); agent.CodeOf(err) != agent.Overloaded {
					t.Errorf("got %v", err)
				}
			} else {
				c.must(agent.ResumeTranscript, "hello")
			}
			runs := fake.Runs()
			if len(runs) != 3 || runs[1].Request.Retried || !runs[2].Request.Retried {
				t.Errorf("%d runs, want 3, the last of them without retries", len(runs))
			}
		})
	}
}

// A run that was refused while its calls were waiting is no failure of the turn that brings the results.
func TestARunThatIsRefusedWhileItIsParkedStartsAfresh(t *testing.T) {
	for _, code := range []agent.Code{agent.RateLimited, agent.Overloaded, agent.InvalidKey, agent.PermissionDenied, agent.InvalidValue, agent.UpstreamTimeout} {
		t.Run(code.String(), func(t *testing.T) {
			first := true
			fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
				if first {
					first = false
					return backendtest.Turns{
						{backendtest.CallTool("call_1", "look", "{}"), backendtest.Wait()},
						{backendtest.Fail(&agent.Error{Code: code})},
					}, nil
				}
				return backendtest.Turns{{backendtest.Say("seen"), backendtest.End("")}}, nil
			})
			c := newChat(t, newGateway(t, fake)).user("look")
			c.must(agent.ResumeNew, "")
			c.result("call_1", "a").must(agent.ResumeTranscript, "seen")
			if n := len(fake.Runs()); n != 2 || !fake.Runs()[0].IsClosed() {
				t.Errorf("%d runs, want 2, the first closed", n)
			}
		})
	}
}

// A client that is given nothing shows nothing, and an agent stops.
func TestATurnWithoutAnAnswerIsRetriedOnce(t *testing.T) {
	empty := []backendtest.Step{backendtest.Spend(agent.Usage{Input: 7}), backendtest.End("agent-empty")}
	thinks := []backendtest.Step{backendtest.Think("hm "), backendtest.End("agent-empty")}
	says := []backendtest.Step{backendtest.Say("hello"), backendtest.End("agent-1")}
	for _, tc := range []struct {
		name            string
		attempts        [][]backendtest.Step
		text, reasoning string
		failed          agent.Code
	}{
		{"nothing, then an answer", [][]backendtest.Step{empty, says}, "hello", "", 0},
		{"thinking, then an answer", [][]backendtest.Step{thinks, says}, "hello", "hm ", 0},
		{"nothing twice", [][]backendtest.Step{empty, empty}, "", "", agent.Upstream},
		{"thinking twice", [][]backendtest.Step{thinks, thinks}, "", "hm hm ", agent.Upstream},
		{"nothing, then a failure", [][]backendtest.Step{empty, {backendtest.Fail(&agent.Error{Code: agent.RateLimited})}}, "", "", agent.RateLimited},
	} {
		t.Run(tc.name, func(t *testing.T) {
			left := tc.attempts
			fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
				next := left[0]
				left = left[1:]
				return backendtest.Turns{slices.Clone(next)}, nil
			})
			r, err := newChat(t, newGateway(t, fake)).user("hi").send()
			if agent.CodeOf(err) != tc.failed || r.turn.Text != tc.text || r.turn.Reasoning != tc.reasoning {
				t.Errorf("%q after %q, %v", r.turn.Text, r.turn.Reasoning, err)
			}
			if accepted := tc.text+tc.reasoning != ""; (len(r.accepted) == 1) != accepted {
				t.Errorf("accepted %v", r.accepted)
			}
			for i, run := range fake.Runs() {
				if !run.IsClosed() {
					t.Errorf("run %d is open", i)
				}
			}
			if n := len(fake.Runs()); n != 2 {
				t.Errorf("%d runs, want 2", n)
			}
		})
	}
}

func TestAContinuedTurnWithoutAnAnswerStartsAfreshOnce(t *testing.T) {
	for name, begin := range map[string]func(*chat){
		"a parked run":              func(c *chat) { c.user("look").must(agent.ResumeNew, ""); c.result("call_1", "a") },
		"a remembered conversation": func(c *chat) { c.user("hi").must(agent.ResumeNew, "hello"); c.user("go on") },
	} {
		t.Run(name, func(t *testing.T) {
			fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
				switch {
				case req.Continue != nil || len(req.Messages) > 1:
					return backendtest.Turns{{backendtest.End("")}}, nil
				case req.Messages[0].Text() == "look":
					return backendtest.Turns{{backendtest.CallTool("call_1", "look", "{}"), backendtest.Wait()}, {backendtest.End("")}}, nil
				}
				return backendtest.Turns{{backendtest.Say("hello"), backendtest.End("agent-1")}}, nil
			})
			c := newChat(t, newGateway(t, fake))
			begin(c)
			before := len(fake.Runs())
			if r, err := c.send(); agent.CodeOf(err) != agent.Upstream || len(r.accepted) != 0 {
				t.Errorf("accepted %v, %v", r.accepted, err)
			}
			want := 1
			if name == "a remembered conversation" {
				want = 2 // the one that continues it, too
			}
			if n := len(fake.Runs()) - before; n != want {
				t.Errorf("%d runs, want %d", n, want)
			}
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(memoryLimits{Count: 2, Bytes: 20, Age: time.Hour}).(*memory)
		keep := func(name, conversation string) {
			m.Remember(t.Context(), MemoryKey{Owner: name}, backendtest.FakeConversation(conversation))
		}
		has := func(name string) bool {
			_, ok := m.Recall(t.Context(), MemoryKey{Owner: name})
			return ok
		}
		keep("a", "1")
		keep("b", "2")
		has("a")
		keep("c", "3")
		if !has("a") || has("b") || !has("c") {
			t.Error("count: the one that was used longest ago should be gone")
		}
		keep("d", strings.Repeat("x", 20))
		if has("a") || has("c") || !has("d") || m.kept.Bytes() != 20 {
			t.Errorf("bytes: %d kept", m.kept.Bytes())
		}
		time.Sleep(time.Hour + 1)
		if has("d") || m.kept.Bytes() != 0 || m.kept.Len() != 0 {
			t.Error("age: still there")
		}
	})
}

// An upstream that never ends would take all memory where an answer is kept until it is whole.
func TestAnAnswerIsBounded(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	for name, step := range map[string]backendtest.Step{
		"text": backendtest.Say(large), "thinking": backendtest.Think(large), "calls": backendtest.CallTool("call_1", "look", `"`+large+`"`),
	} {
		t.Run(name, func(t *testing.T) {
			fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
				return backendtest.Turns{slices.Repeat([]backendtest.Step{step}, maxAnswer>>20+1)}, nil
			})
			_, err := newChat(t, newGateway(t, fake)).user("count").send()
			if e := agent.AsError(err); err == nil || e.Code != agent.Upstream || !strings.Contains(e.UserMessage(), "16 MB") {
				t.Errorf("error %v", err)
			}
			if runs := fake.Runs(); len(runs) != 1 || !runs[0].IsClosed() {
				t.Errorf("%d runs", len(runs))
			}
		})
	}
}

func TestParkedRunsAreBoundedInBytes(t *testing.T) {
	fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.CallTool(agent.NewCallID(), "look", "{}"), backendtest.Wait()}}, nil
	})
	g := New(Config{Backends: []agent.Backend{fake}, MaxParkedBytes: 3 << 20})
	defer g.Close(context.Background())
	for range 5 {
		if _, err := newChat(t, g).user(strings.Repeat("x", 1<<20-1000)).send(); err != nil {
			t.Fatal(err)
		}
	}
	if n := g.parked(); n != 3 {
		t.Errorf("%d runs are parked", n)
	}
	runs := fake.Runs()
	<-runs[0].Closed() // by a goroutine of the lot
	<-runs[1].Closed()
}

func TestLimitsCutTheAnswerAndTheRun(t *testing.T) {
	for _, tc := range []struct {
		name      string
		stop      []string
		maxTokens int
		want      string
		reason    agent.Reason
		met       string
	}{
		{"a stop text over two pieces", []string{"STOP"}, 0, "one two ", agent.Stop, "STOP"},
		{"the first of several", []string{"three", "two"}, 0, "one ", agent.Stop, "two"},
		{"none met", []string{"STOPPED"}, 0, "one two STOP three", agent.Stop, ""},
		{"tokens", nil, 2, "one two ", agent.Length, ""},
		{"both", []string{"two"}, 1, "one ", agent.Stop, "two"},
		{"more tokens than an int of bytes", nil, 1 << 62, "one two STOP three", agent.Stop, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
				return backendtest.Turns{{backendtest.Say("one two ST"), backendtest.Say("OP three"), backendtest.End("agent-1")}}, nil
			})
			c := newChat(t, newGateway(t, fake)).user("count")
			req := c.request()
			req.Stop, req.MaxOutputTokens = tc.stop, tc.maxTokens
			var r recorder
			if err := c.g.Turn(t.Context(), req, &r); err != nil {
				t.Fatal(err)
			}
			if r.turn.Text != tc.want || r.turn.Done.Reason != tc.reason || r.turn.Done.StopText != tc.met || !fake.Runs()[0].IsClosed() {
				t.Errorf("got %q, %v, met %q", r.turn.Text, r.turn.Done.Reason, r.turn.Done.StopText)
			}
		})
	}
}

// After a call the turn goes on to its end, but what follows the stop text is still left out.
func TestNothingPassesAStopTextAfterACall(t *testing.T) {
	fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{
			backendtest.Think("STOP is a thought "), backendtest.Say("one "), backendtest.CallTool("call_1", "look", "{}"),
			backendtest.Say("two STOP three"), backendtest.Think("late"), backendtest.Say(" four"), backendtest.Wait(),
		}}, nil
	})
	c := newChat(t, newGateway(t, fake)).user("count")
	req := c.request()
	req.Stop = []string{"STOP"}
	var r recorder
	if err := c.g.Turn(t.Context(), req, &r); err != nil {
		t.Fatal(err)
	}
	if r.turn.Text != "one two " || r.turn.Reasoning != "STOP is a thought " || r.turn.Done.Reason != agent.ToolCalls {
		t.Errorf("text %q, thinking %q, end %v", r.turn.Text, r.turn.Reasoning, r.turn.Done.Reason)
	}
}

func TestUsageIsUpstreamsAndSaysWhenItIsNot(t *testing.T) {
	spent := agent.Usage{Input: 10, CacheRead: 20, CacheWrite: 30, Output: 40, Reasoning: 5}
	price := agent.Price{Input: .5, CacheWrite: .5, CacheRead: .2, Output: 2.5}
	for _, tc := range []struct {
		name  string
		steps []backendtest.Step
		want  agent.Usage
	}{
		{"said", []backendtest.Step{backendtest.Say("hi"), backendtest.Spend(spent), backendtest.End("")}, agent.Usage{Input: 10, CacheRead: 20, CacheWrite: 30, Output: 40, Reasoning: 5, Price: price}},
		{"not said", []backendtest.Step{backendtest.Say("12345678"), backendtest.End("")}, agent.Usage{Input: 5, Output: 2, Estimated: true, Price: price}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) { return backendtest.Turns{tc.steps}, nil })
			c := newChat(t, newGateway(t, fake)).user("12345678")
			r, err := c.send()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tc.want, r.turn.Usage, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhenTheClientLeavesTheRunIsClosed(t *testing.T) {
	fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.Say("and then")}}, nil // and no more
	})
	t.Run("while waiting", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := newChat(t, newGateway(t, fake)).user("go on")
		err := c.g.Turn(ctx, c.request(), &recorder{onEvent: func(*agent.Event) error { cancel(); return nil }})
		if agent.CodeOf(err) != agent.Canceled || !fake.Runs()[0].IsClosed() {
			t.Errorf("%v", err)
		}
	})
	t.Run("while writing", func(t *testing.T) {
		c := newChat(t, newGateway(t, fake)).user("go on")
		err := c.g.Turn(t.Context(), c.request(), &recorder{onEvent: func(*agent.Event) error { return errors.New("broken pipe") }})
		if agent.CodeOf(err) != agent.Canceled || !fake.Runs()[1].IsClosed() {
			t.Errorf("%v", err)
		}
	})
}

// Codex hangs up once it has read response.completed, when the last line may still be on its way.
func TestAClientThatHangsUpAtTheEndOfAToolTurnMayResume(t *testing.T) {
	fake := twoCalls()
	c := newChat(t, newGateway(t, fake)).user("what is there?")
	r := recorder{onEvent: func(e *agent.Event) error {
		if e.Kind == agent.DoneKind {
			return errors.New("broken pipe")
		}
		return nil
	}}
	if err := c.g.Turn(t.Context(), c.request(), &r); agent.CodeOf(err) != agent.Canceled {
		t.Error(err)
	}
	c.history = append(c.history, agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: r.turn.Text}}, Calls: r.turn.Calls})
	c.result("call_1", "a").result("call_2", "b").must(agent.ResumeParked, "seen")
}

func TestCloseRefusesEndsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
			if req.Messages[0].Text() == "use a tool" {
				return backendtest.Turns{{backendtest.CallTool("call_1", "look", "{}"), backendtest.Wait()}}, nil
			}
			return backendtest.Turns{{backendtest.Say("hm")}}, nil // thinks for ever
		})
		g := New(Config{Backends: []agent.Backend{fake}})
		newChat(t, g).user("use a tool").must(agent.ResumeNew, "")
		var slow error
		go func() { _, slow = newChat(t, g).user("think").send() }()
		synctest.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		if err := g.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 20*time.Second {
			t.Errorf("Close: %v after %v", err, time.Since(began))
		}
		synctest.Wait()
		if agent.CodeOf(slow) != agent.Overloaded {
			t.Errorf("the turn that was cut off: %v", slow)
		}
		for i, r := range fake.Runs() {
			if !r.IsClosed() {
				t.Errorf("run %d is still open", i)
			}
		}
		if _, err := newChat(t, g).user("more").send(); agent.CodeOf(err) != agent.Overloaded || agent.AsError(err).RetryAfter == 0 {
			t.Errorf("a late turn: %v", err)
		}
	})
}

func TestAThousandParkedRunsAreAllResumed(t *testing.T) {
	var mu sync.Mutex
	n := 0
	fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return backendtest.Turns{
			{backendtest.CallTool(fmt.Sprint("call_", n), "look", "{}"), backendtest.Wait()},
			{backendtest.Say("seen"), backendtest.End("")},
		}, nil
	})
	g := newGateway(t, fake)
	chats := make([]*chat, 1000)
	var wg sync.WaitGroup
	for i := range chats {
		wg.Go(func() {
			chats[i] = newChat(t, g).user("look")
			if _, err := chats[i].send(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if g.parked() != 1000 {
		t.Fatalf("%d parked", g.parked())
	}
	for _, c := range chats {
		wg.Go(func() {
			c.result(c.history[1].Calls[0].ID, "ok")
			if r, err := c.send(); err != nil || r.accepted[0].Resume != agent.ResumeParked {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if g.parked() != 0 || len(fake.Runs()) != 1000 {
		t.Errorf("%d parked, %d runs", g.parked(), len(fake.Runs()))
	}
}

func TestWithoutABackendTheUserIsToldWhatToSet(t *testing.T) {
	g := New(Config{Unconfigured: "Set CURSOR_BACKEND_BASE_URL."})
	_, err := newChat(t, g).user("hi").send()
	if e := agent.AsError(err); e.Code != agent.NotConfigured || e.UserMessage() != "Set CURSOR_BACKEND_BASE_URL." {
		t.Error(err)
	}
}
