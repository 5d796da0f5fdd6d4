package cli

import (
	"context"

	"composer-api/internal/agent"
	"composer-api/internal/gateway"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/waitlist"
)

// outside is everything that a gateway needs from the network, except for the upstreams. The
// demo has another one, so that --demo can't reach the network by mistake.
type outside struct {
	fetch  fetchModels          // nil means that there is no live catalogue
	images gateway.ImageFetcher // nil leaves images that are known by URL
	// Asks Cursor who a key belongs to, when somebody signs up.
	verify func(context.Context, agent.Secret) (hosted.Person, error)
	// Adds somebody to the operator's waiting list. Never nil once the Instance is assembled.
	join func(context.Context, waitlist.Entry) error
}

// demoOutside is the outside of --demo: nothing. It fails what needs the network. fetch is nil, so that the catalogue lists
// Composer's own models, and images is nil, so that the demo's backend gets images as they came.
func demoOutside() outside {
	return outside{
		verify: func(context.Context, agent.Secret) (hosted.Person, error) {
			return hosted.Person{}, notInDemo("Sign-up")
		},
		join: func(context.Context, waitlist.Entry) error { return notInDemo("The waiting list") },
	}
}

// noSignUp is the sign-up of --demo, whether ENCRYPTION_KEY is set or not.
//
// Without it, the demo with an encryption key would take any text for a key and mint one.
func noSignUp(context.Context, agent.Secret, string) (*hosted.SignedUp, error) {
	return nil, notInDemo("Sign-up")
}

// notInDemo is the error for what the demo doesn't have.
func notInDemo(what string) error {
	return agent.Errorf(agent.NotConfigured, "%s is off in the demo, which never uses the network. Start the server without --demo.", what)
}
