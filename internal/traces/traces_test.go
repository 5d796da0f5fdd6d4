package traces

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"composer-api/internal/agent"
	"composer-api/internal/agent/agenttest"
	"composer-api/internal/httpd"
	"composer-api/internal/watch"
)

// recorded makes Traces whose spans are kept as they end.
func recorded(t *testing.T) (*Traces, *tracetest.SpanRecorder) {
	t.Helper()
	kept := tracetest.NewSpanRecorder()
	traces := newTraces(kept, nil, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { traces.Shutdown(context.Background()) })
	return traces, kept
}

// theirs is a client's span.
const theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// request carries out one request whose turn is turns, and returns the context of its span.
func (t *Traces) request(turns agent.Turner, id string) (ctx context.Context, origin agent.Origin) {
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions?key=crsr_secret", strings.NewReader("a prompt"))
	r.Header.Set("Traceparent", theirs)
	r.Header.Set("Tracestate", "vendor=1")
	ctx, trace := t.Begun(r)
	req := &agent.Request{
		ModelName: "crsr_a key in the wrong place", Caller: agent.Caller{CursorKey: agent.NewSecret("crsr_secret")},
		Origin: agent.Origin{RequestID: id, Endpoint: "POST /v1/chat/completions", Received: time.Now(), Trace: trace},
	}
	err := watch.Turns(turns, t).Turn(ctx, req, agenttest.Discard{})
	status := http.StatusOK
	if err != nil {
		status = http.StatusBadGateway
	}
	t.Answered(ctx, httpd.Answer{RequestID: id, Endpoint: "POST /v1/chat/completions", Status: status, Err: err})
	return ctx, req.Origin
}

// said is a span in one line and its events.
func said(span sdk.ReadOnlySpan, begun time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", span.SpanKind(), span.Name())
	for _, a := range span.Attributes() {
		fmt.Fprintf(&b, "\n\t%s=%s", a.Key, a.Value.String())
	}
	for _, e := range span.Events() {
		fmt.Fprintf(&b, "\n\t· %s +%v", e.Name, e.Time.Sub(begun))
		for _, a := range e.Attributes {
			fmt.Fprintf(&b, " %s=%s", a.Key, a.Value.String())
		}
	}
	return b.String() + "\n"
}

