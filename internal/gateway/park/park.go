// Package park keeps what waits for tool results: a run whose turn ended in tool calls, until the client's next
// request claims it.
//
//	          Park                      Claim
//	(gateway) ────► waiting in the lot ───────► (gateway), which owns it
//	                   │ timeout            Expired
//	                   │ lot is full        Displaced (of waiters, or of what they keep in memory)
//	                   │ Supersede          Superseded
//	                   │ Close              Closed
//	                   └──────────────────► Config.End
//
// A waiter is found by its owner and the id of any call that it waits for. It leaves exactly once. When it is
// claimed, the caller owns it from then on; in all other cases the lot ends it (Config.End). One tenant can never
// claim or end another's waiter, because the owner is part of the key.
package park

import (
	"cmp"
	"container/list"
	"sync"
	"time"
)

// A Cause says why a waiter was ended without being claimed. It is for the log; the lot treats
// all alike.
type Cause string

// The causes.
const (
	Expired    Cause = "expired"    // nobody claimed it in time
	Displaced  Cause = "displaced"  // the lot was full, and it had waited longest
	Superseded Cause = "superseded" // the conversation went on without it
	Closed     Cause = "closed"     // the lot was closed
)

// Config says how long and how many.
//
// It is generic so that park needs to know nothing of runs: the gateway's waiters are of type
// *waiting, and the tests' are strings.
type Config[W any] struct {
	// Timeout is how long a waiter waits; 0 means ten minutes.
	Timeout time.Duration
	// Max bounds the waiters; 0 means 20,000.
	Max int
	// MaxBytes bounds what all waiters keep in memory, by their Size; 0 means 256 MiB.
	MaxBytes int
	// Size is about how many bytes a waiter keeps, when it is parked. Nil means nothing worth counting.
	// It is asked once, before the lock is taken: what a waiter keeps must not grow while it is parked.
	Size func(W) int
	// End is called, in a goroutine of its own, with each waiter that leaves unclaimed. It must release
	// everything that the waiter holds. Close waits for it.
	End func(W, Cause)
	// Panicked is told of a panic of the lot's timer, which must not end the process. Nil ignores it.
	Panicked func(any)
}

// A Lot holds waiters of type W. Its methods may be called concurrently.
//
//	map or list   has                                         used by
//	byCall        a place under each call that it waits for   Claim, Supersede
//	shared        places under names that several may have    Find, Supersede
//	queue         every place once, oldest first              Park (to make room), expire, Close
//
// A place is in all of them or in none; remove is the only way out.
type Lot[W any] struct {
	// cfg is not changed after New.
	cfg Config[W]

	// mu protects everything below. It is not held while End runs.
	mu     sync.Mutex
	byCall map[key]*list.Element
	shared map[key]map[*list.Element]bool // by what several waiters may have in common
	queue  *list.List                     // of *place[W], in order of expiry, because all wait equally long
	bytes  int                            // of the places in the queue
	// timer is nil before the first Park. It is set for the first place in the queue; after
	// that place has left early, it fires once for nothing, and is set again.
	timer *time.Timer
	// closed says that Close has begun: what is parked from then on is ended at once.
	closed bool
	ending int       // how many are being ended now
	ended  sync.Cond // on mu; tells Close that ending is 0
}

// Names are what a waiter is found by, besides its owner.
type Names struct {
	// Calls are the ids of the calls that it waits for, not empty. No two waiters share one.
	Calls []string
	// Transcript identifies the transcript up to these calls; "" is unknown.
	Transcript string
	// Conversation names the conversation that it belongs to; "" is unknown.
	Conversation string
	// Session names the pinned session that it belongs to, which may go on elsewhere; "" is none.
	Session string
}

// A key is one of a waiter's names, with its owner and what kind of name it is. The owner is in
// every key, so no lookup can cross from one tenant to another.
type key struct {
	// Two kinds may have the same name: an id of a call may look like a session's.
	kind        kind
	owner, name string
}

// A kind says what a name is the name of.
type kind uint8

