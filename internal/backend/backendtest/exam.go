package backendtest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/sim/script"
)

// This file has the exam's list of cases, its helpers, and the cases about what a turn
// yields. The other cases are in calls.go (tool rounds), conversations.go (what a later
// run continues) and failures.go (errors, Close and contexts). Every case is a method
// that is named in Exam; each has a script of its own, so that cases do not depend on
// one another.

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
	//
	// It skips every case that calls needsResults.
	NoScriptedResults bool
}

// Exam is what every Backend must pass. start makes a backend whose upstream plays s; it may be called
// several times and cleans up through t. The exam takes no longer than upstream does, and must not be run
// in parallel with itself on one upstream.
//
// A bug that is found in one backend becomes a case here, for all of them.
func Exam(t *testing.T, features Features, start func(t *testing.T, s *script.Script) agent.Backend) {
	// Each is a subtest that can be run alone. What a backend can't do (Features) is skipped in the case.
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
//
// Cases get it by value.
type exam struct {
	// features are what the backend can't do, by its nature.
	features Features
	// start makes the backend under test, as Exam's caller gave it.
	start func(t *testing.T, s *script.Script) agent.Backend
}

// timeout bounds every wait of the exam, so that a backend that hangs fails instead of stopping the tests.
// It is real time: the exam also runs against servers that a synctest bubble can't
// hold.
const timeout = 20 * time.Second

// backend makes a backend whose upstream plays the script.
//
// A script that can't be parsed is a mistake of the case.
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
//
// It has failed before the test when Start fails; cases about errors use failed.
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

// wantText compares texts and says where they differ.
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
		// An event without text would be an empty delta for a client.
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
