package backendtest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"composer-api/internal/agent"
)

// The exam's cases about tool rounds: the model calls, the client's results come back
// into the same run, and the model goes on. {result N} in a script stands for what the
// N-th call of the turn was answered with, so the text at the end shows what reached
// the model.

// toolCall: one call, whose id is ours and short, and whose result the model sees in the same
// run. The result has characters that a careless backend would escape or read as markup.
func (e exam) toolCall(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ntext \"Let me look. \"\ncall look {\"path\":\"a b\",\"depth\":2,\"deep\":true}\ntext It said {result 1}.\n")
	// Request offers two tools, look and listen.
	run := e.run(t, b, Request("hello"))
	turn := collect(t, run, agent.ToolCalls)
	// The blank at the end may be lost: some wires trim the text before a call.
	wantText(t, strings.TrimSpace(turn.Text), "Let me look.")
	// At most 40 bytes: some APIs refuse longer ids when they come back.
	if len(turn.Calls) != 1 || turn.Calls[0].Name != "look" || !strings.HasPrefix(turn.Calls[0].ID, "call_") || len(turn.Calls[0].ID) > 40 {
		t.Fatalf("calls: %+v", turn.Calls)
	}
	var args struct {
		Path  string
		Depth int
		Deep  bool
	}
	if err := json.Unmarshal(turn.Calls[0].Arguments, &args); err != nil || args.Path != "a b" || args.Depth != 2 || !args.Deep {
		t.Errorf("arguments %s: %v", turn.Calls[0].Arguments, err)
	}
	resume(t, run, result(turn.Calls[0], "42 <things>"))
	wantText(t, strings.TrimSpace(collect(t, run, agent.Stop).Text), "It said 42 <things>.")
}

// otherName: models write a tool's name in other letters than the client did. The
// client gets the name that it has offered, because it looks its tools up by it.
func (e exam) otherName(t *testing.T) {
	if e.features.ExactNames {
		t.Skip("this backend takes names as they are")
	}
	b := e.backend(t, "turn\ncall LOOK {\"path\":\"a\"}\n")
	turn := collect(t, e.run(t, b, Request("hello")), agent.ToolCalls)
	if len(turn.Calls) != 1 || turn.Calls[0].Name != "look" {
		t.Errorf("calls: %+v", turn.Calls)
	}
}

// noSuchTool: the client must not get a call that it can't run. The backend answers it with an error,
// and the run goes on within the same turn. Markup of a call must not be left in the text either.
func (e exam) noSuchTool(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ntext \"So. \"\ncall nobody {}\ntext I got: {result 1}\n")
	turn := collect(t, e.run(t, b, Request("hello")), agent.Stop)
	if !strings.HasPrefix(turn.Text, "So.") || !strings.Contains(turn.Text, "I got: error: ") || strings.Contains(turn.Text, "<|") || len(turn.Calls) > 0 {
		t.Errorf("%q, and calls %+v", turn.Text, turn.Calls)
	}
}

// adapt tells a run what the client offers now. It fails the test when the run can't go on so.
// The tools replace those of the request before.
func adapt(t *testing.T, run agent.Run, tools ...agent.Tool) {
	t.Helper()
	req := Request("hello")
	req.Tools = tools
	if a, ok := run.(agent.Adaptable); !ok || !a.Adapt(req) {
		t.Fatalf("the run doesn't go on with the tools %v", tools)
	}
}

// otherTools: what is no longer offered can't be called, and what still is can. The description
// of the tool that stays is another one, which must not matter.
//
// ask-tools makes the simulated upstream ask for the list again, where its protocol can.
func (e exam) otherTools(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ncall look {\"path\":\"a\"}\nask-tools\ncall listen {\"path\":\"b\"}\ncall look {\"path\":\"c\"}\ntext I got {result 1}, {result 2} and {result 3}\n")
	run := e.run(t, b, Request("hello"))
	first := collect(t, run, agent.ToolCalls)
	// listen is left out.
	look := Request("").Tools[0]
	look.Description = "Looks at a path, and only that."
	adapt(t, run, look)
	resume(t, run, result(first.Calls[0], "one"))
	second := collect(t, run, agent.ToolCalls)
	if len(second.Calls) != 1 || second.Calls[0].Name != "look" {
		t.Fatalf("calls: %+v", second.Calls)
	}
	resume(t, run, result(second.Calls[0], "three"))
	last := collect(t, run, agent.Stop)
	// What the error says is the backend's.
	if !strings.HasPrefix(last.Text, "I got one, error: ") || !strings.HasSuffix(last.Text, " and three") {
		t.Errorf("%q", last.Text)
	}
}

