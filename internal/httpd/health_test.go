package httpd

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReadyzTellsOfTheStoreButGoesOnWithoutIt(t *testing.T) {
	for want, ping := range map[string]func(context.Context) error{
		`{"status":"ok"}`:                       nil,
		`{"status":"ok","store":"ok"}`:          func(context.Context) error { return nil },
		`{"status":"ok","store":"unavailable"}`: func(context.Context) error { return errors.New("no route to host") },
	} {
		rec := httptest.NewRecorder()
		New(Config{PingStore: ping}).Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if got := strings.TrimSpace(rec.Body.String()); rec.Code != http.StatusOK || got != want {
			t.Errorf("%d %s, want %s", rec.Code, got, want)
		}
	}
}
