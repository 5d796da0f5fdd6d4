package hosted

import (
	"net/netip"
	"sync"
	"time"

	"composer-api/internal/agent"
)

// A Limiter lets each address do something a number of times within any window of time: a sliding
// window, not a fixed one. It counts in this process only, and remembers a bounded number of addresses.
// It is safe for concurrent use.
//
// mu guards seen. Each call takes it once, for a short time; forget alone looks at all addresses.
type Limiter struct {
	// most is how many attempts an address has within window.
	most   int
	window time.Duration
	now    func() time.Time

	mu sync.Mutex
	// seen has the times of each address's attempts, oldest first; never empty. At most "most" of
	// them are kept, because a refused attempt isn't counted.
	seen map[netip.Prefix][]time.Time
}

// maxAddresses is how many addresses a Limiter remembers. Over it, the address whose last attempt is the
// oldest is forgotten, so somebody with many addresses can get more attempts, but not more memory.
const maxAddresses = 10_000

// NewLimiter makes a Limiter; most < 1 is no limit. now nil means time.Now.
func NewLimiter(most int, window time.Duration, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{most: most, window: window, now: now, seen: map[netip.Prefix][]time.Time{}}
}

// Allow counts one attempt of addr, or fails with an *agent.Error with code RateLimited, whose
// RetryAfter says when the oldest attempt leaves the window. A whole IPv6 network of the usual size
// (/64) counts as one address, because each of its users can use all of it.
func (l *Limiter) Allow(addr netip.Addr) error {
	if l.most < 1 {
		return nil
	}
	who := network(addr)
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	times := l.seen[who]
	for len(times) > 0 && !times[0].Add(l.window).After(now) {
		times = times[1:]
	}
	if len(times) >= l.most {
		return &agent.Error{
			Code: agent.RateLimited, RetryAfter: times[0].Add(l.window).Sub(now), Limit: "signup",
			Message: "Too many attempts from your address. Please try again later.",
		}
	}
	if l.seen[who] == nil && len(l.seen) >= maxAddresses {
		l.forget(now)
	}
	l.seen[who] = append(times, now)
	return nil
}

// forget makes room for one address: all whose attempts have left the window, or else the one whose last
// attempt is the oldest. It looks at every address, which is fast enough for what a person does by hand.
// l.mu is held.
func (l *Limiter) forget(now time.Time) {
	var quietest netip.Prefix
	var since time.Time
	for who, times := range l.seen {
		last := times[len(times)-1]
		if !last.Add(l.window).After(now) {
			delete(l.seen, who)
		} else if since.IsZero() || last.Before(since) {
			quietest, since = who, last
		}
	}
	if len(l.seen) >= maxAddresses {
		delete(l.seen, quietest)
	}
}

// network is what counts as one address: the address itself for IPv4, also when it comes as IPv6, and
// the /64 for IPv6.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // fails for the invalid address only, which is one address like another
	return prefix
}
