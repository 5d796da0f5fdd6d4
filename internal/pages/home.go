package pages

import (
	"context"
	"net/http"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// A home is what the home page says.
type home struct {
	Upstreams []string
	// Trouble is why turns would fail now; "" when all is well.
	Trouble string
	// Asking says that upstream has not answered in time for the page.
	Asking bool
}

// patience is how long the home page waits for what upstream says of itself: a page that comes late is no sign of life.
const patience = 700 * time.Millisecond

// Home answers GET / for a browser.
func (s *Site) Home(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	data := &home{Upstreams: s.cfg.Upstreams}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if err := s.cfg.Reachable(ctx); err != nil {
		data.Asking = ctx.Err() != nil
		data.Trouble = openai.Message(agent.AsError(err))
	}
	return s.render(w, r, http.StatusOK, "home", data)
}
