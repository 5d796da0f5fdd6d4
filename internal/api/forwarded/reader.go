package forwarded

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// warnEvery is how often the operator is told of the same thing: a client may send such headers on purpose, as often as
// it likes.
const warnEvery = time.Hour

// A Reader reads requests' hops. It tells the operator of forwarding headers that are not believed: most likely a proxy
// is not in the settings, and all of its clients count as one address. It is safe for concurrent use.
//
// The lock protects last alone and is held for as long as a line of the log takes.
type Reader struct {
	// trusted are the proxies that are believed. They don't change.
	trusted []netip.Prefix

	log *slog.Logger
	now func() time.Time

	mu sync.Mutex
	// last is when the log was told; more often than once in a while it isn't.
	last time.Time
}

// NewReader makes a Reader that believes proxies of these networks. A nil log discards warnings; a nil now is time.Now.
func NewReader(trusted []netip.Prefix, log *slog.Logger, now func() time.Time) *Reader {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if now == nil {
		now = time.Now
	}
	return &Reader{trusted: trusted, log: log, now: now}
}

// Read finds out where a request comes from. Headers that are not believed are passed over, and the operator is told.
//
// It never fails: at worst the result is the connection's own.
func (rd *Reader) Read(r *http.Request) Hop {
	at := readHop(r, rd.trusted)
	if at.unbelieved {
		rd.warn(at.Client)
	}
	return at
}

// warn tells the operator, at most once an hour.
func (rd *Reader) warn(from netip.Addr) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if now := rd.now(); rd.last.IsZero() || now.Sub(rd.last) >= warnEvery {
		rd.last = now
		where := "a public address" // which may be a user's, and is nothing for the log
		if from.IsPrivate() || from.IsLoopback() || from.IsLinkLocalUnicast() {
			where = from.String()
		}
		rd.log.Warn("forwarding headers are not believed", "from", where,
			"hint", "if that is your proxy, put its address into COMPOSER_TRUSTED_PROXIES, and let it write one kind of these headers and remove the other")
	}
}
