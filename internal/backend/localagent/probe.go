package localagent

import (
	"context"
	"errors"
	"net/http"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/reach"
)

// The question whether upstream is there, for health checks. It opens no run and needs no key:
// an answer of Cursor's will do, a refusal included (see reach.Answered).

// Without the method the gateway would take this upstream for one that can't be asked.
var _ agent.Prober = (*Backend)(nil)

// Probe implements agent.Prober. It uses a connection of the pool or opens one, which the next run will find.
func (b *Backend) Probe(ctx context.Context) error {
	req, err := reach.Question(ctx, b.cfg.Endpoint)
	if err != nil {
		return &agent.Error{Code: agent.NotConfigured, Err: err}
	}
	begin := time.Now()
	c, err := b.pool.reserve(ctx, false)
	var full *agent.Error
	switch {
	case errors.As(err, &full):
		return nil // as many runs are open as may be, so upstream is there
	case err != nil:
		return reach.Error(req.URL, backendSetting, err)
	}
	var resp *http.Response
	if resp, err = c.RoundTrip(req); err != nil {
		if c.made.Before(begin) {
			b.pool.retire(c) // its other end may be gone: a run is not to find that out
		}
		return reach.Error(req.URL, backendSetting, err)
	}
	return reach.Answered(req.URL, resp)
}