// noMoreTools: a client may leave its tools out of a later request. The call that it
// has been given is still answered; what the model calls from then on is refused.
func (e exam) noMoreTools(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ncall look {\"path\":\"a\"}\nask-tools\ncall look {\"path\":\"b\"}\ntext I got {result 1} and {result 2}\n")
	run := e.run(t, b, Request("hello"))
	first := collect(t, run, agent.ToolCalls)
	// No tools at all.
	adapt(t, run)
	resume(t, run, result(first.Calls[0], "one"))
	last := collect(t, run, agent.Stop)
	if !strings.HasPrefix(last.Text, "I got one") || !strings.Contains(last.Text, " and error: ") || len(last.Calls) > 0 {
		t.Errorf("%q, calls %+v", last.Text, last.Calls)
	}
}

// parallelCalls: calls that are open at the same time end one turn together. The
// results come in another order than the calls, so only their ids can match them.
func (e exam) parallelCalls(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ncalls 2\ncall look {\"path\":\"a\"}\ncall listen {\"path\":\"b\"}\nend\ntext {result 1} and {result 2}\n")
	run := e.run(t, b, Request("hello"))
	turn := collect(t, run, agent.ToolCalls)
	if len(turn.Calls) != 2 || turn.Calls[0].Name != "look" || turn.Calls[1].Name != "listen" || turn.Calls[0].ID == turn.Calls[1].ID {
		t.Fatalf("calls: %+v", turn.Calls)
	}
	// The second first.
	resume(t, run, result(turn.Calls[1], "heard"), result(turn.Calls[0], "seen"))
	wantText(t, strings.TrimSpace(collect(t, run, agent.Stop).Text), "seen and heard")
}

// rounds: a run has any number of turns, and each result reaches the right call. Each result is
// a letter longer than the call's argument, so that the end shows that none was lost or
// repeated.
func (e exam) rounds(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ncall look {\"path\":\"a\"}\ncall look {\"path\":\"{result 1}\"}\ncall listen {\"path\":\"{result 2}\"}\ntext {result 3}\n")
	run := e.run(t, b, Request("hello"))
	for _, want := range []string{"a", "ab", "abc"} {
		turn := collect(t, run, agent.ToolCalls)
		var args struct{ Path string }
		if len(turn.Calls) != 1 || json.Unmarshal(turn.Calls[0].Arguments, &args) != nil || args.Path != want {
			t.Fatalf("calls %+v, want path %q", turn.Calls, want)
		}
		resume(t, run, result(turn.Calls[0], want+string(rune('a'+len(want)))))
	}
	wantText(t, strings.TrimSpace(collect(t, run, agent.Stop).Text), "abcd")
}

// concurrent: ten runs at once on one backend, each with a tool round of its own. The names
// have different lengths, so that a result which reaches the wrong run shows.
func (e exam) concurrent(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn always\ncall look {\"path\":\"{prompt}\"}\ntext {prompt}: {result 1}\n")
	texts := make(chan string, 10)
	for i := range cap(texts) {
		name := strings.Repeat("x", i+1)
		go func() {
			texts <- e.oneOfMany(t, b, name)
		}()
	}
	// Each sends exactly once, so none is left over when the test ends.
	for range cap(texts) {
		if text := <-texts; text != "" {
			t.Error(text)
		}
	}
}

// oneOfMany has a tool round with a name of its own and returns what was wrong; "" when nothing was.
// It says so by what it returns, because it runs beside the test's own goroutine, where t.Fatal
// is not allowed.
func (e exam) oneOfMany(t *testing.T, b agent.Backend, name string) string {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req := Request(name)
	// Runs of one backend at the same time: a result must reach the run that has asked for it.
	run, err := b.Start(ctx, req)
	if err != nil {
		return err.Error()
	}
	defer run.Close()
	turn, err := Collect(ctx, run)
	if err != nil || len(turn.Calls) != 1 {
		return name + ": no call"
	}
	if err := run.Resume(ctx, []agent.ToolResult{result(turn.Calls[0], "seen "+name)}); err != nil {
		return err.Error()
	}
	if turn, err = Collect(ctx, run); err != nil {
		return err.Error()
	}
	if got, want := strings.TrimSpace(turn.Text), name+": seen "+name; got != want {
		return "got " + got + ", want " + want
	}
	return ""
}
