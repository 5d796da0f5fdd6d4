// Package watch tells how turns go: when each stage was reached, and how each ended. It knows nothing of what was said.
//
//	surface ──► watch.Turns ──► hosted.Record ──► gateway
//	                 │
//	                 └──► Observer: metrics, traces, status, Recent
//
// A [Turn] is filled in by a [Sink], which stands between the gateway and the surface's encoder and sees every event pass.
// A streamed word costs the reading of the clock and no allocation.
package watch

import (
	"context"
	"time"

	"composer-api/internal/agent"
)

// A Turn is what is known of a turn besides its content. Times that were not reached are zero.
type Turn struct {
	// Origin is the request that the turn came with.
	Origin agent.Origin
	// Asked is the backend that the route asks for, and "" for the default.
	Asked string

	Begun      time.Time // the request was decoded, and its turn begins
	Connected  time.Time // upstream has accepted the run
	FirstToken time.Time // the first piece of text, of thinking or of a call
	Ended      time.Time

	Accepted agent.Accepted // zero unless Connected
	Usage    agent.Usage    // the last that was reported
	Done     agent.Done     // zero unless the turn has ended well
	Pieces   int            // of text and thinking
	// Calls counts those that the client was given.
	Calls int
	Err   error // nil when all went well
}

// Queue is how long the request took from its header to the beginning of the turn: the body, the key, and the limits.
func (t *Turn) Queue() time.Duration {
	if t.Origin.Received.IsZero() {
		return 0
	}
	return t.Begun.Sub(t.Origin.Received)
}

// Outcome is how the turn ended, in one word of a fixed set: "stop", "tool_calls", "length", "declined", or the name of the
// error's code.
func (t *Turn) Outcome() string {
	if t.Err != nil {
		return agent.CodeOf(t.Err).String()
	}
	switch t.Done.Reason {
	case agent.ToolCalls:
		return "tool_calls"
	case agent.Length:
		return "length"
	case agent.Declined:
		return "declined"
	}
	return "stop"
}

// An Observer is told of turns. Its methods are called concurrently, and must neither wait nor keep what they are given.
//
// Who wants to know of ends alone embeds [Ends].
type Observer interface {
	// TurnBegan is told that a turn begins; TurnEnded follows, whatever happens. The turn is carried out with the context that it
	// returns. It may set the origin's Trace, and nothing else of it.
	TurnBegan(ctx context.Context, o *agent.Origin) context.Context
	// Gap is told how long after the piece before each piece of text and thinking of a turn came. It must not allocate.
	Gap(time.Duration)
	// Retrying is told of each further attempt at upstream, after one that has failed. It may come after TurnEnded, from a run
	// that was parked. ctx is what TurnBegan has returned, also below.
	Retrying(ctx context.Context)
	// Repairing is told of each further attempt of the model, and why it is made.
	Repairing(ctx context.Context, why agent.Repair)
	// TurnEnded is told of a turn that is over.
	TurnEnded(ctx context.Context, t *Turn)
}

// Ends are the methods of an Observer that waits for TurnEnded alone. They do nothing.
type Ends struct{}

// TurnBegan implements Observer.
func (Ends) TurnBegan(ctx context.Context, _ *agent.Origin) context.Context { return ctx }

// Gap implements Observer.
func (Ends) Gap(time.Duration) {}

// Retrying implements Observer.
func (Ends) Retrying(context.Context) {}

// Repairing implements Observer.
func (Ends) Repairing(context.Context, agent.Repair) {}

// Turns is turns, of which observer is told.
func Turns(turns agent.Turner, observer Observer) agent.Turner { return &turner{turns, observer} }

// A turner is what Turns returns. It has no state of its own.
type turner struct {
	turns    agent.Turner
	observer Observer
}

// Turn implements agent.Turner.
func (t *turner) Turn(ctx context.Context, req *agent.Request, sink agent.Sink) (err error) {
	begun := time.Now()
	ctx = t.observer.TurnBegan(ctx, &req.Origin)
	s := &Sink{sink: sink, gap: t.observer.Gap, Turn: Turn{Origin: req.Origin, Asked: req.Upstream, Begun: begun}}
	// The run has it, also after this turn, see Observer.
	req.Watcher = &attempts{ctx, t.observer}
	// Deferred, so that a turn that panics is told of, too; the panic goes on.
	defer func() {
		s.Ended, s.Err = time.Now(), err
		t.observer.TurnEnded(ctx, &s.Turn)
	}()
	return t.turns.Turn(ctx, req, s)
}

// attempts are an agent.Watcher: they tell an observer which turn's they are.
type attempts struct {
	ctx      context.Context // the turn's
	observer Observer
}

// Retrying implements agent.Watcher.
func (a *attempts) Retrying() { a.observer.Retrying(a.ctx) }

// Repairing implements agent.Watcher.
func (a *attempts) Repairing(why agent.Repair) { a.observer.Repairing(a.ctx, why) }

// A Sink passes everything on to another, and fills in its Turn. It belongs to one turn, whose goroutine is the only one to
// call it.
type Sink struct {
	Turn
	sink agent.Sink
	// gap is told the time between two pieces.
	gap  func(time.Duration)
	last time.Time // when the last piece came
}

// NewSink makes the Sink of a turn that begins now, for who fills in Ended and Err by itself.
func NewSink(req *agent.Request, sink agent.Sink) *Sink {
	return &Sink{sink: sink, Turn: Turn{Origin: req.Origin, Asked: req.Upstream, Begun: time.Now()}}
}

// Accept implements agent.Sink.
func (s *Sink) Accept(a agent.Accepted) error {
	s.Connected, s.Accepted = time.Now(), a
	return s.sink.Accept(a)
}

// Event implements agent.Sink.
func (s *Sink) Event(e *agent.Event) error {
	switch e.Kind {
	// Before the sink is told: what the encoder takes is not upstream's time.
	case agent.Text, agent.Reasoning, agent.Refusal:
		s.piece()
	case agent.Call:
		s.Calls++
		s.began(time.Now())
	case agent.UsageKind:
		s.Usage = *e.Usage
	case agent.DoneKind:
		s.Done = *e.Done
	}
	return s.sink.Event(e)
}

// Flush implements agent.Sink.
func (s *Sink) Flush() error { return s.sink.Flush() }

// Rewind implements agent.Rewinder. What counts is the answer that the client gets.
func (s *Sink) Rewind() bool {
	if !agent.Rewind(s.sink) {
		return false
	}
	s.Pieces, s.Calls, s.FirstToken, s.last = 0, 0, time.Time{}, time.Time{}
	return true
}

// piece notes that a piece of text has come.
func (s *Sink) piece() {
	s.Pieces++
	if s.gap == nil && !s.FirstToken.IsZero() {
		return // nobody wants to know
	}
	now := time.Now()
	// The first piece has none before it.
	if s.gap != nil && !s.last.IsZero() {
		s.gap(now.Sub(s.last))
	}
	s.last = now
	s.began(now)
}

// began notes that the answer has begun.
func (s *Sink) began(now time.Time) {
	if s.FirstToken.IsZero() {
		s.FirstToken = now
	}
}
