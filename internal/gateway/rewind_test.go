package gateway

import (
	"fmt"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

// A keeper is a recorder whose client gets the answer in one piece, at its end.
type keeper struct{ recorder }

func (k *keeper) Rewind() bool {
	k.turn = backendtest.Turn{}
	return true
}

// What follows when a new run breaks off in the middle of its answer. The second run answers; a third is never tried.
func TestAnAnswerThatBreaksOffIsBegunAgain(t *testing.T) {
	cut := &agent.Error{Code: agent.Upstream}
	for _, tt := range []struct {
		name   string
		stream bool
		json   bool // so nothing is given before it is whole
		first  []backendtest.Step
		second []backendtest.Step
		text   string
		shown  string // thinking
		runs   int
		fails  bool
	}{
		{name: "in one piece", first: []backendtest.Step{backendtest.Think("hm"), backendtest.Say("It is al"), backendtest.Fail(cut)}, runs: 2, text: "It is well."},
		{name: "after a call", first: []backendtest.Step{backendtest.CallTool("call_1", "look", "{}"), backendtest.Fail(cut)}, runs: 2, text: "It is well."},
		{name: "no capacity any more", first: []backendtest.Step{backendtest.Say("It"), backendtest.Fail(&agent.Error{Code: agent.Overloaded})}, runs: 2, text: "It is well."},
		{name: "a stream", stream: true, first: []backendtest.Step{backendtest.Say("It is al"), backendtest.Fail(cut)}, runs: 1, fails: true},
		{name: "a stream of thinking", stream: true, first: []backendtest.Step{backendtest.Think("hm"), backendtest.Fail(cut)}, runs: 2, text: "It is well.", shown: "hm"},
		{name: "a stream of JSON", stream: true, json: true, first: []backendtest.Step{backendtest.Say(`{"a"`), backendtest.Fail(cut)}, runs: 2,
			second: []backendtest.Step{backendtest.Say(`{"a":1}`)}, text: `{"a":1}`},
		{name: "before anything", first: []backendtest.Step{backendtest.Fail(cut)}, runs: 1, fails: true}, // the backend has tried again
		{name: "for good", first: []backendtest.Step{backendtest.Say("It"), backendtest.Fail(&agent.Error{Code: agent.Upstream, Final: true})}, runs: 1, fails: true},
		{name: "a limit", first: []backendtest.Step{backendtest.Say("It"), backendtest.Fail(&agent.Error{Code: agent.RateLimited})}, runs: 1, fails: true},
		{name: "too slow", first: []backendtest.Step{backendtest.Say("It"), backendtest.Fail(&agent.Error{Code: agent.UpstreamTimeout})}, runs: 1, fails: true},
		{name: "twice", first: []backendtest.Step{backendtest.Say("It"), backendtest.Fail(cut)}, second: []backendtest.Step{backendtest.Say("It"), backendtest.Fail(cut)}, runs: 2, fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.second == nil {
				tt.second = []backendtest.Step{backendtest.Say("It is well.")}
			}
			n := 0
			fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
				n++
				switch {
				case req.Continue != nil:
					return backendtest.Turns{{backendtest.Say("gone on"), backendtest.End("")}}, nil
				case n == 1:
					return backendtest.Turns{tt.first}, nil
				}
				return backendtest.Turns{append(tt.second, backendtest.End("agent-2"))}, nil
			})
			c := newChat(t, newGateway(t, fake))
			if tt.json {
				c.format = agent.Format{Kind: agent.JSONObject}
			}
			c.user("how is it?")
			whole := &keeper{}
			var sink agent.Sink = whole
			if tt.stream {
				sink = &whole.recorder
			}
			err := c.g.Turn(t.Context(), c.request(), sink)
			if (err != nil) != tt.fails || n != tt.runs || tt.name == "twice" && !agent.AsError(err).Final {
				t.Fatalf("%v after %d runs, want an error: %v, after %d", err, n, tt.fails, tt.runs)
			}
			if tt.fails {
				return
			}
			if got := whole.turn; got.Text != tt.text || got.Reasoning != tt.shown || len(got.Calls) > 0 || len(whole.accepted) != 1 {
				t.Fatalf("the client gets %+v", got)
			}
			// The conversation is known by what the client has got, and by nothing of what it hasn't.
			c.history = append(c.history, agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: tt.text}}})
			c.format = agent.Format{}
			c.user("and now?").must(agent.ResumeMemory, "gone on")
		})
	}
}

// A run that was parked, and breaks off in the answer to the results, is replaced by one from the transcript.
func TestAnAnswerToResultsThatBreaksOffIsBegunAgain(t *testing.T) {
	for _, inOnePiece := range []bool{true, false} {
		t.Run(fmt.Sprint(inOnePiece), func(t *testing.T) {
			n := 0
			fake := backendtest.NewFake("fake", func(*agent.Request) (backendtest.Turns, error) {
				if n++; n == 1 {
					return backendtest.Turns{
						{backendtest.CallTool("call_1", "look", "{}"), backendtest.Wait()},
						{backendtest.Say("I se"), backendtest.Fail(&agent.Error{Code: agent.UpstreamTimeout})},
					}, nil
				}
				return backendtest.Turns{{backendtest.Say("I see a."), backendtest.End("")}}, nil
			})
			c := newChat(t, newGateway(t, fake))
			c.user("look").must(agent.ResumeNew, "")
			c.result("call_1", "a")
			whole := &keeper{}
			var sink agent.Sink = whole
			if !inOnePiece {
				sink = &whole.recorder
			}
			err := c.g.Turn(t.Context(), c.request(), sink)
			if inOnePiece && (err != nil || whole.turn.Text != "I see a." || n != 2) || !inOnePiece && (err == nil || n != 1) {
				t.Errorf("%v after %d runs: %+v", err, n, whole.turn)
			}
		})
	}
}
