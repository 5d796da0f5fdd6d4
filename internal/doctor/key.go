package doctor

import (
	"context"
	"time"

	"composer-api/internal/agent"
)

// key asks Cursor whose the gateway's own key is.
func key(ctx context.Context, s *Subject, r *report) {
	k := &s.Key
	const create = "create a key in the Cursor dashboard under Integrations, and set it: 'export CURSOR_API_KEY=crsr_…'"
	switch {
	case k.Wrong != nil:
		r.broken(k.Wrong.Cure, "%s", k.Wrong.Text)
		return
	case k.Secret.IsZero():
		// Skipped, so that no token is asked for either; it is a way to run a gateway, and no
		// fault.
		r.add(Finding{Level: Skipped, Text: "the gateway has none of its own: each client has to send one", Cure: create})
		return
	}
	began := time.Now()
	name, err := k.WhoIs(ctx, k.Secret)
	switch agent.CodeOf(err) {
	// No error has the code 0.
	case 0:
		r.okAfter(began, "the key (%s) is accepted; in Cursor's dashboard it is called %q", k.Origin, name)
	case agent.InvalidKey, agent.PermissionDenied:
		r.broken(create, "Cursor does not accept the key (%s): it is wrong, was revoked, or has expired", k.Origin)
	case agent.NotConfigured:
		r.broken("remove CURSOR_API_BASE for the default, or correct it: it is the address to which /v1/me belongs", "what is at the address of Cursor's public API is not Cursor: %s", sentence(agent.AsError(err).UserMessage()))
	default:
		r.broken("try again in a minute; if it stays so, see whether Cursor is up", "Cursor does not say whose the key (%s) is: %s", k.Origin, sentence(agent.AsError(err).UserMessage()))
	}
}
