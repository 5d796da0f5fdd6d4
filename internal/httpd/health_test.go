package httpd

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"composer-api/internal/agent"
)

// TestReadyzTellsOfTheStoreAndCountsTheUpstream: without a store turns go on, without an upstream none does.
func TestReadyzTellsOfTheStoreAndCountsTheUpstream(t *testing.T) {
	fine := func(context.Context) error { return nil }
	fails := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	for _, tt := range []struct {
		store, upstream func(context.Context) error
		status          int
		want            string
	}{
		{nil, nil, 200, `{"status":"ok"}`},
		{fine, fine, 200, `{"status":"ok","store":"ok","upstream":"ok"}`},
		{fails(errors.New("no route to host")), fine, 200, `{"status":"ok","store":"unavailable","upstream":"ok"}`},
		{fine, fails(&agent.Error{Code: agent.Upstream, Message: "Cursor can't be reached at http://secret.test."}), 503, `{"status":"unavailable","store":"ok","upstream":"unreachable"}`},
		{fine, fails(&agent.Error{Code: agent.NotConfigured}), 503, `{"status":"unavailable","store":"ok","upstream":"not_configured"}`},
	} {
		rec := httptest.NewRecorder()
		New(Config{PingStore: tt.store, PingUpstream: tt.upstream}).Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if got := strings.TrimSpace(rec.Body.String()); rec.Code != tt.status || got != tt.want || rec.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%d %s, want %d %s", rec.Code, got, tt.status, tt.want)
		}
	}
}
