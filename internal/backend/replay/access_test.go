package replay

import (
	"context"
	"errors"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/cursorerr"
)

// oneToken has the same token for everybody, until it is dropped.
type oneToken struct{ dropped bool }

func (o *oneToken) Token(context.Context, agent.Secret) (agent.Secret, error) {
	return agent.NewSecret("token_1"), nil
}

func (o *oneToken) Drop(_, token agent.Secret) { o.dropped = token.Reveal() == "token_1" }

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		failure               cursorerr.Failure
		again, token, dropped bool
	}{
		{"final", cursorerr.Failure{}, false, false, false},
		{"passing", cursorerr.Failure{Retryable: true}, true, false, false},
		{"the token's fault", cursorerr.Failure{BadToken: true}, false, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			auth := &oneToken{}
			access, err := Authenticate(t.Context(), auth, agent.NewSecret("key_1"))
			if err != nil {
				t.Fatal(err)
			}
			tt.failure.Err = &agent.Error{Code: agent.Upstream, Message: "Not with token_1.", Err: errors.New("not with key_1")}
			err = access.Refused(&tt.failure)
			var f *cursorerr.Failure
			if !errors.As(err, &f) || f.Retryable != tt.again || f.BadToken != tt.token || auth.dropped != tt.dropped {
				t.Errorf("%+v, dropped %v", f, auth.dropped)
			}
			if strings.Contains(err.Error(), "_1") {
				t.Errorf("a secret is in %q", err)
			}
		})
	}
}

// noToken fails every exchange.
type noToken struct{ err *agent.Error }

func (n noToken) Token(context.Context, agent.Secret) (agent.Secret, error) {
	return agent.Secret{}, n.err
}
func (noToken) Drop(_, _ agent.Secret) {}

func TestAnExchangeThatMayPassIsTriedAgain(t *testing.T) {
	for code, again := range map[agent.Code]bool{agent.UpstreamTimeout: true, agent.Overloaded: true, agent.Upstream: true, agent.InvalidKey: false, agent.RateLimited: false, agent.Canceled: false} {
		_, err := Authenticate(t.Context(), noToken{&agent.Error{Code: code}}, agent.NewSecret("key_1"))
		var f *cursorerr.Failure
		if got := errors.As(err, &f) && f.Retryable; got != again || agent.CodeOf(err) != code {
			t.Errorf("%v: tried again: %v, want %v; %v", code, got, again, err)
		}
	}
}
