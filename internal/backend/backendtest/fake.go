package backendtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"composer-api/internal/agent"
)

// A backend for tests of what stands above backends: the gateway, surfaces, the server. What it
// yields is written with the functions below (Say, CallTool, Wait, End), turn by turn:
//
// backendtest.Turns{ {backendtest.CallTool("call_1", "read", `{}`), backendtest.Wait()},
// {backendtest.Say("Done."), backendtest.End("")}, }

// A Fake is a Backend in memory whose runs yield what a test tells them to. It keeps the Backend's
// contract: it waits where a real one waits, and it records what it was asked. Its methods may be called
// concurrently. It never closes a run: a test looks at IsClosed to find a run that was forgotten.
type Fake struct {
	// name and play don't change.
	name string
	play func(req *agent.Request) (Turns, error)

	mu sync.Mutex
	// runs are all that were started, in order.
	runs []*FakeRun
}

// Turns are what a run yields, turn by turn. A turn that doesn't end in Done or an error waits until the run
// is closed.
type Turns [][]Step

// A Step is an event or an error.
//
// Exactly one of the two is set.
type Step struct {
	Event agent.Event
	Err   error
}

// NewFake makes a Fake that calls play for each run; an error of play is Start's. play may be called
// concurrently.
func NewFake(name string, play func(req *agent.Request) (Turns, error)) *Fake {
	return &Fake{name: name, play: play}
}

// Say is a piece of text.
//
// It is one event, however long.
func Say(text string) Step {
	return Step{Event: agent.Event{Kind: agent.Text, Text: []byte(text)}}
}

// Think is a piece of reasoning.
func Think(text string) Step {
	return Step{Event: agent.Event{Kind: agent.Reasoning, Text: []byte(text)}}
}

// CallTool is a tool call with the given id. The arguments are not checked.
func CallTool(id, name, arguments string) Step {
	return Step{Event: agent.Event{Kind: agent.Call, Call: &agent.ToolCall{ID: id, Name: name, Arguments: json.RawMessage(arguments)}}}
}

// Spend is upstream's usage.
func Spend(u agent.Usage) Step {
	return Step{Event: agent.Event{Kind: agent.UsageKind, Usage: &u}}
}

// End is the end of a turn that needs no results. The conversation can be continued when id isn't empty.
func End(id string) Step {
	done := agent.Done{Reason: agent.Stop}
	if id != "" {
		done.Conversation = FakeConversation(id)
	}
	return Step{Event: agent.Event{Kind: agent.DoneKind, Done: &done}}
}

// Wait is the end of a turn that needs results. The run goes on with the next turn after Resume.
func Wait() Step {
	return Step{Event: agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.ToolCalls}}}
}

// Fail is an error.
func Fail(err error) Step { return Step{Err: err} }

// Name implements agent.Backend.
func (f *Fake) Name() string { return f.name }

// Start implements agent.Backend. A failed start is recorded as a run that is closed.
func (f *Fake) Start(ctx context.Context, req *agent.Request) (agent.Run, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	turns, err := f.play(req)
	r := &FakeRun{Request: req, turns: turns, closed: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs = append(f.runs, r)
	if err != nil {
		close(r.closed)
		return nil, err
	}
	return r, nil
}

// Runs are all runs so far, in the order in which they were started, failed starts included.
//
// The runs themselves are shared with those who use them; their methods are safe.
func (f *Fake) Runs() []*FakeRun {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.runs)
}

// A FakeRun is a run of a Fake. Request is what Start was given; it must not be changed. mu
// guards turns and results. The steps of a turn are used up by Next, so a FakeRun plays once.
type FakeRun struct {
	Request *agent.Request

	// closed ends a Next that waits. Close may be called more than once.
	closed    chan struct{}
	closeOnce sync.Once

	mu    sync.Mutex
	turns Turns
	// results are those of each Resume, in order.
	results [][]agent.ToolResult
}

// Results are the results of each Resume so far.
func (r *FakeRun) Results() [][]agent.ToolResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.results)
}

// Closed is closed when the run is.
func (r *FakeRun) Closed() <-chan struct{} { return r.closed }

// IsClosed reports whether Close was called.
func (r *FakeRun) IsClosed() bool {
	select {
	case <-r.closed:
		return true
	default:
		return false
	}
}

// Size implements agent.Sized: it keeps its request.
func (r *FakeRun) Size() int { return r.Request.Size() }

// Next implements agent.Run. It waits where the test has written nothing more, until Close or
// the end of ctx.
//
// A closed run yields nothing more, also when its script has more.
func (r *FakeRun) Next(ctx context.Context) (agent.Event, error) {
	step, ok := r.step()
	if r.IsClosed() {
		return agent.Event{}, &agent.Error{Code: agent.Canceled, Err: fmt.Errorf("the run is closed")}
	}
	if !ok {
		select {
		case <-r.closed:
			return agent.Event{}, &agent.Error{Code: agent.Canceled, Err: fmt.Errorf("the run is closed")}
		case <-ctx.Done():
			return agent.Event{}, ctx.Err()
		}
	}
	return step.Event, step.Err
}

// step takes the next step of the current turn; false when the test has written none.
func (r *FakeRun) step() (Step, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.turns) == 0 || len(r.turns[0]) == 0 {
		return Step{}, false
	}
	step := r.turns[0][0]
	r.turns[0] = r.turns[0][1:]
	return step, true
}

// Buffered implements agent.Run. It is true also when the next step is an error.
func (r *FakeRun) Buffered() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.turns) > 0 && len(r.turns[0]) > 0
}

// Resume implements agent.Run. A turn that begins with an error fails here. What is left of the
// turn before is dropped.
func (r *FakeRun) Resume(_ context.Context, results []agent.ToolResult) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.IsClosed() {
		return &agent.Error{Code: agent.Canceled, Err: fmt.Errorf("the run is closed")}
	}
	r.results = append(r.results, slices.Clone(results))
	if len(r.turns) > 0 {
		r.turns = r.turns[1:]
	}
	if len(r.turns) > 0 && len(r.turns[0]) > 0 && r.turns[0][0].Err != nil {
		return r.turns[0][0].Err
	}
	return nil
}

// Close implements agent.Run.
//
// It may be called several times and from any goroutine, as the contract says.
func (r *FakeRun) Close() error {
	r.closeOnce.Do(func() { close(r.closed) })
	return nil
}

// A FakeConversation is the id of a conversation that a Fake can continue.
type FakeConversation string

// ID implements agent.Conversation.
func (c FakeConversation) ID() string { return string(c) }

// Size implements agent.Conversation.
func (c FakeConversation) Size() int { return len(c) }

// MarshalBinary implements agent.Conversation.
func (c FakeConversation) MarshalBinary() ([]byte, error) { return []byte(c), nil }

// Restore implements agent.Restorer. Empty data is a conversation that is lost.
func (f *Fake) Restore(data []byte) (agent.Conversation, error) {
	if len(data) == 0 {
		return nil, &agent.Error{Code: agent.ConversationLost}
	}
	return FakeConversation(data), nil
}
