package backendtest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/sim/script"
)

// Features says what a backend can't do by its nature, so that the exam skips that. The zero value is a
// backend that can do everything.
type Features struct {
	// NoUsage: upstream counts no tokens.
	NoUsage bool
	// NoConversation: a finished conversation can't be continued.
	NoConversation bool
	// ContinueOnce: upstream keeps one state of a conversation, which changes with each run. So it can
	// be continued from its newest state alone, and an older one is lost.
	ContinueOnce bool
	// NoCutCharacters: something between upstream and the backend decodes the text of each delta, so
	// that a character that is cut in two is lost before the backend sees it. (Upstream's own deltas
	// are whole.)
	NoCutCharacters bool
	// NoErrorCodes: a scripted error's code doesn't reach the backend.
	NoErrorCodes bool
	// ExactNames: upstream's side of the backend looks for tools itself, by their exact names.
	ExactNames bool
	// NoScriptedResults: upstream forgets a run at its first call and begins another script with the result, so what the
	// exam's scripts say after a call can't be asked for. Such a backend shows its tool rounds in tests of its own.
	NoScriptedResults bool
}

// Exam is what every Backend must pass. start makes a backend whose upstream plays s; it may be called
// several times and cleans up through t. The exam takes no longer than upstream does, and must not be run
// in parallel with itself on one upstream.
//
// A bug that is found in one backend becomes a case here, for all of them.
func Exam(t *testing.T, features Features, start func(t *testing.T, s *script.Script) agent.Backend) {
	e := exam{features: features, start: start}
	t.Run("text and reasoning arrive whole and in order", e.text)
	t.Run("characters that are cut in two are joined", e.characters)
	t.Run("usage is upstream's", e.usage)
	t.Run("a tool's result reaches the model", e.toolCall)
	t.Run("a tool's name may be written otherwise", e.otherName)
	t.Run("the model is told of a tool that there isn't", e.noSuchTool)
	t.Run("the client's tools change between two turns", e.otherTools)
	t.Run("the client offers no tools any more", e.noMoreTools)
	t.Run("parallel calls are one turn", e.parallelCalls)
	t.Run("several rounds of calls are one run", e.rounds)
	t.Run("a conversation is continued with what is new", e.continued)
	t.Run("an older state of a conversation is lost", e.continueOnce)
	t.Run("a conversation survives being written down", e.restored)
	t.Run("a conversation of somebody else is lost", e.lost)
	t.Run("upstream's errors keep their kind and words", e.errors)
	t.Run("an error after output comes after the output", e.lateError)
	t.Run("Close unblocks Next", e.closeUnblocks)
	t.Run("Next ends with its context", e.contextEnds)
	t.Run("runs do not mix", e.concurrent)
}

// An exam is the cases, as methods. It has no state.
type exam struct {
	features Features
	start    func(t *testing.T, s *script.Script) agent.Backend
}

// timeout bounds every wait of the exam, so that a backend that hangs fails instead of stopping the tests.
const timeout = 20 * time.Second

// backend makes a backend whose upstream plays the script.
func (e exam) backend(t *testing.T, source string) agent.Backend {
	t.Helper()
	s, err := script.Parse(t.Name(), []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return e.start(t, s)
}

// needsResults skips a case whose script goes on after a call.
func (e exam) needsResults(t *testing.T) {
	t.Helper()
	if e.features.NoScriptedResults {
		t.Skip("scripts don't survive a call here")
	}
}

// Request is a request as the gateway hands it to a backend, with a user message and two tools.
func Request(prompt string) *agent.Request {
	schema := json.RawMessage(`{"type":"object","properties":{"path":{"type":"string"}}}`)
	return &agent.Request{
		Caller:    agent.Caller{Owner: "k:exam", CursorKey: agent.NewSecret("crsr_exam")},
		ModelName: "composer-2.5",
		Model:     agent.Model{ID: "composer-2.5", Params: []agent.Param{{ID: "fast", Value: "false"}}},
		Messages:  []agent.Message{{Role: agent.User, Parts: []agent.Part{{Text: prompt}}}},
		Tools: []agent.Tool{
			{Name: "look", Description: "Looks at a path.", Parameters: schema},
			{Name: "listen", Description: "Listens to a path.", Parameters: schema},
		},
	}
}

// run starts a run and closes it at the test's end. ctx bounds Start alone, so a run that ends with it is
// found out.
func (e exam) run(t *testing.T, b agent.Backend, req *agent.Request) agent.Run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	run, err := b.Start(ctx, req)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { run.Close() })
	return run
}

