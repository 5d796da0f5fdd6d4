package traces

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"composer-api/internal/agent"
)

// The settings are the variables of OpenTelemetry's specification, and almost all of them are read by the SDK itself, from the
// process's environment. Here is decided only whether there are traces at all, and which protocol carries them:
//
//	OTEL_SDK_DISABLED=true                                 there are none
//	OTEL_TRACES_EXPORTER=none                              there are none
//	OTEL_TRACES_EXPORTER=otlp                              there are
//	OTEL_EXPORTER_OTLP_ENDPOINT, ..._TRACES_ENDPOINT set   there are
//	none of these                                          there are none, where the specification has otlp as the default
//
// As the specification asks, a value that nobody knows is warned of and passed over: such variables are often meant for
// another program.

// New makes the Traces that the environment asks for; nil when it asks for none. version is the program's. It connects to
// nobody yet. Errors are the exporter's, such as a certificate that can't be read.
func New(ctx context.Context, version string, log *slog.Logger) (*Traces, error) {
	if !asked(log) {
		return nil, nil
	}
	inner, err := newExporter(ctx, log)
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "composer-api"), attribute.String("service.version", version),
		attribute.String("service.instance.id", agent.NewID("", 24)),
	), resource.WithFromEnv()) // the last one counts
	if err != nil { // what could be read is in it
		log.Warn("OTEL_RESOURCE_ATTRIBUTES can't be read as a whole", "err", err)
	}
	// The queue is bounded (OTEL_BSP_MAX_QUEUE_SIZE, 2,048 spans), and what finds no room in it is dropped.
	return newTraces(sdk.NewBatchSpanProcessor(&exporter{SpanExporter: inner, log: log}), about, log), nil
}

// asked reports whether the environment asks for traces.
func asked(log *slog.Logger) bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	switch os.Getenv("OTEL_TRACES_EXPORTER") {
	case "none":
		return false
	case "otlp":
		return true
	case "":
		return first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") != ""
	}
	log.Warn("there are no traces, because OTEL_TRACES_EXPORTER is neither otlp nor none")
	return false
}

// newExporter makes the SDK's exporter for the protocol that is asked for.
func newExporter(ctx context.Context, log *slog.Logger) (sdk.SpanExporter, error) {
	switch first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL") {
	case "grpc":
		return otlptracegrpc.New(ctx)
	case "", "http/protobuf":
	default:
		log.Warn("traces go by http/protobuf, because OTEL_EXPORTER_OTLP_PROTOCOL is neither that nor grpc")
	}
	return otlptracehttp.New(ctx)
}

// first is the value of the first of these variables that is set.
func first(names ...string) string {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}
