package httpd

import (
	"sync"
	"time"

	"composer-api/internal/agent"
)

// limits counts the turns in progress and refuses those beyond the limits. It is safe for concurrent use; mu guards total and
// byOwner.
//
// Turns are bounded, and not connections, because other requests are short. A turn that is refused has cost nothing yet: its
// body was not read. The two messages differ, because a client can do something about the second only.
type limits struct {
	max, maxPerOwner int // 0 is no limit

	mu sync.Mutex
	// total counts all turns, those without an owner included.
	total   int
	byOwner map[string]int // holds no zeros
}

// enter counts a turn of owner. The caller calls leave, once, when the turn is over. The error is an
// *agent.Error.
func (l *limits) enter(owner string) (leave func(), err error) {
	// Nothing to count, and no lock that all turns would meet at.
	if l.max == 0 && l.maxPerOwner == 0 {
		return func() {}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.max > 0 && l.total >= l.max:
		return nil, &agent.Error{Code: agent.Overloaded, Message: "The server has as many requests in progress as it may have. Please try again shortly.", RetryAfter: time.Second, Limit: "max_requests"}
	case l.maxPerOwner > 0 && l.byOwner[owner] >= l.maxPerOwner:
		return nil, &agent.Error{Code: agent.Overloaded, Message: "Your key has as many requests in progress as it may have. Please try again when one is done.", RetryAfter: time.Second, Limit: "max_requests_per_key"}
	}
	l.total++
	l.byOwner[owner]++
	return func() { l.leave(owner) }, nil
}

// leave ends what enter began.
func (l *limits) leave(owner string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.byOwner[owner]--; l.byOwner[owner] == 0 {
		delete(l.byOwner, owner)
	}
}
