package doctor

import (
	"context"
	"time"

	"composer-api/internal/agent"
)

// key asks Cursor whose the gateway's own key is.
func key(ctx context.Context, s *Subject, r *report) {
	k := &s.Key
	switch {
	case k.Wrong != nil:
		r.broken(k.Wrong.Cure, "%s", k.Wrong.Text)
		return
	case k.Secret.IsZero():
		// Skipped, so that no token is asked for either; it is a way to run a gateway, and no
		// fault.
		r.add(Finding{Level: Skipped, Text: "the gateway has none of its own: each client has to send one", Cure: k.create()})
		return
	}
	began := time.Now()
	name, err := k.WhoIs(ctx, k.Secret)
	switch agent.CodeOf(err) {
	// No error has the code 0.
	case 0:
		r.okAfter(began, "the key (%s) is accepted; in Cursor's dashboard it is called %q", k.Origin, name)
	case agent.InvalidKey, agent.PermissionDenied:
		r.broken(k.create(), "Cursor does not accept the key (%s): it is wrong, was revoked, or has expired", k.Origin)
	case agent.NotConfigured:
		r.broken("'unset CURSOR_API_BASE' for the default, or correct it: it is the address to which /v1/me belongs", "at the address of CURSOR_API_BASE there is something else than Cursor's public API")
	default:
		r.broken("try again in a minute; if it stays so, see whether Cursor is up", "Cursor does not say whose the key (%s) is: %s", k.Origin, sentence(agent.AsError(err).UserMessage()))
	}
}

// create is how the gateway gets a new key.
func (k *Key) create() string {
	return "create a key in the Cursor dashboard under Integrations, and give it to the gateway: " + k.Give
}
