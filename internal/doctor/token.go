package doctor

import (
	"context"
	"time"

	"composer-api/internal/agent"
)

// token exchanges the key for an access token, as the gateway does before the first run.
func token(ctx context.Context, s *Subject, r *report) {
	if s.Key.Exchange == nil {
		r.ok("the upstream in use gets it by itself")
		return
	}
	// A token that is good is kept by the client behind Exchange, so the turn below asks for no second one.
	began := time.Now()
	expires, err := s.Key.Exchange(ctx, s.Key.Secret)
	switch {
	case agent.CodeOf(err) == agent.NotConfigured:
		r.broken("correct CURSOR_BACKEND_BASE_URL: it is the address to which /auth/exchange_user_api_key belongs", "at the address of CURSOR_BACKEND_BASE_URL there is something else than Cursor's backend")
	case err != nil:
		r.broken(s.Key.create(), "the key can't be exchanged for an access token: %s", sentence(agent.AsError(err).UserMessage()))
	// A token that doesn't say until when it is good.
	case expires.IsZero():
		r.okAfter(began, "the key was exchanged for an access token")
	// By this machine's clock, as the gateway would judge it.
	case !expires.After(s.Network.now()):
		r.broken("look at the clock ('date -u'); if it is right, whoever runs the server of CURSOR_BACKEND_BASE_URL has to see that it keeps no old answers",
			"the access token that came has ended already, by this machine's clock")
	default:
		r.okAfter(began, "the key was exchanged for an access token, which is good for %v", expires.Sub(s.Network.now()).Round(time.Minute))
	}
}
