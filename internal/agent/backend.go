package agent

import (
	"context"
	"time"
)

// A Backend starts runs. It is safe for concurrent use.
//
// Every Backend passes the exam in backend/backendtest.
type Backend interface {
	// Name is the backend's short name, as the x-composer-upstream header shows it: "localagent", "chat", "demo".
	Name() string

	// Start opens a run for req and returns once upstream has accepted it, before its first event. ctx bounds Start
	// alone: the run outlives it, and only Close ends the run. The backend does not change req and may keep
	// references to it until Close, so the caller must not change it either.
	//
	// Errors are *Error. When req.Continue can't be continued, the code is [ConversationLost] and the caller starts
	// again without it.
	Start(ctx context.Context, req *Request) (Run, error)
}

// A Run yields events, turn by turn.
//
// Next, Resume and Buffered are called by one goroutine at a time. Close may be called at any time, from any
// goroutine and more than once; it unblocks Next and Resume.
type Run interface {
	// Next waits for the next event of this turn. The event and what it points to are valid until the next call of
	// Next; a caller that keeps Text copies it.
	//
	// The last event of a turn is Done. After Done with Reason [ToolCalls] the caller may Resume; after any other
	// Done the run is over, and only Close may follow. After an error the run is over too. Errors are *Error, or
	// ctx's own error when ctx ended first; a turn can't be taken up again after that, because nothing but a reset
	// interrupts the reading of a stream.
	Next(ctx context.Context) (Event, error)

	// Buffered reports whether Next would return without waiting. A consumer that batches its writes flushes when it
	// is false. It may err on the side of false.
	Buffered() bool

	// Resume hands in the client's results for the calls that this turn yielded, one result for each,
	// in any order, and begins the next turn. Calls that upstream announced too late for the last turn
	// are the first events of the new one. It returns once the results are handed to the transport.
	// Errors are *Error.
	Resume(ctx context.Context, results []ToolResult) error

	// Close ends the run and releases everything that it holds. An unfinished run is reset upstream at
	// once.
	Close() error
}

// An Identified Run can say which of upstream's conversations it belongs to, for logs.
type Identified interface {
	// ConversationID is upstream's id of the conversation. It doesn't change during the run.
	ConversationID() string
}

// A SystemPrompter is a Backend that can give upstream the client's system text as the model's system prompt. Whether the
// account may do that, upstream says when it refuses the run.
type SystemPrompter interface{ TakesSystemPrompt() }

// A SystemPrompted Run says how the client's system text has reached the model.
type SystemPrompted interface {
	// NativeSystem reports whether it is the model's system prompt. It may be called at any time.
	NativeSystem() bool
}

// A MarkupReader is a Backend that reads the tool calls which the model writes into its text. What still looks like one in the
// text of its runs stands there as text.
type MarkupReader interface{ ReadsMarkup() }

// A Retrying Run may start again by itself as long as it has yielded nothing.
type Retrying interface {
	// AcceptedAt is when upstream accepted the current attempt; zero while another one is being made.
	// It may be called at any time and from any goroutine.
	AcceptedAt() time.Time
}

// An Adaptable Run may go on when the client offers other tools than those that the run was started with.
type Adaptable interface {
	// Adapt says what the client offers and asks from now on. Calls of tools that are no longer offered are refused from
	// then on, and the model is told. It is called after Done with Reason [ToolCalls] and before Resume, by the goroutine
	// that calls Resume. req is not changed and may be kept until Close.
	//
	// It reports false when the run can't go on so; only Close may follow then.
	Adapt(req *Request) bool
}

// A Sized Run can say how much memory it keeps while it waits for tool results.
type Sized interface {
	// Size is about how many bytes that is. It is called after Done with [ToolCalls] and before Resume.
	Size() int
}

// A Conversation is what a backend needs to continue later with only the new messages: the state of upstream's
// conversation after a finished run. It is opaque to everybody but the backend that made it, and immutable, so it may
// be continued several times, also at the same time.
type Conversation interface {
	// ID is upstream's id of the conversation.
	ID() string
	// Size is about how many bytes it keeps in memory.
	Size() int
	// MarshalBinary encodes it for [Restorer].
	MarshalBinary() ([]byte, error)
}

// A Restorer is a Backend whose conversations can be encoded and decoded, in another process too.
type Restorer interface {
	// Restore decodes what MarshalBinary of this backend's Conversation returned. Bytes of another backend or
	// version give an *Error with code [ConversationLost].
	Restore(data []byte) (Conversation, error)
}

// A Prober is a Backend that can find out whether its upstream is there, without a key and without a run.
type Prober interface {
	// Probe asks upstream for nothing, over the connections that runs use. nil says that it answered. Errors are *Error
	// and say what is wrong. ctx bounds it. It may be called at any time and from any goroutine.
	Probe(ctx context.Context) error
}
