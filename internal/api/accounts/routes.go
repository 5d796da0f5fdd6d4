package accounts

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/forwarded"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/waitlist"
)

// Config is what the routes need.
type Config struct {
	// SignUp makes an account and its key: hosted.Service.SignUp.
	SignUp func(ctx context.Context, cursorKey agent.Secret, invitation string) (*hosted.SignedUp, error)
	// Join puts a person on the waiting list: waitlist.Client.Join.
	Join func(ctx context.Context, e waitlist.Entry) error
	// SignUps bounds how often an address may sign up, and EarlyAccess how often it may ask for a place on the waiting list,
	// which uses up no sign-up.
	SignUps, EarlyAccess *hosted.Limiter
	// TrustedProxies are the networks of proxies whose X-Forwarded headers are believed. For any other
	// peer, its own address counts.
	TrustedProxies []netip.Prefix
	// PublicURL is the address of this server for its clients, without a slash at its end. "" means that it is found out
	// from each request.
	PublicURL string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Log is told of proxies that nobody trusts. Nil discards it.
	Log *slog.Logger
}

// Routes are the routes of sign-up and of the waiting list. Their paths are absolute, and they need no key.
func Routes(cfg Config) []api.Route {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &handlers{hops: forwarded.NewReader(cfg.TrustedProxies, cfg.Log, cfg.Now), cfg: cfg}
	return []api.Route{
		{Pattern: "POST /api/signup", Open: true, Handle: h.signUp},
		{Pattern: "POST /api/early-access", Open: true, Handle: h.joinWaitlist},
	}
}

// handlers has no state of its own.
type handlers struct {
	cfg Config
	// hops finds out from which address somebody signs up.
	hops *forwarded.Reader
}