// collect reads a turn that must end with reason.
func collect(t *testing.T, run agent.Run, reason agent.Reason) Turn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	turn, err := Collect(ctx, run)
	if err != nil {
		t.Fatalf("Next: %v (after %+v)", err, turn)
	}
	if turn.Done.Reason != reason {
		t.Fatalf("the turn ended with %v, want %v: %+v", turn.Done.Reason, reason, turn)
	}
	return turn
}

// resume hands in results and fails the test on an error.
func resume(t *testing.T, run agent.Run, results ...agent.ToolResult) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := run.Resume(ctx, results); err != nil {
		t.Fatalf("Resume: %v", err)
	}
}

// result is the result of a call: a text.
func result(call agent.ToolCall, text string) agent.ToolResult {
	return agent.ToolResult{CallID: call.ID, Parts: []agent.Part{{Text: text}}}
}

func wantText(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("text: %s", diff)
	}
}

// text: reasoning and answer are kept apart, and pieces are neither lost nor put in another order.
func (e exam) text(t *testing.T) {
	b := e.backend(t, "turn\nthink \"First \"\nthink I think.\nsay This is the answer.\ntext \" Whole.\"\n")
	turn := collect(t, e.run(t, b, Request("hello")), agent.Stop)
	wantText(t, turn.Reasoning, "First I think.")
	wantText(t, turn.Text, "This is the answer. Whole.")
	if len(turn.Calls) > 0 {
		t.Errorf("calls: %+v", turn.Calls)
	}
}

// characters: upstream cuts a text anywhere, also inside a character, but an agent.Event is valid UTF-8 on
// its own.
func (e exam) characters(t *testing.T) {
	if e.features.NoCutCharacters {
		t.Skip("cut characters are lost before this backend sees them")
	}
	b := e.backend(t, "turn\ntext \"k\\xc5\"\ntext \"\\xaf\\xc5\\x88 \\xf0\"\ntext \"\\x9f\\x90\"\ntext \"\\x8e!\"\n")
	run := e.run(t, b, Request("hello"))
	var text strings.Builder
	for {
		ev, err := run.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == agent.Text && (len(ev.Text) == 0 || !utf8.Valid(ev.Text)) {
			t.Errorf("a text event holds %q", ev.Text)
		}
		text.Write(ev.Text)
		if ev.Kind == agent.DoneKind {
			break
		}
	}
	wantText(t, text.String(), "kůň 🐎!")
}

// usage: all five numbers come from upstream; an estimate must be marked as one.
func (e exam) usage(t *testing.T) {
	b := e.backend(t, "turn\ntext ok\nusage input=11 output=22 cache_read=33 cache_write=44 reasoning=5\n")
	turn := collect(t, e.run(t, b, Request("hello")), agent.Stop)
	if e.features.NoUsage {
		if turn.Usage != nil && !turn.Usage.Estimated {
			t.Errorf("usage %+v is not marked as estimated", turn.Usage)
		}
		return
	}
	want := &agent.Usage{Input: 11, Output: 22, CacheRead: 33, CacheWrite: 44, Reasoning: 5}
	if diff := cmp.Diff(want, turn.Usage); diff != "" {
		t.Error(diff)
	}
}

// toolCall: one call, whose id is ours and short, and whose result the model sees in the same run.
func (e exam) toolCall(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ntext \"Let me look. \"\ncall look {\"path\":\"a b\",\"depth\":2,\"deep\":true}\ntext It said {result 1}.\n")
	run := e.run(t, b, Request("hello"))
	turn := collect(t, run, agent.ToolCalls)
	wantText(t, strings.TrimSpace(turn.Text), "Let me look.")
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

func (e exam) otherName(t *testing.T) {
	if e.features.ExactNames {
		t.Skip("names are none of this backend's business")
	}
	b := e.backend(t, "turn\ncall LOOK {\"path\":\"a\"}\n")
	turn := collect(t, e.run(t, b, Request("hello")), agent.ToolCalls)
	if len(turn.Calls) != 1 || turn.Calls[0].Name != "look" {
		t.Errorf("calls: %+v", turn.Calls)
	}
}

func (e exam) noSuchTool(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ntext \"So. \"\ncall nobody {}\ntext I got: {result 1}\n")
	turn := collect(t, e.run(t, b, Request("hello")), agent.Stop)
	if !strings.HasPrefix(turn.Text, "So.") || !strings.Contains(turn.Text, "I got: error: ") || strings.Contains(turn.Text, "<|") || len(turn.Calls) > 0 {
		t.Errorf("%q, and calls %+v", turn.Text, turn.Calls)
	}
}

