package replay

import (
	"context"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/cursorerr"
)

// Auth gives access tokens for keys; *auth.Client is one. It is safe for concurrent use.
type Auth interface {
	// Token returns an access token for the key. Errors are *agent.Error.
	Token(ctx context.Context, key agent.Secret) (agent.Secret, error)
	// Drop forgets a token that upstream has refused.
	Drop(key, token agent.Secret)
}

// Access is what authorizes one request: the caller's key, and the token that it was exchanged
// for. It is immutable. A retry gets another one, maybe with another token.
type Access struct {
	// auth made the token, and is told when upstream refuses it.
	auth       Auth
	key, token agent.Secret
}

// Authenticate exchanges the key. Errors are *agent.Error, or *cursorerr.Failure when another attempt may help: an exchange may
// meet a connection that is half open, or a server that is busy for a moment.
func Authenticate(ctx context.Context, auth Auth, key agent.Secret) (*Access, error) {
	token, err := auth.Token(ctx, key)
	if err != nil {
		if e := agent.AsError(err); cursorerr.MayPass(e.Code) {
			err = &cursorerr.Failure{Retryable: true, Err: e}
		}
		return nil, err
	}
	return &Access{auth, key, token}, nil
}

// Token is the access token, for the request.
func (a *Access) Token() agent.Secret { return a.token }

// Refused is to be called with the failure of an answer that upstream refused or broke off; it returns the
// failure to report. A token that upstream has refused is dropped, and neither it nor the key is in the
// error.
func (a *Access) Refused(f *cursorerr.Failure) *cursorerr.Failure {
	if f.BadToken {
		a.auth.Drop(a.key, a.token)
	}
	clean := *f
	clean.Err = cursorerr.WithoutSecrets(f.Err, a.key, a.token)
	return &clean
}
