package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/agent"
)

// Access tokens: the cache, and the exchange that fills it. The key itself is in memory only as
// long as a request or an exchange has it.

// When tokens are refreshed. Source: the protocol's description of getting in.
const (
	refreshBefore = 5 * time.Minute  // a token is refreshed this long before it ends,
	unreadableFor = 30 * time.Minute // or after this long when it doesn't say when it ends
	refreshAgain  = 30 * time.Second // a refresh that failed is tried again after this long
)

// maxToken bounds an access token, in bytes: a longer one fits into no header, and up to Config.MaxKeys of them are kept.
const maxToken = 16 << 10

// A keyHash is how a key is known in the cache, so that the cache holds no key.
type keyHash [sha256.Size]byte

// An entry is the token of one key. Its fields are protected by Client.mu. Its states:
//
//	empty ── exchange ──► fresh ── refresh is due ──► still usable, with an exchange in flight
//	  ▲                     ▲                                │ succeeds, or fails temporarily
//	  │                     └────────────────────────────────┘
//	  └── Drop, or the token expires: callers wait for the exchange
//
// An entry whose exchange fails for good leaves the cache.
//
//	field     zero means
//	token     none yet, or dropped
//	expires   the token doesn't say when it ends
//	refresh   due at once
//	flight    no exchange is under way
type entry struct {
	token   agent.Secret // zero before the first exchange
	expires time.Time    // zero: it doesn't tell
	refresh time.Time    // when to get the next one
	used    time.Time    // when Token last asked for it
	flight  *exchange    // under way; at most one per key
}

// An exchange is a request for a token that everybody who needs it waits for. token and err are set when
// done is closed.
type exchange struct {
	// One of token and err is set.
	done  chan struct{}
	token agent.Secret
	err   error
}

// usable reports whether the token may still be sent.
func (e *entry) usable(now time.Time) bool {
	return !e.token.IsZero() && (e.expires.IsZero() || now.Before(e.expires))
}

// Token returns an access token for the key, from the cache if it can. While a token is still valid it is
// refreshed in the background, so that only a key's first request waits. ctx ends the waiting, not the
// exchange, which serves others too.
//
// Errors are *agent.Error: NotConfigured, InvalidKey, RateLimited, and so on.
//
// A token may end while it is on its way: upstream's refusal then leads to Drop and another exchange.
func (c *Client) Token(ctx context.Context, key agent.Secret) (agent.Secret, error) {
	if c.cfg.BackendBase == "" {
		return agent.Secret{}, agent.Errorf(agent.NotConfigured, "No Cursor backend is configured. Set CURSOR_BACKEND_BASE_URL.")
	}
	token, flight := c.cached(ctx, key)
	if !token.IsZero() {
		return token, nil
	}
	select {
	case <-flight.done:
		return flight.token, flight.err
	case <-ctx.Done():
		return agent.Secret{}, givenUp(ctx, ctx.Err())
	}
}

// cached returns the key's token, or the exchange to wait for. It starts one when the token is missing,
// has expired, or is due for a refresh; there is at most one per key.
func (c *Client) cached(ctx context.Context, key agent.Secret) (agent.Secret, *exchange) {
	hash := keyHash(sha256.Sum256([]byte(key.Reveal())))
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.tokens[hash]
	if e == nil {
		c.makeRoom(now)
		e = &entry{}
		c.tokens[hash] = e
	}
	e.used = now
	if e.flight == nil && (!e.usable(now) || !now.Before(e.refresh)) {
		e.flight = &exchange{done: make(chan struct{})}
		go c.exchange(context.WithoutCancel(ctx), hash, key, e)
	}
	if e.usable(now) {
		return e.token, nil
	}
	return agent.Secret{}, e.flight
}