// parallelCalls: calls that are open at the same time end one turn together. The results come in another
// order than the calls.
// adapt tells a run what the client offers now; the run goes on.
func adapt(t *testing.T, run agent.Run, tools ...agent.Tool) {
	t.Helper()
	req := Request("hello")
	req.Tools = tools
	if a, ok := run.(agent.Adaptable); !ok || !a.Adapt(req) {
		t.Fatalf("the run doesn't go on with the tools %v", tools)
	}
}

// otherTools: what is no longer offered can't be called, and what still is can.
func (e exam) otherTools(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ncall look {\"path\":\"a\"}\nask-tools\ncall listen {\"path\":\"b\"}\ncall look {\"path\":\"c\"}\ntext I got {result 1}, {result 2} and {result 3}\n")
	run := e.run(t, b, Request("hello"))
	first := collect(t, run, agent.ToolCalls)
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
	if !strings.HasPrefix(last.Text, "I got one, error: ") || !strings.HasSuffix(last.Text, " and three") {
		t.Errorf("%q", last.Text)
	}
}

func (e exam) noMoreTools(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ncall look {\"path\":\"a\"}\nask-tools\ncall look {\"path\":\"b\"}\ntext I got {result 1} and {result 2}\n")
	run := e.run(t, b, Request("hello"))
	first := collect(t, run, agent.ToolCalls)
	adapt(t, run)
	resume(t, run, result(first.Calls[0], "one"))
	last := collect(t, run, agent.Stop)
	if !strings.HasPrefix(last.Text, "I got one") || !strings.Contains(last.Text, " and error: ") || len(last.Calls) > 0 {
		t.Errorf("%q, calls %+v", last.Text, last.Calls)
	}
}

func (e exam) parallelCalls(t *testing.T) {
	e.needsResults(t)
	b := e.backend(t, "turn\ncalls 2\ncall look {\"path\":\"a\"}\ncall listen {\"path\":\"b\"}\nend\ntext {result 1} and {result 2}\n")
	run := e.run(t, b, Request("hello"))
	turn := collect(t, run, agent.ToolCalls)
	if len(turn.Calls) != 2 || turn.Calls[0].Name != "look" || turn.Calls[1].Name != "listen" || turn.Calls[0].ID == turn.Calls[1].ID {
		t.Fatalf("calls: %+v", turn.Calls)
	}
	resume(t, run, result(turn.Calls[1], "heard"), result(turn.Calls[0], "seen"))
	wantText(t, strings.TrimSpace(collect(t, run, agent.Stop).Text), "seen and heard")
}

// rounds: a run has any number of turns, and each result reaches the right call.
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

// converse has a first turn and returns its conversation and the request for the second.
func (e exam) converse(t *testing.T, b agent.Backend) (agent.Conversation, *agent.Request) {
	t.Helper()
	if e.features.NoConversation {
		t.Skip("this backend can't continue a conversation")
	}
	first := collect(t, e.run(t, b, Request("hello")), agent.Stop)
	if first.Done.Conversation == nil || first.Done.Conversation.ID() == "" || first.Done.Conversation.Size() <= 0 {
		t.Fatalf("no conversation to continue: %+v", first.Done)
	}
	req := Request("hello")
	req.Messages = append(req.Messages,
		agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: first.Text}}},
		agent.Message{Role: agent.User, Parts: []agent.Part{{Text: "and now?"}}})
	return first.Done.Conversation, req
}

// twoTurns is a script whose second answer shows which messages reached the model.
const twoTurns = "turn when not continued\nset-blob b kept\ncheckpoint 100 200000\ntext one\nturn times 2 when continued\ntext two heard {prompt}\n"

// continued: only what is new reaches upstream, and the same state can be continued twice, as when a user
// goes back and asks something else.
func (e exam) continued(t *testing.T) {
	b := e.backend(t, twoTurns)
	c, req := e.converse(t, b)
	times := 2 // a conversation may be continued twice
	if e.features.ContinueOnce {
		times = 1
	}
	for range times {
		req.Continue, req.New = c, 2
		wantText(t, collect(t, e.run(t, b, req), agent.Stop).Text, "two heard and now?")
	}
}

// continueOnce: a conversation that has gone on is lost for whoever holds an older state of it.
func (e exam) continueOnce(t *testing.T) {
	if !e.features.ContinueOnce {
		t.Skip("this backend can continue a conversation more than once")
	}
	b := e.backend(t, twoTurns)
	c, req := e.converse(t, b)
	req.Continue, req.New = c, 2
	collect(t, e.run(t, b, req), agent.Stop)
	run, err := b.Start(t.Context(), req)
	if err == nil {
		defer run.Close()
		_, err = Collect(t.Context(), run)
	}
	if agent.CodeOf(err) != agent.ConversationLost {
		t.Errorf("got %v, want %v", err, agent.ConversationLost)
	}
}

