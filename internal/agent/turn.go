package agent

import "context"

// A Turner carries out turns: the gateway, or something around it. It may be called concurrently.
type Turner interface {
	// Turn carries out req and writes the answer to sink. It returns once the turn is over. req belongs to the
	// Turner until then. Errors are *Error; after sink.Accept was called, the client has a part of the answer.
	Turn(ctx context.Context, req *Request, sink Sink) error
}

// A Sink is what a turn writes to: a surface's encoder. Its methods are called by one goroutine at a time. An error means that
// the client can't be reached, and ends the turn.
type Sink interface {
	// Accept is called once, when upstream has taken the run and before the first event. A stream sends its response
	// headers with the next Flush, which follows at once or with the first events.
	Accept(Accepted) error
	// Event takes one event. It must keep neither e nor e.Text. The last two events of a turn that ends well are UsageKind and
	// DoneKind.
	Event(e *Event) error
	// Flush sends what Event may have buffered. It is called whenever the next event isn't there yet.
	Flush() error
}

// A Rewinder is a Sink whose client may have got nothing yet, as when an answer is sent in one piece at its end. A sink around
// another passes Rewind on.
type Rewinder interface {
	// Rewind forgets all events since Accept, as if they had not come, and reports true. It does nothing and reports false when the
	// client has got any of them.
	Rewind() bool
}

// Rewind has s forget its events. It reports whether s has.
func Rewind(s Sink) bool {
	r, ok := s.(Rewinder)
	return ok && r.Rewind()
}
