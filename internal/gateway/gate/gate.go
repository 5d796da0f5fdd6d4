// Package gate bounds what is done at once, for all and for each owner, and lets those who wait in by turns.
package gate

import (
	"container/list"
	"context"
	"slices"
	"sync"
)

// A Gate bounds what is done at once: so much in all, and so much for one owner, in whatever unit its user counts.
// Those who must wait are let in owner by owner in turn, each owner's in the order in which they came: however many one
// owner has waiting, another waits for one of them at most. It is safe for concurrent use.
//
// mu guards everything, lines and waiters included. It is held for short steps alone: who waits
// does so on its own channel, without mu.
//
//	who          is in                          leaves it by
//	waiting      line.waiting, Gate.turns       letIn (goes in), or the end of its context (unqueue)
//	inside       used, of Gate and line         leave
//
// Its users count in different units: fetches that run at once, or bytes of memory. A size of
// more than perOwner or max never gets in.
type Gate struct {
	max, perOwner int64

	mu sync.Mutex
	// used is the sum of what is inside.
	used   int64
	owners map[string]*line // that have something inside or waiting
	turns  *list.List       // of *line that have somebody waiting, in order of their turn
}

// A line is what a Gate knows of one owner. It is guarded by Gate.mu. It exists only while its
// owner has something inside or waiting.
type line struct {
	// used is what the owner has inside. waiting is in the order in which they came.
	used    int64
	waiting []*waiter
	turn    *list.Element // in Gate.turns; nil when nobody waits
}

// A waiter is somebody who wants to go in, with as much as size. A waiter is in its line until
// it is let in or gives up; it is used once.
type waiter struct {
	// size is in the Gate's unit.
	size int64
	in   chan struct{} // closed when it is let in
}

// New makes a Gate for limit in all, and perOwner for each.
func New(limit, perOwner int64) *Gate {
	return &Gate{max: limit, perOwner: perOwner, owners: map[string]*line{}, turns: list.New()}
}

// Enter waits until there is room for size, which must be no more than perOwner: more would wait until ctx ends. Who was let in
// calls leave, once. The error is ctx's; then there is nothing to leave.
//
// The two selects at the end settle a race: when room came and ctx ended at the same moment, w
// was let in and nobody else may count its room as free, so it is given back here.
func (g *Gate) Enter(ctx context.Context, owner string, size int64) (leave func(), err error) {
	g.mu.Lock()
	l := g.owners[owner]
	if l == nil {
		l = &line{}
		g.owners[owner] = l
	}
	w := &waiter{size: size, in: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	if l.turn == nil {
		l.turn = g.turns.PushBack(l)
	}
	g.letIn()
	g.mu.Unlock()
	leave = func() { g.leave(owner, l, size) }
	select {
	case <-w.in: // at once; a ctx that is over doesn't count then, so that what happens next doesn't depend on chance
		return leave, nil
	default:
	}
	select {
	case <-w.in:
		return leave, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.in: // just now
		g.free(owner, l, size)
	default:
		g.unqueue(l, w)
		g.forget(owner, l)
	}
	g.letIn() // those behind w may be smaller
	return nil, ctx.Err()
}

// TryEnter is Enter for somebody who can't wait: ok is false when there is no room, or when somebody waits for it.
//
// It passes nobody who waits, even if what waits is too large for the room that there is.
func (g *Gate) TryEnter(owner string, size int64) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.owners[owner]
	if g.turns.Len() > 0 || g.used+size > g.max || l != nil && l.used+size > g.perOwner || size > g.perOwner {
		return nil, false
	}
	if l == nil {
		l = &line{}
		g.owners[owner] = l
	}
	g.used += size
	l.used += size
	return func() { g.leave(owner, l, size) }, true
}

// leave gives the room of somebody back who was let in, and lets others in. It is called once
// for each size that was let in; a second call would let too much in.
func (g *Gate) leave(owner string, l *line, size int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free(owner, l, size)
	g.letIn()
}

// letIn lets in whoever may go in now. An owner who has its share is passed over; for anybody else the gate waits until
// there is room, so that what is large gets its turn, too. g.mu is held.
//
// When the next in turn does not fit into the whole gate, nobody behind it is let in either:
// otherwise small ones could keep a large one out for ever.
func (g *Gate) letIn() {
	for e := g.turns.Front(); e != nil; {
		l := e.Value.(*line)
		w := l.waiting[0]
		if l.used+w.size > g.perOwner {
			e = e.Next()
			continue
		}
		if g.used+w.size > g.max {
			return
		}
		g.used += w.size
		l.used += w.size
		close(w.in)
		g.unqueue(l, w)
		if l.turn != nil {
			g.turns.MoveToBack(l.turn)
		}
		e = g.turns.Front()
	}
}

// unqueue takes w out of the line, and the line out of turn when nobody waits in it any more. g.mu is held.
func (g *Gate) unqueue(l *line, w *waiter) {
	i := slices.Index(l.waiting, w)
	l.waiting = slices.Delete(l.waiting, i, i+1)
	if len(l.waiting) == 0 {
		g.turns.Remove(l.turn)
		l.turn = nil
	}
}

// free gives the room of somebody back who was let in. g.mu is held. It lets nobody in: the
// caller does that, once all is given back.
func (g *Gate) free(owner string, l *line, size int64) {
	g.used -= size
	l.used -= size
	g.forget(owner, l)
}

// forget drops an owner who has nothing here. g.mu is held. Without this the map would grow
// with every owner that was ever seen.
func (g *Gate) forget(owner string, l *line) {
	if l.used == 0 && len(l.waiting) == 0 {
		delete(g.owners, owner)
	}
}
