package httpd

import (
	"context"
	"io"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/gate"
)

// A budget bounds the bytes of request bodies that are being read and decoded, of all requests together, decompressed: with
// what is made of them, bodies take several times their size. It is safe for concurrent use.
//
// A body of known length gets room for all of it before more than freeBody is read of it, and waits for its turn if it must, at
// most budgetWait: it holds nothing while it waits, so there is no deadlock. Nobody knows how large a compressed body will
// become. It gets room as it grows, and is refused when there is none, because it holds some already.
//
//	body                       asks for              waits
//	up to freeBody             nothing
//	of known length            its length            yes
//	compressed, or chunked,    firstGrant, then      for the first
//	or on a WebSocket          as much again
type budget struct {
	// gate lets the owners in in turn, so one who sends much does not keep out the others.
	gate    *gate.Gate
	largest int64 // bytes that one body may have
}

const (
	// freeBody is what a body may have without asking: most have no more, and are never held up by large ones.
	freeBody = 64 << 10
	// firstGrant is what a body of unknown length gets first, in bytes.
	firstGrant = 1 << 20
	// budgetWait is how long a body waits for its turn.
	budgetWait = 10 * time.Second
)

// newBudget makes a budget of so many bytes, or of one body of the largest size if that is more. One owner may hold half
// of it.
func newBudget(all, largest int64) *budget {
	all = max(all, largest)
	return &budget{gate: gate.New(all, max(all/2, largest)), largest: largest}
}

// A grant is what one body has of the budget. It belongs to the goroutine that handles the request.
type grant struct {
	budget *budget
	ctx    context.Context // the request's
	owner  string
	known  int64 // the body's length; -1 when nobody knows it
	// size is how much it has now; leave gives it back, one function for each time that it asked.
	size  int64
	leave []func()
}

// cover makes the grant large enough for n bytes of the body. The error is an *agent.Error, or ctx's.
func (g *grant) cover(n int64) error {
	switch {
	case n <= freeBody, n <= g.size, g.known >= 0 && n > g.known: // at its end, a body is read once more
		return nil
	case g.size == 0 && g.known >= 0:
		return g.wait(g.known)
	case g.size == 0:
		return g.wait(max(n, min(firstGrant, g.budget.largest)))
	}
	more := max(min(g.size, g.budget.largest-g.size), n-g.size)
	leave, ok := g.budget.gate.TryEnter(g.owner, more)
	if !ok {
		return errNoRoom
	}
	g.size += more
	g.leave = append(g.leave, leave)
	return nil
}

// room is how many bytes may be read into a body that has n: to the end of the grant, or of what is free.
func (g *grant) room(n int64) int64 { return max(g.size, freeBody) - n }

// wait waits for size bytes.
func (g *grant) wait(size int64) error {
	ctx, cancel := context.WithTimeout(g.ctx, budgetWait)
	defer cancel()
	leave, err := g.budget.gate.Enter(ctx, g.owner, size)
	switch {
	case err == nil:
		g.size, g.leave = size, append(g.leave, leave)
		return nil
	case g.ctx.Err() != nil:
		return &agent.Error{Code: agent.Canceled, Err: g.ctx.Err()}
	}
	return errNoRoom
}

// release gives everything back. It may be called more than once.
func (g *grant) release() {
	for _, leave := range g.leave {
		leave()
	}
	g.leave, g.size = nil, 0
}

// A messageReader reads a message of a WebSocket within the budget, as a body of unknown length is read. How large it may be, and
// how long it may take, is for whoever has the socket. It is read by one goroutine.
type messageReader struct {
	// plain is the message. Its bytes are what read counts.
	plain io.Reader
	grant grant
	read  int64
}

// message makes the reader of one message of owner's. ctx ends a wait for room. The caller releases the grant.
func (b *budget) message(ctx context.Context, owner string, plain io.Reader) *messageReader {
	return &messageReader{plain: plain, grant: grant{budget: b, ctx: ctx, owner: owner, known: -1}}
}

// Read implements io.Reader. Errors are *agent.Error when there is no room, else those of the message.
func (m *messageReader) Read(p []byte) (int, error) {
	if err := m.grant.cover(m.read + 1); err != nil {
		return 0, err
	}
	n, err := m.plain.Read(p[:min(int64(len(p)), m.grant.room(m.read))])
	m.read += int64(n)
	return n, err
}

// errNoRoom is the error for a body for which there is no room.
var errNoRoom = &agent.Error{
	Code: agent.Overloaded, RetryAfter: 5 * time.Second,
	Message: "The server is reading as many large requests as it has memory for. Please try again shortly.",
}
