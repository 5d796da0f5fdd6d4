package hosted_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/store"
	"composer-api/internal/store/bounded"
	"composer-api/internal/store/seal"
)

// A stuck store never answers.
type stuck struct{ store.Store }

func (stuck) SignUp(ctx context.Context, _ store.Account, _ store.Key, _ store.SignUpRule) (store.Account, error) {
	<-ctx.Done()
	return store.Account{}, ctx.Err()
}

func (stuck) Account(ctx context.Context, _ string) (store.Account, error) {
	<-ctx.Done()
	return store.Account{}, ctx.Err()
}

func (stuck) Key(ctx context.Context, _ string) (store.Key, store.Account, error) {
	<-ctx.Done()
	return store.Key{}, store.Account{}, ctx.Err()
}

func (stuck) ListKeys(ctx context.Context, _ string) ([]store.Key, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (stuck) BeginRequest(ctx context.Context, _ store.RequestLog) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAStoreThatHangsIsOverloadedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := hosted.New(hosted.Config{Store: bounded.New(stuck{}, bounded.Limit, nil), Ring: seal.Random(), Verify: cursor})
		token, _ := keys.Mint()
		for name, call := range map[string]func() error{
			"resolve": func() error { _, err := s.Resolve(t.Context(), token.Reveal()); return err },
			"sign up": func() error { _, err := s.SignUp(t.Context(), agent.NewSecret(adasKey), ""); return err },
			"begin request": func() error {
				_, err := s.BeginRequest(t.Context(), &agent.Request{Caller: agent.Caller{KeyID: "key_1"}})
				return err
			},
		} {
			began := time.Now()
			if err := call(); agent.CodeOf(err) != agent.Overloaded || time.Since(began) != bounded.Limit {
				t.Errorf("%s: %v after %s", name, err, time.Since(began))
			}
		}
	})
}