const (
	// callKind is of one waiter alone. The others may be shared by several.
	callKind kind = iota + 1
	transcriptKind
	conversationKind
	sessionKind
)

// A place is a waiter in the lot, with all the keys that lead to it. Its fields are set while
// Park holds the lock, and never changed.
type place[W any] struct {
	waiter W
	// size is Config.Size of the waiter, asked once.
	size    int
	keys    []key
	expires time.Time
}

// New makes an empty lot. The caller closes it.
func New[W any](cfg Config[W]) *Lot[W] {
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Minute)
	cfg.Max = cmp.Or(cfg.Max, 20_000)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 256<<20)
	if cfg.Size == nil {
		cfg.Size = func(W) int { return 0 }
	}
	l := &Lot[W]{cfg: cfg, byCall: map[key]*list.Element{}, shared: map[key]map[*list.Element]bool{}, queue: list.New()}
	l.ended.L = &l.mu
	return l
}

// Park takes w over until somebody claims it for owner by one of its calls. In a closed lot w is ended at once, and so
// is one that is larger than the whole lot. In a full one, the waiters that have waited longest are ended to make room.
//
// It may be called after Close: the waiter is then ended like all others, so the caller need
// not ask first. A call id that is parked a second time leads to the newer place.
func (l *Lot[W]) Park(owner string, names Names, w W) {
	// Without mu: it is the caller's function.
	size := l.cfg.Size(w)
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &place[W]{waiter: w, size: size, expires: time.Now().Add(l.cfg.Timeout)}
	switch {
	case l.closed:
		l.end(p, Closed)
		return
	case size > l.cfg.MaxBytes:
		l.end(p, Displaced)
		return
	}
	// The loop ends, because one place alone fits (see above).
	for l.queue.Len() >= l.cfg.Max || l.bytes+size > l.cfg.MaxBytes {
		l.end(l.remove(l.queue.Front()), Displaced)
	}
	e := l.queue.PushBack(p)
	l.bytes += size
	for _, call := range names.Calls {
		k := key{callKind, owner, call}
		p.keys = append(p.keys, k)
		l.byCall[k] = e
	}
	l.share(e, key{transcriptKind, owner, names.Transcript})
	l.share(e, key{conversationKind, owner, names.Conversation})
	l.share(e, key{sessionKind, owner, names.Session})
	l.schedule()
}

// share makes the place findable under k, unless the name is unknown. Unlike call ids, these names may belong to
// several places. l.mu is held.
func (l *Lot[W]) share(e *list.Element, k key) {
	if k.name == "" {
		return
	}
	if l.shared[k] == nil {
		l.shared[k] = map[*list.Element]bool{}
	}
	l.shared[k][e] = true
	p := e.Value.(*place[W])
	p.keys = append(p.keys, k)
}

// Find returns the waiters that were parked for owner after this transcript, in no order; none
// when there are more than most. They stay in the lot, and somebody else may claim them meanwhile:
// the caller may only look at what never changes in them. A crowd of waiters with one transcript
// is most likely a load test or a template: which of them is meant can't be told then.
func (l *Lot[W]) Find(owner, transcript string, most int) []W {
	l.mu.Lock()
	defer l.mu.Unlock()
	places := l.shared[key{transcriptKind, owner, transcript}]
	if len(places) > most {
		return nil
	}
	var found []W
	for e := range places {
		found = append(found, e.Value.(*place[W]).waiter)
	}
	return found
}

// Supersede ends the waiters of this owner that wait for any of calls or belong to the conversation; "" is no
// conversation. It is for when the conversation has gone on without them.
func (l *Lot[W]) Supersede(owner string, calls []string, conversation string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, call := range calls {
		if e, found := l.byCall[key{callKind, owner, call}]; found {
			l.end(l.remove(e), Superseded)
		}
	}
	for e := range l.shared[key{conversationKind, owner, conversation}] {
		l.end(l.remove(e), Superseded)
	}
}