// exchange gets a token and decides what becomes of the entry:
//
//	success                                        the new token
//	a temporary failure, the old token is valid    the old token; tried again after refreshAgain
//	any other failure                              dropped from the cache
//
// It runs in a goroutine of its own, which ends by Config.Timeout.
//
// Between its start and its end, Drop or makeRoom may have taken the entry out of the cache or
// emptied it; those who wait for the flight get its result all the same.
func (c *Client) exchange(ctx context.Context, hash keyHash, key agent.Secret, e *entry) {
	token, err := c.ask(ctx, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	flight, now := e.flight, time.Now()
	e.flight = nil
	switch {
	case err == nil:
		e.token = agent.NewSecret(token)
		e.expires, e.refresh = lifetime(token, now)
	case temporary(err) && e.usable(now):
		e.refresh = now.Add(refreshAgain)
	case c.tokens[hash] == e:
		delete(c.tokens, hash)
	}
	flight.token, flight.err = e.token, err
	close(flight.done)
}

// ask asks Cursor for a token. Everybody who waits for it gets the error, whatever it is.
func (c *Client) ask(ctx context.Context, key agent.Secret) (token string, err error) {
	defer agent.CatchPanic(func(panicked *agent.Error) { err = panicked })
	var answer struct {
		AccessToken string `json:"accessToken"`
	}
	err = c.call(ctx, http.MethodPost, c.backend(), "/auth/exchange_user_api_key", key, "{}", &answer)
	if err == nil && !sendable(answer.AccessToken) {
		err = agent.Errorf(agent.Upstream, "Cursor's answer holds no access token that can be sent.")
	}
	return answer.AccessToken, err
}

// sendable reports whether a token fits into a header: it is ASCII without control characters.
func sendable(token string) bool {
	return token != "" && len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// temporary reports whether the failure says nothing about the key itself. A failure that says
// something about the key must not be hidden by an old token: the user has to hear of it.
func temporary(err error) bool {
	switch agent.CodeOf(err) {
	case agent.InvalidKey, agent.PermissionDenied, agent.PaymentRequired:
		return false
	}
	return true
}

// Drop forgets a token that upstream has refused, so that the next Token exchanges the key again. It does
// nothing when the key has another token by now, because then somebody else has dropped it already.
func (c *Client) Drop(key, token agent.Secret) {
	hash := keyHash(sha256.Sum256([]byte(key.Reveal())))
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.tokens[hash]; e != nil && e.token == token {
		e.token = agent.Secret{}
	}
}

// makeRoom drops tokens that nobody uses, at intervals of an eighth of MaxIdle, and the one
// that was used longest ago when there are too many. c.mu is held. It is linear in the keys,
// and called for each key that is new.
func (c *Client) makeRoom(now time.Time) {
	if now.Sub(c.swept) > c.cfg.MaxIdle/8 {
		c.swept = now
		maps.DeleteFunc(c.tokens, func(_ keyHash, e *entry) bool { return now.Sub(e.used) > c.cfg.MaxIdle })
	}
	if len(c.tokens) < c.cfg.MaxKeys {
		return
	}
	var oldest keyHash
	oldestUse := now
	for hash, e := range c.tokens {
		if !e.used.After(oldestUse) {
			oldest, oldestUse = hash, e.used
		}
	}
	delete(c.tokens, oldest)
}

// lifetime decides when a token ends (zero: it doesn't say) and when to get the next one: five minutes
// before the end, or after half of its life if that is later. A token that has ended already, by our
// clock, is treated as one that doesn't say: most likely the clock is wrong.
//
// Later than half of its life: otherwise a token that lives for less than five minutes would be
// exchanged with every request.
func lifetime(token string, now time.Time) (expires, refresh time.Time) {
	expires, ok := Expiry(token)
	if !ok || !expires.After(now) {
		return time.Time{}, now.Add(unreadableFor)
	}
	refresh = expires.Add(-refreshBefore)
	if half := now.Add(expires.Sub(now) / 2); half.After(refresh) {
		refresh = half
	}
	return expires, refresh
}

// Expiry reads the exp claim of a JWT (header.payload.signature, each in base64). The signature is not
// checked: the token is for upstream, and we only want to know when to get the next.
func Expiry(token string) (time.Time, bool) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, ok := strings.Cut(rest, ".")
	if !ok {
		return time.Time{}, false
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return time.Time{}, false
	}
	var c struct {
		Exp float64 `json:"exp"`
	}
	// Above this, seconds since 1970 don't fit into a time.Time's arithmetic; the year is 9999.
	const latest = 253402300799
	if json.Unmarshal(claims, &c) != nil || c.Exp <= 0 || c.Exp > latest {
		return time.Time{}, false
	}
	return time.Unix(int64(c.Exp), 0), true
}