func TestAToolLoopIsTwoTracesThatAreLinked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		traces, kept := recorded(t)
		model := agent.Model{ID: "composer-2.5", Name: "composer-2.5-fast"}
		begun := time.Now()
		_, first := traces.request(agenttest.TurnerFunc(func(_ context.Context, req *agent.Request, sink agent.Sink) error {
			time.Sleep(time.Second)
			req.Watcher.Retrying()
			time.Sleep(time.Second)
			sink.Accept(agent.Accepted{Upstream: "demo", Resume: agent.ResumeNew, Model: model, ConversationID: "conv_1"})
			time.Sleep(time.Second)
			sink.Event(&agent.Event{Kind: agent.Text, Text: []byte("what the model says")})
			sink.Event(&agent.Event{Kind: agent.Call, Call: &agent.ToolCall{ID: "call_1", Name: "a tool's name", Arguments: []byte(`{"a":"secret"}`)}})
			sink.Event(&agent.Event{Kind: agent.UsageKind, Usage: &agent.Usage{Input: 3, CacheRead: 4, CacheWrite: 5, Output: 2, Price: agent.Price{Output: 1_000_000}}})
			return sink.Event(&agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.ToolCalls}})
		}), "req_1")
		parked := time.Now()
		_, second := traces.request(agenttest.TurnerFunc(func(_ context.Context, req *agent.Request, sink agent.Sink) error {
			req.Watcher.Repairing(agent.RepairJSON)
			sink.Accept(agent.Accepted{Upstream: "demo", Resume: agent.ResumeParked, Model: model, Waited: time.Minute, ParkedBy: first})
			sink.Event(&agent.Event{Kind: agent.Text, Text: []byte("what the model says")})
			return sink.Event(&agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}})
		}), "req_2")

		spans := kept.Ended() // in the order of their ends
		if len(spans) != 4 {
			t.Fatalf("%d spans", len(spans))
		}
		got := said(spans[0], begun) + said(spans[1], begun) + said(spans[2], parked) + said(spans[3], parked)
		const want = `client chat composer-2.5-fast
	gen_ai.operation.name=chat
	gen_ai.provider.name=cursor
	composer.request_id=req_1
	composer.surface=chat
	composer.outcome=tool_calls
	gen_ai.response.finish_reasons=["tool_calls"]
	gen_ai.request.model=composer-2.5-fast
	gen_ai.response.model=composer-2.5
	composer.upstream=demo
	composer.resume=new
	composer.calls=1
	gen_ai.usage.input_tokens=12
	gen_ai.usage.output_tokens=2
	gen_ai.conversation.id=conv_1
	gen_ai.usage.cache_read.input_tokens=4
	gen_ai.usage.cache_creation.input_tokens=5
	composer.cost_usd=2
	· composer.retry +1s
	· composer.connect +2s
	· composer.first_token +3s
	· composer.park +3s
server POST /v1/chat/completions
	composer.request_id=req_1
	http.response.status_code=200
	http.request.method=POST
	http.route=/v1/chat/completions
client chat composer-2.5-fast
	gen_ai.operation.name=chat
	gen_ai.provider.name=cursor
	composer.request_id=req_2
	composer.surface=chat
	composer.outcome=stop
	gen_ai.response.finish_reasons=["stop"]
	gen_ai.request.model=composer-2.5-fast
	gen_ai.response.model=composer-2.5
	composer.upstream=demo
	composer.resume=parked
	composer.calls=0
	gen_ai.usage.input_tokens=0
	gen_ai.usage.output_tokens=0
	· composer.repair +0s composer.repair.reason=json
	· composer.connect +0s
	· composer.resume +0s composer.parked_seconds=60 composer.parked_by.request_id=req_1
	· composer.first_token +0s
server POST /v1/chat/completions
	composer.request_id=req_2
	http.response.status_code=200
	http.request.method=POST
	http.route=/v1/chat/completions
`
		if got != want {
			t.Errorf("the spans say\n%s\nand not\n%s", got, want)
		}
		for i, turn := range []agent.Origin{first, second} {
			if from := spanOf(turn.Trace); !from.Equal(spans[2*i].SpanContext().WithRemote(true)) {
				t.Errorf("turn %d is known as %+v", i, turn.Trace)
			}
			if spans[2*i].Parent().SpanID() != spans[2*i+1].SpanContext().SpanID() {
				t.Errorf("turn %d is not below its request", i)
			}
			if parent := traceOf(spans[2*i+1].Parent()); parent.Parent != theirs || parent.State != "vendor=1" {
				t.Errorf("request %d is not below the client's span, but below %+v", i, parent)
			}
		}
		if links := spans[2].Links(); len(links) != 1 || links[0].SpanContext.SpanID() != spans[0].SpanContext().SpanID() {
			t.Errorf("the second turn links to %+v", links)
		}
	})
}

func TestAFailedTurnSaysItsCodeAndNotItsWords(t *testing.T) {
	for code, status := range map[agent.Code]codes.Code{agent.Upstream: codes.Error, agent.Canceled: codes.Unset} {
		traces, kept := recorded(t)
		traces.request(agenttest.TurnerFunc(func(context.Context, *agent.Request, agent.Sink) error {
			return &agent.Error{Code: code, Message: "your prompt was: secret"}
		}), "req_1")
		for _, span := range kept.Ended()[:1] {
			if span.Status().Code != status || strings.Contains(said(span, time.Now())+span.Status().Description, "secret") {
				t.Errorf("%v: %+v", code, span.Status())
			}
			if !slices.Contains(span.Attributes(), errorKey.String(code.String())) {
				t.Errorf("%v is not named: %s", code, said(span, time.Now()))
			}
		}
	}
}

// The turn of a background response has a context that knows nothing of its request.
func TestATurnInTheBackgroundIsBelowItsRequest(t *testing.T) {
	traces, kept := recorded(t)
	req := &agent.Request{Origin: agent.Origin{Endpoint: "POST /v1/responses", Trace: agent.Trace{Parent: theirs}}}
	watch.Turns(agenttest.TurnerFunc(func(context.Context, *agent.Request, agent.Sink) error { return nil }), traces).Turn(t.Context(), req, agenttest.Discard{})
	if parent := traceOf(kept.Ended()[0].Parent()); parent.Parent != theirs {
		t.Errorf("its parent is %+v", parent)
	}
}

