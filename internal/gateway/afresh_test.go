package gateway

import (
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

// A run that waited for results may be given up for a fresh one, but not once the client has got some of its answer.
func TestAnErrorAfterTheOutputOfAResumedRunIsNotRetried(t *testing.T) {
	fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{
			{backendtest.CallTool("call_1", "look", "{}"), backendtest.Wait()},
			{backendtest.Say("once"), backendtest.Fail(&agent.Error{Code: agent.Upstream})},
		}, nil
	})
	c := newChat(t, newGateway(t, fake)).user("hi")
	c.must(agent.ResumeNew, "")
	r, err := c.result("call_1", "a").send()
	if agent.CodeOf(err) != agent.Upstream || r.turn.Text != "once" || len(fake.Runs()) != 1 {
		t.Errorf("%q, %v, %d runs", r.turn.Text, err, len(fake.Runs()))
	}
}

// What a run has said that the client did not get is gone with it: here the possible beginning of a stop text.
func TestAFreshRunHasItsLimitsToItself(t *testing.T) {
	for name, tc := range map[string]struct {
		said, again, want string
		tokens            int
	}{
		"stop texts": {said: "ST", again: "OP and go", want: "OP and go"},
		// JSON waits for its end, and its tokens are counted before.
		"tokens": {said: `{"a":1234567`, again: `{"a":1234567}`, want: `{"a":1234567}`, tokens: 4},
	} {
		t.Run(name, func(t *testing.T) {
			runs := 0
			fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
				if runs++; runs > 1 {
					return backendtest.Turns{{backendtest.Say(tc.again), backendtest.End("")}}, nil
				}
				return backendtest.Turns{
					{backendtest.CallTool("call_1", "look", "{}"), backendtest.Wait()},
					{backendtest.Say(tc.said), backendtest.Fail(&agent.Error{Code: agent.Upstream})},
				}, nil
			})
			c := newChat(t, newGateway(t, fake)).user("hi")
			c.must(agent.ResumeNew, "")
			req := c.result("call_1", "a").request()
			if req.Stop = []string{"STOP"}; tc.tokens > 0 {
				req.Stop, req.MaxOutputTokens, req.Format = nil, tc.tokens, agent.Format{Kind: agent.JSONObject}
			}
			var r recorder
			if err := c.g.Turn(t.Context(), req, &r); err != nil || r.turn.Text != tc.want || runs != 2 {
				t.Errorf("%q, %v, %d runs", r.turn.Text, err, runs)
			}
		})
	}
}
