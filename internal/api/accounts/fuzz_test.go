package accounts_test

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"composer-api/internal/agent"
	api "composer-api/internal/api/accounts"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/waitlist"
	"composer-api/internal/store"
)

// Whatever is sent, the answer is a success or a fault of the request.
func FuzzRoutes(f *testing.F) {
	f.Add(0, `{"cursorApiKey":"crsr_0123456789","name":"Ada","email":"ada@example.com","joinWaitlist":true}`, "10.0.0.1")
	f.Add(0, `{"cursorApiKey":null}`, "")
	f.Add(1, `{"name":"Ada","email":"ada@example.com"}`, "unknown, 192.0.2.1:99")
	f.Add(1, "\xff", "[::1]")
	unlimited := hosted.NewLimiter(nil, "", 0, 0, nil)
	routes := api.Routes(api.Config{
		SignUp: func(_ context.Context, key agent.Secret, _ string) (*hosted.SignedUp, error) {
			if key.IsZero() {
				f.Error("an empty key got through")
			}
			return &hosted.SignedUp{Account: store.Account{ID: "acct_1"}, Key: agent.NewSecret("cmp_x")}, nil
		},
		Join: func(_ context.Context, e waitlist.Entry) error {
			_, err := e.Clean()
			return err
		},
		SignUps: unlimited, EarlyAccess: unlimited, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, // where httptest comes from
	})
	f.Fuzz(func(t *testing.T, route int, body, forwardedFor string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("X-Forwarded-For", forwardedFor)
		err := routes[uint(route)%uint(len(routes))].Handle(httptest.NewRecorder(), r, nil)
		switch agent.CodeOf(err) {
		case 0, agent.InvalidJSON, agent.InvalidType, agent.InvalidValue, agent.MissingParameter, agent.TooLarge:
		default:
			t.Errorf("%v", err)
		}
	})
}
