package localagent

import (
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/sim/cursorsim"
)

// TestARefusalKeepsItsRetryAfter guards against reading upstream's words again once they are an *agent.Error.
func TestARefusalKeepsItsRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn always\nstatus 503 retry-after=7s Busy.\n", cursorsim.Config{}, nil)
		_, err := r.Start(t.Context(), backendtest.Request("hello"))
		if e := agent.AsError(err); e.Code != agent.Overloaded || e.RetryAfter != 7*time.Second || !e.FromUpstream {
			t.Errorf("%v, retry after %v", e, e.RetryAfter)
		}
	})
}
