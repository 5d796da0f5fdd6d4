package memnet

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Link is the way between the callers of its Dial and where it leads. It takes time, and it can break: for a test in a
// testing/synctest bubble, whose clock it goes by. Its methods may be called concurrently.
//
//	caller ── pipe ── two pumps ── connection that dial made
//
// Each connection takes as long as its delay says, in each direction, however its bytes are cut into writes: what happens
// at which time so doesn't depend on how goroutines are scheduled.
//
//	Cut      connections that are there end, on both sides
//	split    nothing gets through, connections wait, and nobody is told
//	Slow     everything takes so much longer
type Link struct {
	// dial makes the connection on the far side. delay is asked once for each connection.
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	delay func() time.Duration

	mu   sync.Mutex
	up   chan struct{} // not nil while the link is split; closed when it is whole again
	slow time.Duration // see Slow
	// conns are those that are not closed.
	conns map[*linked]bool
}

// NewLink makes a Link to where dial leads, such as [Listener.Dial]. delay says for each connection, when it is made, how
// long a byte is under way; it is not called concurrently.
func NewLink(dial func(ctx context.Context, network, address string) (net.Conn, error), delay func() time.Duration) *Link {
	return &Link{dial: dial, delay: delay, conns: map[*linked]bool{}}
}

// linked is one connection: the pump's end of each of its two pipes.
//
// once: both pumps close it when they end.
type linked struct {
	// near is the caller's side, far the one that dial made.
	near, far net.Conn
	once      sync.Once
	frozen    atomic.Bool // see Freeze
}

// close closes both ends. Each side's next read or write fails.
func (c *linked) close() {
	c.once.Do(func() {
		c.near.Close()
		c.far.Close()
	})
}

// Dial connects through the link. While the link is split it waits, as for an answer that does not come.
func (k *Link) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	k.mu.Lock()
	wait := k.delay()
	slow := k.slow
	k.mu.Unlock()
	if err := k.passes(ctx); err != nil {
		return nil, err
	}
	timer := time.NewTimer(wait + slow)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	far, err := k.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	// end is the caller's, near the pump's.
	near, end := net.Pipe()
	c := &linked{near: near, far: far}
	k.mu.Lock()
	k.conns[c] = true
	k.mu.Unlock()
	go k.carry(c, near, far, wait)
	go k.carry(c, far, near, wait)
	return end, nil
}

// passes waits until the link is not split.
//
// It fails only with the context's error. After the wait it looks again: the link may have been
// split once more.
func (k *Link) passes(ctx context.Context) error {
	for {
		k.mu.Lock()
		up := k.up
		k.mu.Unlock()
		if up == nil {
			return nil
		}
		select {
		case <-up:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A piece is some bytes under way, or with none of them the end.
//
// due is when it arrives. The zero data is the end of the stream in this direction.
type piece struct {
	// data is a copy: the writer may use its buffer again.
	data []byte
	due  time.Time
}

// carry takes what comes from one end to the other, and closes both when one is closed.
//
// What is under way has no bound: a writer never waits for the link. It would wait holding net/http's lock, and a bubble's
// clock stands still while somebody waits for a lock.
func (k *Link) carry(c *linked, from, to net.Conn, wait time.Duration) {
	var (
		mu    sync.Mutex
		queue []piece
		// Holds one token at most: the receiver takes all that is queued at once.
		signal = make(chan struct{}, 1)
	)
	put := func(p piece) {
		mu.Lock()
		queue = append(queue, p)
		mu.Unlock()
		select {
		case signal <- struct{}{}:
		default:
		}
	}
	// The reader ends when its end is closed, which is what c.close does at the end of the other
	// pump, too.
	go func() {
		buffer := make([]byte, 4<<10)
		for {
			n, err := from.Read(buffer)
			if n > 0 {
				put(piece{append([]byte(nil), buffer[:n]...), time.Now().Add(wait + k.slower())})
			}
			if err != nil {
				put(piece{due: time.Now().Add(wait + k.slower())}) // so that the end comes as late as the rest
				return
			}
		}
	}()
	// Pieces are written in the order in which they came, each not before its time.
	for over := false; !over; {
		<-signal
		mu.Lock()
		pieces := queue
		queue = nil
		mu.Unlock()
		for _, p := range pieces {
			time.Sleep(time.Until(p.due))
			over = over || p.data == nil
			if c.frozen.Load() {
				continue
			}
			if k.passes(context.Background()) == nil && p.data != nil {
				to.Write(p.data) // an end that is closed shows in the read, too
			}
		}
	}
	if c.frozen.Load() {
		from.Close() // the other end hears nothing of it
	} else {
		c.close()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if from == c.near || !c.frozen.Load() {
		delete(k.conns, c)
	}
}

// Cut breaks all connections that there are now, without a word.
func (k *Link) Cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		c.close()
	}
}

// Split holds up everything that is under way or comes, until it is called with false.
func (k *Link) Split(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case on && k.up == nil:
		k.up = make(chan struct{})
	case !on && k.up != nil:
		close(k.up)
		k.up = nil
	}
}

// Slow makes all that sets out from now on take so much longer; 0 is as before. Nothing overtakes what is under way.
func (k *Link) Slow(by time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slow = by
}

// slower is what Slow was called with last.
func (k *Link) slower() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.slow
}

// Freeze makes the connections that there are now half open: nothing comes through them any more, in either direction, and no
// end hears that the other is closed. New connections are as good as ever. One that was frozen counts for Conns until who
// dialed it closes it.
func (k *Link) Freeze() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		c.frozen.Store(true)
	}
}

// Frozen is how many of Conns are half open.
func (k *Link) Frozen() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		if c.frozen.Load() {
			n++
		}
	}
	return n
}

// Conns is how many connections there are.
func (k *Link) Conns() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.conns)
}
