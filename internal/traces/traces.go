package traces

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"composer-api/internal/agent"
	"composer-api/internal/httpd"
	"composer-api/internal/watch"
)

// Traces begin and end spans. They are a watch.Observer, and have the methods for httpd.Config. They are safe for concurrent
// use. The caller shuts them down.
//
//	POST /v1/chat/completions                the request's span, below that of the client's traceparent
//	  └─ chat composer-2.5-fast              the turn's; a request of a WebSocket has many
//	       · composer.connect, composer.first_token, composer.park
//	POST /v1/chat/completions
//	  └─ chat composer-2.5-fast              links to the turn that has parked its run
//	       · composer.resume, composer.first_token
type Traces struct {
	// provider has the spans that wait, and sends them; tracer makes new ones.
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	log      *slog.Logger
}

// headers reads and writes traceparent and tracestate. W3C's baggage is left alone: it may hold anything.
var headers propagation.TraceContext

// newTraces makes Traces that give their spans to processor. A nil resource is the SDK's.
func newTraces(processor sdk.SpanProcessor, about *resource.Resource, log *slog.Logger) *Traces {
	options := []sdk.TracerProviderOption{sdk.WithSpanProcessor(processor)}
	if about != nil {
		options = append(options, sdk.WithResource(about))
	}
	provider := sdk.NewTracerProvider(options...) // its sampler is that of OTEL_TRACES_SAMPLER
	return &Traces{provider, provider.Tracer("composer-api"), log}
}

// Shutdown sends what is left, as far as that can be done before ctx ends.
func (t *Traces) Shutdown(ctx context.Context) {
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last traces could not be sent", "err", err)
	}
}

// Begun begins a request's span: it is for httpd.Config.Begun. Whose trace it belongs to, and whether it is sampled, the
// client's traceparent says, unless OTEL_TRACES_SAMPLER is one that doesn't ask.
func (t *Traces) Begun(r *http.Request) (context.Context, agent.Trace) {
	ctx := headers.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, unrouted, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, traceOf(span.SpanContext())
}

// Answered ends a request's span: it is for httpd.Config.Answered. For a request without a span it does nothing.
func (t *Traces) Answered(ctx context.Context, a httpd.Answer) {
	span := trace.SpanFromContext(ctx)
	defer span.End()
	if !span.IsRecording() {
		return
	}
	name, attributes := request(&a)
	span.SetName(name)
	span.SetAttributes(attributes...)
	// OpenTelemetry: what the client did wrong is no error of the server's.
	if a.Status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}

// TurnBegan implements watch.Observer. The turn of a background response outlives its request, and has that one's span as its
// parent all the same.
func (t *Traces) TurnBegan(ctx context.Context, o *agent.Origin) context.Context {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, spanOf(o.Trace))
	}
	ctx, span := t.tracer.Start(ctx, operation(o), trace.WithSpanKind(trace.SpanKindClient))
	o.Trace = traceOf(span.SpanContext())
	return ctx
}

// Gap implements watch.Observer. It does nothing: an event for each piece of text would be too much for a span.
func (*Traces) Gap(time.Duration) {}

// Retrying implements watch.Observer. A span that has ended takes no notice.
func (*Traces) Retrying(ctx context.Context) { trace.SpanFromContext(ctx).AddEvent(retryEvent) }

// Repairing implements watch.Observer.
func (*Traces) Repairing(ctx context.Context, why agent.Repair) {
	trace.SpanFromContext(ctx).AddEvent(repairEvent, trace.WithAttributes(reasonKey.String(string(why))))
}

// TurnEnded implements watch.Observer. The turn knows when each stage was reached, so its events are added here, with these
// times.
func (*Traces) TurnEnded(ctx context.Context, turn *watch.Turn) {
	span := trace.SpanFromContext(ctx)
	defer span.End(trace.WithTimestamp(turn.Ended))
	if !span.IsRecording() {
		return
	}
	if !turn.Connected.IsZero() {
		span.SetName(operation(&turn.Origin) + " " + turn.Accepted.Model.Ran())
		span.AddEvent(connectEvent, trace.WithTimestamp(turn.Connected))
	}
	if turn.Accepted.Resume == agent.ResumeParked {
		parked := turn.Accepted.ParkedBy
		span.AddEvent(resumeEvent, trace.WithTimestamp(turn.Connected), trace.WithAttributes(
			waitedKey.Float64(turn.Accepted.Waited.Seconds()), parkedByKey.String(parked.RequestID)))
		if from := spanOf(parked.Trace); from.IsValid() {
			span.AddLink(trace.Link{SpanContext: from})
		}
	}
	if !turn.FirstToken.IsZero() {
		span.AddEvent(firstTokenEvent, trace.WithTimestamp(turn.FirstToken))
	}
	if turn.Err == nil && turn.Done.Reason == agent.ToolCalls {
		span.AddEvent(parkEvent, trace.WithTimestamp(turn.Ended))
	}
	span.SetAttributes(turnAttributes(turn)...)
	// A client that has left is no failure. The code says enough: an error's text may quote a request.
	if turn.Err != nil && agent.CodeOf(turn.Err) != agent.Canceled {
		span.SetStatus(codes.Error, turn.Outcome())
	}
}

// traceOf is the span as the headers of W3C's Trace Context name it.
func traceOf(span trace.SpanContext) agent.Trace {
	values := propagation.MapCarrier{}
	headers.Inject(trace.ContextWithSpanContext(context.Background(), span), values)
	return agent.Trace{Parent: values["traceparent"], State: values["tracestate"]}
}

// spanOf is the span that such headers name. What can't be read is no span: see trace.SpanContext.IsValid.
func spanOf(t agent.Trace) trace.SpanContext {
	values := propagation.MapCarrier{"traceparent": t.Parent, "tracestate": t.State}
	return trace.SpanContextFromContext(headers.Extract(context.Background(), values))
}
