package traces

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"composer-api/conformance/harness"
)

// A collector is OpenTelemetry's own receiver for OTLP, with a place for what it has received.
type collector struct {
	*consumertest.TracesSink
	http, grpc string // URLs
}

// startCollector starts one. It ends with the test.
func startCollector(t *testing.T) *collector {
	t.Helper()
	byHTTP, byGRPC := harness.FreeAddress(t), harness.FreeAddress(t)
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*otlpreceiver.Config)
	config.Protocols.HTTP.GetOrInsertDefault().ServerConfig.NetAddr.Endpoint = byHTTP
	config.Protocols.GRPC.GetOrInsertDefault().NetAddr.Endpoint = byGRPC
	c := &collector{new(consumertest.TracesSink), "http://" + byHTTP, "http://" + byGRPC}
	receiver, err := factory.CreateTraces(t.Context(), receivertest.NewNopSettings(factory.Type()), config, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := receiver.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { receiver.Shutdown(t.Context()) })
	return c
}

// A span is one that has arrived, with its resource.
type span struct {
	ptrace.Span
	resource pcommon.Map
}

// spans are those that have arrived.
func (c *collector) spans() []span {
	var all []span
	for _, batch := range c.AllTraces() {
		for _, r := range batch.ResourceSpans().All() {
			for _, s := range r.ScopeSpans().All() {
				for _, one := range s.Spans().All() {
					all = append(all, span{one, r.Resource().Attributes()})
				}
			}
		}
	}
	return all
}

// of are the spans of a request, by its id: the request's first, then its turn's.
func (c *collector) of(requestID string) []span {
	var found []span
	for _, s := range c.spans() {
		if s.text("composer.request_id") == requestID {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b span) int { return int(a.Kind()) - int(b.Kind()) }) // server before client
	return found
}

// await waits until the spans of the requests are there: so many of each.
func (c *collector) await(t *testing.T, each int, requestIDs ...string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for _, id := range requestIDs {
		for len(c.of(id)) < each {
			if time.Now().After(deadline) {
				t.Fatalf("the collector has %d spans, and of %s only %d", c.SpanCount(), id, len(c.of(id)))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// text is an attribute as a string; "" when there is none.
func (s span) text(name string) string {
	if v, ok := s.Attributes().Get(name); ok {
		return v.AsString()
	}
	return ""
}

// events are the names of its events, in the order of their times.
func (s span) events() string {
	all := slices.Collect(func(yield func(ptrace.SpanEvent) bool) {
		for _, e := range s.Events().All() {
			if !yield(e) {
				return
			}
		}
	})
	slices.SortStableFunc(all, func(a, b ptrace.SpanEvent) int { return int(a.Timestamp()) - int(b.Timestamp()) })
	var names []string
	for _, e := range all {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// wants checks attributes, written NAME=VALUE; an empty VALUE is one that is not empty.
func (s span) wants(t *testing.T, attributes ...string) {
	t.Helper()
	for _, a := range attributes {
		name, want, _ := strings.Cut(a, "=")
		if got := s.text(name); got != want && (want != "" || got == "") {
			t.Errorf("the span %q has %s=%s, not %q", s.Name(), name, got, want)
		}
	}
}

// said is everything that was received, as text.
func (c *collector) said(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, batch := range c.AllTraces() {
		text, err := new(ptrace.JSONMarshaler).MarshalTraces(batch)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", text)
	}
	return b.String()
}