// restored: a conversation's bytes are enough to continue it in another process.
func (e exam) restored(t *testing.T) {
	b := e.backend(t, twoTurns)
	c, req := e.converse(t, b)
	restorer, ok := b.(agent.Restorer)
	if !ok {
		t.Skip("this backend's conversations live in memory only")
	}
	data, err := c.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := restorer.Restore(data)
	if err != nil || restored.ID() != c.ID() {
		t.Fatalf("restored %v, %v", restored, err)
	}
	req.Continue, req.New = restored, 2
	wantText(t, collect(t, e.run(t, b, req), agent.Stop).Text, "two heard and now?")
	if _, err := restorer.Restore([]byte("something else")); agent.CodeOf(err) != agent.ConversationLost {
		t.Errorf("foreign bytes: %v", err)
	}
}

// lost: a conversation of another backend fails with ConversationLost, from Start or Next, so that the
// gateway begins anew from the transcript.
func (e exam) lost(t *testing.T) {
	b := e.backend(t, "turn always\ntext ok\n")
	req := Request("hello")
	req.Continue, req.New = FakeConversation("foreign"), 0
	run, err := b.Start(t.Context(), req)
	if err == nil {
		defer run.Close()
		_, err = Collect(t.Context(), run)
	}
	if agent.CodeOf(err) != agent.ConversationLost {
		t.Errorf("got %v, want %v", err, agent.ConversationLost)
	}
}

// failed is the error of a run that must fail, from Start or Next.
func (e exam) failed(t *testing.T, b agent.Backend) (Turn, *agent.Error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	run, err := b.Start(ctx, Request("hello"))
	var turn Turn
	if err == nil {
		defer run.Close()
		turn, err = Collect(ctx, run)
	}
	var coded *agent.Error
	if !errors.As(err, &coded) {
		t.Fatalf("got %v, want an *agent.Error", err)
	}
	return turn, coded
}

// errors: the code decides the client's status, and upstream's sentence reaches the user.
func (e exam) errors(t *testing.T) {
	if e.features.NoErrorCodes {
		t.Skip("upstream's codes don't reach this backend")
	}
	for connect, want := range map[string]agent.Code{
		"permission_denied":  agent.PermissionDenied,
		"resource_exhausted": agent.RateLimited,
		"unauthenticated":    agent.InvalidKey,
	} {
		b := e.backend(t, "turn always\nerror "+connect+" retryable=false title=\"Oh dear.\" Try later.\n")
		if _, err := e.failed(t, b); err.Code != want || !err.FromUpstream || !strings.Contains(err.UserMessage(), "Try later.") {
			t.Errorf("%s became %v (from upstream: %v), want %v", connect, err, err.FromUpstream, want)
		}
	}
}

// lateError: what came before the error is not lost, and the error holds no key.
func (e exam) lateError(t *testing.T) {
	b := e.backend(t, "turn always\ntext It begins.\nerror permission_denied retryable=false Enough.\n")
	turn, err := e.failed(t, b)
	wantText(t, turn.Text, "It begins.")
	if strings.Contains(err.UserMessage(), "crsr_exam") {
		t.Errorf("the key is in %q", err.UserMessage())
	}
}

// closeUnblocks: Close may be called beside Next, and more than once.
func (e exam) closeUnblocks(t *testing.T) {
	b := e.backend(t, "turn always\ntext It begins.\nhold\n")
	run := e.run(t, b, Request("hello"))
	if ev, err := run.Next(t.Context()); err != nil || ev.Kind != agent.Text {
		t.Fatalf("first: %+v, %v", ev, err)
	}
	failed := make(chan error)
	go func() {
		_, err := run.Next(t.Context())
		failed <- err
	}()
	go run.Close()
	if err := <-failed; err == nil {
		t.Error("Next found something to say")
	}
	if err := run.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// contextEnds: Next returns its context's own error, and not one of upstream.
func (e exam) contextEnds(t *testing.T) {
	b := e.backend(t, "turn always\ntext It begins.\nhold\n")
	run := e.run(t, b, Request("hello"))
	if _, err := run.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := run.Next(ctx)
		failed <- err
	}()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// concurrent: ten runs at once on one backend, each with a tool round of its own.
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
	for range cap(texts) {
		if text := <-texts; text != "" {
			t.Error(text)
		}
	}
}

// oneOfMany has a tool round with a name of its own and returns what was wrong; "" when nothing was.
func (e exam) oneOfMany(t *testing.T, b agent.Backend, name string) string {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req := Request(name)
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
