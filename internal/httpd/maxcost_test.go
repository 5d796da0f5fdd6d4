package httpd_test

import (
	"context"
	"net/http"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/httpd"
)

func TestAClientMayLimitWhatAConversationCosts(t *testing.T) {
	for value, want := range map[string]float64{"": 0, "0.5": 0.5, " 2 ": 2, "1e-3": 0.001, "0": -1, "-1": -1, "NaN": -1, "1 dollar": -1} {
		asked := -1.0
		s := newServer(httpd.Config{Surfaces: surfaces(func(_ context.Context, req *agent.Request, sink agent.Sink) error {
			asked = req.MaxCostUSD
			return say(sink, "ok")
		})})
		header := withKey(key)
		header.Set("X-Composer-Max-Cost", value)
		w := do(t, s, exchange{"POST /v1/chat/completions", header, hello})
		if asked != want || (w.Code == http.StatusBadRequest) != (want < 0) {
			t.Errorf("%q: status %d, %v dollars, want %v", value, w.Code, asked, want)
		}
		if w.Code == http.StatusBadRequest {
			if e := errorOf(t, w.Body.Bytes()); e.Param == nil || *e.Param != "x-composer-max-cost" {
				t.Errorf("%q: %+v", value, e)
			}
		}
	}
}
