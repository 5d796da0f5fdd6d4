// Package backendtest helps to test what is on either side of package agent: a [Fake] backend for the
// gateway and the surfaces, [Collect] to read a turn, and the [Exam] that every real Backend must pass.
//
//	doc.go             Turn and Collect
//	fake.go            Fake, a backend that yields what a test tells it to
//	exam.go            the exam's cases, its helpers, and what a turn yields
//	calls.go           tool rounds
//	conversations.go   going on later
//	failures.go        errors, Close and contexts
package backendtest

import (
	"context"

	"composer-api/internal/agent"
)

// A Turn is everything that a run yielded in one turn.
//
// Pieces of text are joined, so tests don't depend on how upstream has cut them.
type Turn struct {
	Text      string
	Reasoning string
	Refusal   string
	Calls     []agent.ToolCall
	Usage     *agent.Usage // the last one; nil when there was none
	Done      agent.Done
}

// Collect reads one turn of run. After an error the turn holds what came before it.
//
// It calls Next until Done or an error, in the caller's goroutine. It neither resumes nor closes
// the run.
func Collect(ctx context.Context, run agent.Run) (Turn, error) {
	var t Turn
	for {
		e, err := run.Next(ctx)
		if err != nil {
			return t, err
		}
		t.Add(&e)
		if e.Kind == agent.DoneKind {
			return t, nil
		}
	}
}

// Add puts an event into the turn. It copies what the event doesn't own.
func (t *Turn) Add(e *agent.Event) {
	switch e.Kind {
	case agent.Text:
		t.Text += string(e.Text)
	case agent.Reasoning:
		t.Reasoning += string(e.Text)
	case agent.Refusal:
		t.Refusal += string(e.Text)
	case agent.Call:
		t.Calls = append(t.Calls, *e.Call)
	case agent.UsageKind:
		u := *e.Usage
		t.Usage = &u
	case agent.DoneKind:
		t.Done = *e.Done
	}
}
