package hosted

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// A Limiter lets each address do something a number of times within any window of time: a sliding
// window, not a fixed one. Attempts are counted in the store, so all replicas agree; what is kept of an address is a hash,
// until its last attempt leaves the window. It is safe for concurrent use.
type Limiter struct {
	// store counts. There is nothing in memory, so a restart forgives nobody.
	store store.Attempts
	what  string // each has a count of its own
	most  int    // how many attempts an address has within window
	// window is how long an attempt counts, by now, which is the clock of this process.
	window time.Duration
	now    func() time.Time
}

// NewLimiter makes a Limiter for what addresses do; most < 1 is no limit. now nil means time.Now.
func NewLimiter(s store.Attempts, what string, most int, window time.Duration, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{store: s, what: what, most: most, window: window, now: now}
}

// Allow counts one attempt of addr, or fails with an *agent.Error: RateLimited, whose RetryAfter says when the oldest
// attempt leaves the window; Overloaded when the store is unavailable, because who can't be counted can't be let through. A
// whole IPv6 network of the usual size (/64) counts as one address, because each of its users can use all of it.
func (l *Limiter) Allow(ctx context.Context, addr netip.Addr) error {
	if l.most < 1 {
		return nil
	}
	now := l.now()
	again, err := l.store.CountAttempt(ctx, store.Attempt{
		Who: sha256.Sum256([]byte("attempt\x00" + l.what + "\x00" + network(addr).String())), At: now, Window: l.window, Most: l.most,
	})
	switch {
	case err != nil:
		return storeError(err)
	case again.IsZero():
		return nil
	}
	// Limit is the name in the metrics, one for all limiters.
	// Clocks of replicas differ a little; clients take 0 for "at once".
	return &agent.Error{
		Code: agent.RateLimited, RetryAfter: max(time.Second, again.Sub(now)), Limit: "signup",
		Message: "Too many attempts from your address. Please try again later.",
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
