package control_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
)

// While JSON waits for its end, also for that of a second attempt, a stream shows that it is alive and nothing of the JSON.
func TestAStreamIsKeptAliveWhileItsJSONWaits(t *testing.T) {
	const source = "turn\ncheckpoint\ntext \"{\\\"a\\\": \"\ndelay 1m\ntext \"no}\"\nturn when continued\ntext \"{\\\"a\\\": \"\ndelay 1m\ntext 1}\n"
	asked := ask{Prompt: "A number?", Format: []byte(`{"type":"object","properties":{"a":{"type":"integer"}}}`)}
	for _, s := range surfaces {
		if !s.stream {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, source, asked)
				defer w.close()
				body, err := json.Marshal(s.request(&client{t: t, world: w, surface: s, ask: asked}))
				if err != nil {
					t.Fatal(err)
				}
				rec := httptest.NewRecorder()
				w.handle(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body)), s.handler(w))
				before, _, found := strings.Cut(rec.Body.String(), `{\"a\"`)
				alive := strings.Count(before, "\n:") + strings.Count(before, "event: ping")
				if !found || alive < 4 || strings.Contains(before, "no}") {
					t.Errorf("%d signs of life before the JSON:\n%s", alive, rec.Body)
				}
			})
		})
	}
}
