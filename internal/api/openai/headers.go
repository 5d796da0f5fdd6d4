package openai

import (
	"net/http"

	"composer-api/internal/agent"
)

// SetAccepted sets the response headers that say how a turn is carried out. Streams and whole answers alike have them.
func SetAccepted(h http.Header, a agent.Accepted) {
	h.Set("X-Composer-Upstream", a.Upstream)
	h.Set("X-Composer-Resume", string(a.Resume))
	h.Set("X-Composer-Model", a.Model.String())
}
