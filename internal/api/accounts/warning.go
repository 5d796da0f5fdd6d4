package accounts

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

// A warner tells the operator of forwarding headers that are not believed: most likely a proxy is not in the settings,
// and all of its clients count as one address. It is safe for concurrent use.
type warner struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last time.Time
}

// hop is readHop, with a warning.
func (h *handlers) hop(r *http.Request) hop {
	at := readHop(r, h.cfg.TrustedProxies)
	if at.unbelieved {
		h.warner.warn(at.client)
	}
	return at
}

func (w *warner) warn(from netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now(); w.last.IsZero() || now.Sub(w.last) >= warnEvery {
		w.last = now
		where := "a public address" // which may be a user's, and is nothing for the log
		if from.IsPrivate() || from.IsLoopback() || from.IsLinkLocalUnicast() {
			where = from.String()
		}
		w.log.Warn("forwarding headers are not believed", "from", where,
			"hint", "if that is your proxy, put its address into COMPOSER_TRUSTED_PROXIES, and let it write one kind of these headers and remove the other")
	}
}
