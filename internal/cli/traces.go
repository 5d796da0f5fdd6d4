package cli

import (
	"context"
	"fmt"
	"os"

	"composer-api/internal/traces"
)

// Tracing is set up by OpenTelemetry's own variables, so that an operator needs no second set of names.

// newTraces makes the traces that OpenTelemetry's variables ask for; nil for none. The demo never has any: it does not use
// the network. The lines of logs name their trace from then on.
func (c *serveCmd) newTraces(ctx context.Context, p *process, logs *loggers) (*traces.Traces, error) {
	if c.Demo {
		return nil, nil
	}
	// The SDK reads the process's environment alone, and ours may come from a file.
	for name, value := range p.env.Prefixed("OTEL_") {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	t, err := traces.New(ctx, buildVersion(), logs.of("traces"))
	if err != nil {
		return nil, &hinted{fmt.Errorf("can't trace: %w", err), "look at the variables that begin with OTEL_, or set OTEL_SDK_DISABLED=true"}
	}
	// Before any part's logger is made: loggers.of takes the handler as it is then.
	if t != nil {
		logs.handler = traces.LogHandler(logs.handler)
	}
	return t, nil
}