// Waits reports whether any waiter of this owner belongs to the session.
func (l *Lot[W]) Waits(owner, session string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.shared[key{sessionKind, owner, session}]) > 0
}

// SupersedeSession ends the waiters of this owner that belong to the session, which has gone on elsewhere.
func (l *Lot[W]) SupersedeSession(owner, session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := range l.shared[key{sessionKind, owner, session}] {
		l.end(l.remove(e), Superseded)
	}
}

// Claim takes out the waiter that waits for any of calls for this owner. The caller owns it from then on. A second
// claim for the same calls finds nothing, so of two requests with the same results one continues the run.
func (l *Lot[W]) Claim(owner string, calls []string) (w W, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, call := range calls {
		if e, found := l.byCall[key{callKind, owner, call}]; found {
			return l.remove(e).waiter, true
		}
	}
	return w, false
}

// Has reports whether a waiter of this owner waits for any of calls. It may leave at any moment.
func (l *Lot[W]) Has(owner string, calls []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, call := range calls {
		if _, found := l.byCall[key{callKind, owner, call}]; found {
			return true
		}
	}
	return false
}

// Len is how many wait now.
func (l *Lot[W]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.Len()
}

// Waiting is how many wait now, and since when the first of them does; the zero time when none does.
func (l *Lot[W]) Waiting() (n int, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first := l.queue.Front(); first != nil {
		since = first.Value.(*place[W]).expires.Add(-l.cfg.Timeout)
	}
	return l.queue.Len(), since
}

// Close ends all waiters, and every one that is parked from now on, and returns when they are ended. It may be
// called more than once.
//
// The caller must not hold anything that End needs: Close waits until each End has returned.
func (l *Lot[W]) Close() {
	l.mu.Lock()
	l.closed = true
	for l.queue.Len() > 0 {
		l.end(l.remove(l.queue.Front()), Closed)
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.awaitEndings()
}

// awaitEndings returns when nothing is being ended. It can't be a sync.WaitGroup, because Park may begin an ending
// while Close waits for the others.
func (l *Lot[W]) awaitEndings() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.ending > 0 {
		l.ended.Wait()
	}
}

// remove takes a place out of the lot and all of its maps. l.mu is held.
func (l *Lot[W]) remove(e *list.Element) *place[W] {
	p := l.queue.Remove(e).(*place[W])
	l.bytes -= p.size
	for _, k := range p.keys {
		// A call id that was parked again since belongs to the newer place.
		if l.byCall[k] == e {
			delete(l.byCall, k)
		}
		if places := l.shared[k]; places[e] {
			if delete(places, e); len(places) == 0 {
				delete(l.shared, k)
			}
		}
	}
	return p
}

// end calls Config.End for a place that is no longer in the lot, and counts it for
// awaitEndings. l.mu is held. A goroutine each, because End resets a stream and may wait for
// the network, and the lock is held here.
func (l *Lot[W]) end(p *place[W], cause Cause) {
	l.ending++
	go func() {
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.ending--; l.ending == 0 {
				l.ended.Broadcast()
			}
		}()
		l.cfg.End(p.waiter, cause)
	}()
}

// schedule sets the one timer for when the first place expires. All wait equally long, so the first in the queue is
// the first to expire. l.mu is held.
func (l *Lot[W]) schedule() {
	first := l.queue.Front()
	if first == nil {
		return
	}
	wait := time.Until(first.Value.(*place[W]).expires)
	if l.timer == nil {
		l.timer = time.AfterFunc(wait, l.expire)
	} else {
		l.timer.Reset(wait)
	}
}

// expire ends everything whose time has come. The timer calls it in a goroutine of its own. It
// sets the timer again for whatever is first then.
func (l *Lot[W]) expire() {
	defer func() {
		if p := recover(); p != nil && l.cfg.Panicked != nil {
			l.cfg.Panicked(p)
		}
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for e := l.queue.Front(); e != nil && !e.Value.(*place[W]).expires.After(now); e = l.queue.Front() {
		l.end(l.remove(e), Expired)
	}
	if !l.closed {
		l.schedule()
	}
}
