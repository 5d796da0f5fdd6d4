package cursorsim

import (
	"errors"
	"io"
	"sync"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/pb"
)

// What lies between the goroutine that receives and the run that plays.

// inbox is what a client has sent on one stream and the run has not read yet. The goroutine that
// receives puts, at once and without waiting; the run takes.
//
// It is a list and not a channel, because a receiver must never block: over HTTP/1.1 that would hold up
// the client's requests, and over HTTP/2 the reader could not end with the run. It has no bound; a run
// that plays a long delay keeps reading, so little gathers.
type inbox struct {
	// mu guards items.
	mu     sync.Mutex
	items  []item
	signal chan struct{} // holds one value while there may be something to take
}

// An item is a message, or the end of the client's side: eof when it ended well, err when it broke.
type item struct {
	// Exactly one of the three is set.
	message *pb.AgentClientMessage
	eof     bool
	err     error
}

// newInbox makes an empty inbox. It needs no closing.
func newInbox() *inbox { return &inbox{signal: make(chan struct{}, 1)} }

// put adds an item and wakes the run. It never waits, and any goroutine may call it.
func (b *inbox) put(i item) {
	b.mu.Lock()
	b.items = append(b.items, i)
	b.mu.Unlock()
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// take returns what came since the last call, oldest first. Only the run calls it. The caller
// owns the list.
func (b *inbox) take() []item {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items = nil
	return items
}

// readAll puts every message of a request body, and then its end. It returns at the first error, which
// becomes the last item; the caller may end it by closing the body.
//
// Over HTTP/2 it is a goroutine beside the run; over HTTP/1.1 the messages come by session.append instead.
func (b *inbox) readAll(body io.Reader) {
	for {
		flags, payload, err := readFrame(body)
		switch {
		case errors.Is(err, io.EOF):
			b.put(item{eof: true})
			return
		case err != nil:
			b.put(item{err: err})
			return
		case flags&flagEnd != 0:
			continue // clients need not send one, and may
		}
		m := new(pb.AgentClientMessage)
		if err := proto.Unmarshal(payload, m); err != nil {
			b.put(item{err: err})
			return
		}
		b.put(item{message: m})
	}
}
