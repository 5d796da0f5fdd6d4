package traces

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// logEvery is how often the log hears of a collector that can't be reached.
const logEvery = time.Minute

// An exporter is the SDK's, whose failures go to our log: at first, and then together, once in a while. Without it the SDK
// would write each of them to standard error, in a form of its own.
//
// mu guards the rest. It is not held while spans are sent.
type exporter struct {
	sdk.SpanExporter
	// log is told of spans that were lost.
	log *slog.Logger

	mu     sync.Mutex
	lost   int       // spans, since the log was told
	logged time.Time // zero before the first failure
}

// ExportSpans implements sdk.SpanExporter. It never fails: nobody could do more about it.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	// The SDK calls it from one goroutine at a time, and bounds it by ctx.
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lost += len(spans)
	if now := time.Now(); e.logged.IsZero() || now.Sub(e.logged) >= logEvery {
		e.log.Warn("traces can't be sent to the collector", "spans", e.lost, "err", err)
		e.lost, e.logged = 0, now
	}
	return nil
}
