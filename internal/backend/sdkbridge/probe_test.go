package sdkbridge_test

import (
	"context"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/cursor/bridgechild"
)

func TestAProbeOfABridgeThatDoesNotStart(t *testing.T) {
	cfg := sdkbridge.Config{
		Child: bridgechild.Config{Dir: t.TempDir(), Root: t.TempDir()},
		Reach: func(context.Context) error { return nil },
	}
	b := sdkbridge.New(cfg)
	defer b.Close()
	if err := b.Probe(t.Context()); err == nil || !strings.Contains(agent.AsError(err).Message, "composer-api upstream status") {
		t.Errorf("got %v", err)
	}
	// Nobody's own bridge is started for a probe.
	cfg.PerOwner = true
	own := sdkbridge.New(cfg)
	defer own.Close()
	if err := own.Probe(t.Context()); err != nil {
		t.Errorf("with a bridge for each owner: %v", err)
	}
}
