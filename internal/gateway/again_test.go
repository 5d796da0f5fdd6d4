package gateway

import (
	"fmt"
	"slices"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/gateway/control"
)

// What follows each error of a run that was continued and of which the client has got nothing: whether another run starts, and
// with how many attempts. The other run always answers.
func TestWhatFollowsAnErrorOfAContinuedRun(t *testing.T) {
	// What a new conversation may make good, and what concerns the account.
	ofTheConversation := []agent.Code{
		agent.ConversationLost, agent.Canceled, agent.Internal, agent.Upstream, agent.UpstreamTimeout, agent.Overloaded, agent.ContextTooLong, agent.InvalidValue,
	}
	ofTheAccount := []agent.Code{agent.RateLimited, agent.QuotaExceeded, agent.PaymentRequired, agent.InvalidKey, agent.PermissionDenied}
	begin := map[agent.Resume]func(*chat){
		agent.ResumeParked: func(c *chat) { c.user("look").must(agent.ResumeNew, ""); c.result("call_1", "a") },
		agent.ResumeMemory: func(c *chat) { c.user("hi").must(agent.ResumeNew, "hello"); c.user("go on") },
	}
	for _, code := range agent.Codes() {
		for _, final := range []bool{false, true} {
			for from, begin := range begin {
				t.Run(fmt.Sprintf("%s/%s/final=%v", from, code, final), func(t *testing.T) {
					failure := backendtest.Fail(&agent.Error{Code: code, Final: final})
					begun := false
					fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
						switch {
						case !begun && req.Messages[0].Text() == "look":
							begun = true
							return backendtest.Turns{{backendtest.CallTool("call_1", "look", "{}"), backendtest.Wait()}, {failure}}, nil
						case !begun:
							begun = true
							return backendtest.Turns{{backendtest.Say("hello"), backendtest.End("agent-1")}}, nil
						case req.Continue != nil:
							return backendtest.Turns{{failure}}, nil
						}
						return backendtest.Turns{{backendtest.Say("afresh"), backendtest.End("")}}, nil
					})
					c := newChat(t, newGateway(t, fake))
					begin(c)
					before := fake.Runs()
					if again := slices.Contains(ofTheConversation, code) || slices.Contains(ofTheAccount, code) && !final; again {
						c.must(agent.ResumeTranscript, "afresh")
						runs := fake.Runs()
						last := runs[len(runs)-1].Request
						// Upstream has merely lost the conversation: nothing was tried yet.
						if want := final && code != agent.ConversationLost; last.Retried != want {
							t.Errorf("one attempt: %v, want %v", last.Retried, want)
						}
						return
					}
					_, err := c.send()
					if agent.CodeOf(err) != code || agent.AsError(err).Final != final {
						t.Errorf("the client gets %v", err)
					}
					want := len(before)
					if from == agent.ResumeMemory {
						want++ // the one that continues it
					}
					if n := len(fake.Runs()); n != want {
						t.Errorf("%d runs, want %d", n, want)
					}
					// It may have been the conversation alone, after all: the next request does not meet it again.
					if slices.Contains(ofTheAccount, code) {
						c.must(agent.ResumeTranscript, "afresh")
					}
				})
			}
		}
	}
}

// The model is told that its answer is no JSON, and the run in which it is told so ends before it has answered. It is told once
// more, in a run that has the whole conversation; the client hears nothing of it.
func TestACorrectionThatIsLostIsMadeAgain(t *testing.T) {
	lost, broken := backendtest.Fail(&agent.Error{Code: agent.ConversationLost}), backendtest.Fail(&agent.Error{Code: agent.Upstream})
	for name, tt := range map[string]struct {
		failure backendtest.Step
		before  bool // there is a conversation that the turn continues
		runs    int
	}{
		"lost in a first turn":   {lost, false, 3},
		"lost in a later turn":   {lost, true, 4},
		"broken in a later turn": {broken, true, 5}, // from the transcript, and told once more
	} {
		t.Run(name, func(t *testing.T) {
			corrections := 0
			fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
				last := req.Messages[len(req.Messages)-1].Text()
				switch {
				case last == "hi":
					return backendtest.Turns{{backendtest.Say("hello"), backendtest.End("agent-1")}}, nil
				case last == "as JSON":
					return backendtest.Turns{{backendtest.Say("no JSON"), backendtest.End("agent-1")}}, nil
				}
				if corrections++; corrections == 1 {
					return backendtest.Turns{{tt.failure}}, nil
				}
				return backendtest.Turns{{backendtest.Say("{}"), backendtest.End("agent-1")}}, nil
			})
			c := newChat(t, newGateway(t, fake))
			if tt.before {
				c.user("hi").must(agent.ResumeNew, "hello")
			}
			req := c.user("as JSON").request()
			req.Format = agent.Format{Kind: agent.JSONObject}
			var r recorder
			if err := c.g.Turn(t.Context(), req, &r); err != nil || r.turn.Text != "{}" {
				t.Errorf("%v, and %q", err, r.turn.Text)
			}
			if n := len(fake.Runs()); n != tt.runs || corrections != 2 {
				t.Errorf("%d runs, %d corrections", n, corrections)
			}
		})
	}
}

// A budget of ours that is spent before the model is told what was wrong with its JSON is not spent once more.
func TestABudgetThatIsSpentStartsNoOtherRun(t *testing.T) {
	fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
		if req.Continue == nil {
			return backendtest.Turns{{backendtest.Say("hello"), backendtest.Spend(agent.Usage{Output: 10}), backendtest.End("agent-1")}}, nil
		}
		return backendtest.Turns{{backendtest.Say("no JSON"), backendtest.Spend(agent.Usage{Output: 100}), backendtest.End("agent-1")}}, nil
	})
	g := New(Config{Backends: []agent.Backend{fake}, Controls: control.Config{Conversation: control.Budget{Tokens: 50}}})
	defer g.Close(t.Context())
	c := newChat(t, g).user("hi")
	c.must(agent.ResumeNew, "hello")
	req := c.user("as JSON").request()
	req.Format = agent.Format{Kind: agent.JSONObject}
	var r recorder
	err := g.Turn(t.Context(), req, &r)
	if e := agent.AsError(err); e.Code != agent.QuotaExceeded || e.Limit != "budget" || len(fake.Runs()) != 2 {
		t.Errorf("%v after %d runs", err, len(fake.Runs()))
	}
}