func TestARequestThatFitsNoRouteHasNoWordOfTheClients(t *testing.T) {
	traces, kept := recorded(t)
	ctx, _ := traces.Begun(httptest.NewRequest("BREW", "/secret", nil))
	traces.Answered(ctx, httpd.Answer{RequestID: "req_1", Status: http.StatusNotFound, Err: &agent.Error{Code: agent.NotFound}})
	traces.Answered(t.Context(), httpd.Answer{}) // a probe: it has no span
	const want = "server HTTP\n\tcomposer.request_id=req_1\n\thttp.response.status_code=404\n\terror.type=not_found\n\thttp.request.method=_OTHER\n"
	if got := said(kept.Ended()[0], time.Now()); got != want || len(kept.Ended()) != 1 {
		t.Errorf("the span says\n%s", got)
	}
}

func TestTheLogNamesTheTrace(t *testing.T) {
	traces, _ := recorded(t)
	ctx, trace := traces.Begun(httptest.NewRequest(http.MethodPost, "/", nil))
	var out strings.Builder
	log := slog.New(LogHandler(slog.NewTextHandler(&out, nil))).With("part", "httpd")
	log.InfoContext(ctx, "request")
	log.Info("another")
	lines := strings.Split(out.String(), "\n")
	if want := "msg=request part=httpd trace_id=" + strings.Split(trace.Parent, "-")[1]; !strings.HasSuffix(lines[0], want) {
		t.Errorf("%q does not end in %q", lines[0], want)
	}
	if !strings.HasSuffix(lines[1], "msg=another part=httpd") {
		t.Errorf("%q names a trace", lines[1])
	}
}

// broken is a collector that can't be reached.
type broken struct{ sdk.SpanExporter }

func (broken) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { return errors.New("refused") }

func TestACollectorThatIsAwayIsLoggedOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		e := &exporter{SpanExporter: broken{}, log: slog.New(slog.NewTextHandler(&out, nil))}
		for range 25 { // every five seconds
			if err := e.ExportSpans(t.Context(), make([]sdk.ReadOnlySpan, 10)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
		}
		var spans []string
		for line := range strings.Lines(out.String()) {
			spans = append(spans, line[strings.Index(line, "spans="):])
		}
		if got := strings.Join(spans, ""); got != "spans=10 err=refused\nspans=120 err=refused\nspans=120 err=refused\n" {
			t.Errorf("the log has\n%s", &out)
		}
	})
}

func TestTheEnvironmentDecides(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, test := range map[string]struct {
		env    map[string]string
		on     bool
		warned string
	}{
		"nothing":            {nil, false, ""},
		"an endpoint":        {map[string]string{endpoint: "http://127.0.0.1:1"}, true, ""},
		"one for traces":     {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}, true, ""},
		"the exporter":       {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		"no exporter":        {map[string]string{"OTEL_TRACES_EXPORTER": "none", endpoint: "http://127.0.0.1:1"}, false, ""},
		"disabled":           {map[string]string{"OTEL_SDK_DISABLED": "TRUE", endpoint: "http://127.0.0.1:1"}, false, ""},
		"another exporter":   {map[string]string{"OTEL_TRACES_EXPORTER": "console", endpoint: "http://127.0.0.1:1"}, false, "OTEL_TRACES_EXPORTER"},
		"grpc":               {map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", endpoint: "http://127.0.0.1:1"}, true, ""},
		"another protocol":   {map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", endpoint: "http://127.0.0.1:1"}, true, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"resource attribute": {map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "nonsense", endpoint: "http://127.0.0.1:1"}, true, "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, name := range []string{endpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_RESOURCE_ATTRIBUTES"} {
				t.Setenv(name, test.env[name])
			}
			var out strings.Builder
			traces, err := New(t.Context(), "1.0", slog.New(slog.NewTextHandler(&out, nil)))
			if err != nil {
				t.Fatal(err)
			}
			if traces != nil {
				traces.Shutdown(t.Context())
			}
			if (traces != nil) != test.on || (test.warned == "") != (out.String() == "") || !strings.Contains(out.String(), test.warned) {
				t.Errorf("on is %v, and the log has %q", traces != nil, &out)
			}
		})
	}
}
