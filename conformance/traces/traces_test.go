// Package traces has OpenTelemetry's own collector receive what a gateway sends.
package traces

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// The client's spans, one for each request.
const (
	firstTrace, firstSpan   = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	secondTrace, secondSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
)

// What must be in no span.
const (
	secretKey    = "crsr_traces_0123456789"
	secretPrompt = "a prompt that nobody else may see"
	secretResult = "a result that nobody else may see"
)

// A message is one of a chat completion.
type message struct {
	Role       string            `json:"role"`
	Content    string            `json:"content"`
	ToolCalls  []json.RawMessage `json:"tool_calls,omitempty"`
	ToolCallID string            `json:"tool_call_id,omitempty"`
}

// ask sends a chat completion as a part of a trace, and returns the model's message.
func ask(t *testing.T, g *harness.Gateway, requestID, traceparent string, messages ...message) message {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"model": "composer-2.5", "messages": messages,
		"tools": json.RawMessage(`[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]`),
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.BaseURL()+"/chat/completions", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Authorization": "Bearer " + secretKey, "X-Request-Id": requestID,
		"traceparent": traceparent, "tracestate": "vendor=1", "baggage": "secret=" + secretKey,
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", resp.Status, err, text)
	}
	var answer struct{ Choices []struct{ Message message } }
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Choices) != 1 {
		t.Fatalf("%v in %s", err, text)
	}
	return answer.Choices[0].Message
}

// loop is a tool loop of two requests, the second by way of another gateway, if there is one.
func loop(t *testing.T, first, second *harness.Gateway) {
	t.Helper()
	said := message{Role: "user", Content: secretPrompt + "\nsim: text Let me see.\nsim: call look {\"path\":\"a\"}\nsim: text Done.\nsim: usage input=12 output=3 cache_read=4"}
	answer := ask(t, first, "req_first", "00-"+firstTrace+"-"+firstSpan+"-01", said)
	if len(answer.ToolCalls) != 1 {
		t.Fatalf("there is no call in %+v", answer)
	}
	var call struct{ ID string }
	if err := json.Unmarshal(answer.ToolCalls[0], &call); err != nil {
		t.Fatal(err)
	}
	if last := ask(t, second, "req_second", "00-"+secondTrace+"-"+secondSpan+"-01", said, answer, message{Role: "tool", ToolCallID: call.ID, Content: secretResult}); last.Content != "Done." {
		t.Fatalf("the loop ends in %+v", last)
	}
}

func TestACollectorReceivesAToolLoop(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			c := startCollector(t)
			endpoint := c.http
			if protocol == "grpc" {
				endpoint = c.grpc
			}
			sim := harness.StartSim(t, "--calm")
			g := harness.StartReplica(t, sim, []string{
				"COMPOSER_DB=" + t.TempDir() + "/composer.db", "COMPOSER_LOG=info",
				"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol,
				"OTEL_SERVICE_NAME=gateway-of-a-test", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test",
				"OTEL_BSP_SCHEDULE_DELAY=3600000", // nothing is sent before the server ends
			})
			loop(t, g, g)
			g.Stop()
			c.await(t, 2, "req_first", "req_second")
			checkLoop(t, c)

			for _, s := range c.spans() {
				for name, want := range map[string]string{"service.name": "gateway-of-a-test", "deployment.environment.name": "test"} {
					if got, _ := s.resource.Get(name); got.AsString() != want {
						t.Errorf("the resource has %s=%s", name, got.AsString())
					}
				}
			}
			said := c.said(t)
			for _, secret := range []string{secretKey, "nobody else may see", "Let me see", "baggage"} {
				if strings.Contains(said, secret) {
					t.Errorf("%q was sent to the collector", secret)
				}
			}
			for id, trace := range map[string]string{"req_first": firstTrace, "req_second": secondTrace} {
				if line := lineOf(g.Output(), "msg=request id="+id); !strings.Contains(line, " trace_id="+trace) {
					t.Errorf("the log does not name the trace of %s: %q", id, line)
				}
			}
			for _, run := range sim.Runs() {
				for _, name := range []string{"traceparent", "tracestate", "baggage"} {
					// What Cursor's own client sends is a traceparent of zeros.
					if value := strings.Join(run.Header[name], " "); strings.Trim(value, "0-") != "" {
						t.Errorf("Cursor was sent %s: %s", name, value)
					}
				}
			}
		})
	}
}

// checkLoop checks the spans of a loop.
func checkLoop(t *testing.T, c *collector) {
	t.Helper()
	first, second := c.of("req_first"), c.of("req_second")
	if len(first) != 2 || len(second) != 2 {
		t.Fatalf("%d and %d spans", len(first), len(second))
	}
	for i, request := range []span{first[0], second[0]} {
		trace, parent := [2]string{firstTrace, secondTrace}[i], [2]string{firstSpan, secondSpan}[i]
		if request.Name() != "POST /v1/chat/completions" || request.Kind().String() != "Server" || request.TraceID().String() != trace ||
			request.ParentSpanID().String() != parent || request.TraceState().AsRaw() != "vendor=1" {
			t.Errorf("request %d has the span %s %q %s below %s, with the state %q", i, request.Kind(), request.Name(), request.TraceID(), request.ParentSpanID(), request.TraceState().AsRaw())
		}
		request.wants(t, "http.request.method=POST", "http.route=/v1/chat/completions", "http.response.status_code=200")
	}
	for i, turn := range []span{first[1], second[1]} {
		request := [2]span{first[0], second[0]}[i]
		if turn.Name() != "chat composer-2.5" || turn.Kind().String() != "Client" || turn.TraceID() != request.TraceID() || turn.ParentSpanID() != request.SpanID() {
			t.Errorf("turn %d has the span %s %q below %s", i, turn.Kind(), turn.Name(), turn.ParentSpanID())
		}
		turn.wants(t, "gen_ai.operation.name=chat", "gen_ai.provider.name=cursor", "gen_ai.request.model=composer-2.5", "gen_ai.response.model=composer-2.5",
			"gen_ai.conversation.id", "gen_ai.usage.output_tokens", "composer.upstream=localagent", "composer.surface=chat")
	}
	first[1].wants(t, "composer.resume=new", `gen_ai.response.finish_reasons=["tool_calls"]`, "composer.outcome=tool_calls", "composer.calls=1")
	second[1].wants(t, "composer.resume=parked", `gen_ai.response.finish_reasons=["stop"]`, "gen_ai.usage.input_tokens", "composer.calls=0")
	if got := first[1].events(); got != "composer.connect composer.first_token composer.park" {
		t.Errorf("the first turn's events are %s", got)
	}
	if got := second[1].events(); got != "composer.connect composer.resume composer.first_token" {
		t.Errorf("the second turn's events are %s", got)
	}
	links := second[1].Links()
	if links.Len() != 1 || links.At(0).SpanID() != first[1].SpanID() || links.At(0).TraceID() != first[1].TraceID() {
		t.Errorf("the second turn has %d links, and not one to the first", links.Len())
	}
}

// lineOf is the line that contains text.
func lineOf(output, text string) string {
	for line := range strings.Lines(output) {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}

// TestATraceGoesOnWithAnotherReplica: the result comes to a replica that doesn't hold the run.
func TestATraceGoesOnWithAnotherReplica(t *testing.T) {
	c, sim := startCollector(t), harness.StartSim(t, "--calm")
	variables := []string{
		"COMPOSER_DB=" + harness.NewPostgres(t), "ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_REPLICA_SECRET=correct horse battery staple",
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.http, "OTEL_BSP_SCHEDULE_DELAY=50",
	}
	holder := harness.StartReplica(t, sim, variables, "--replica-addr=127.0.0.1:0")
	other := harness.StartReplica(t, sim, variables, "--replica-addr=127.0.0.1:0")
	loop(t, holder, other)
	c.await(t, 3, "req_second")
	spans := c.of("req_second")
	// The one whose parent is the client's is the other replica's; the holder's is below it, and the turn below that.
	above := map[string]string{}
	for _, s := range spans {
		if s.TraceID().String() != secondTrace {
			t.Errorf("%q is part of the trace %s", s.Name(), s.TraceID())
		}
		above[s.SpanID().String()] = s.ParentSpanID().String()
	}
	depth := 0
	for _, s := range spans {
		if s.Kind().String() == "Client" {
			for at := s.SpanID().String(); above[at] != ""; at = above[at] {
				depth++
				if above[at] == secondSpan && depth != 3 {
					t.Errorf("the turn is %d spans below the client's, not 3", depth)
				}
			}
		}
	}
	if depth != 3 {
		t.Errorf("the turn's span is in no line of three: %v", above)
	}
}

// TestACollectorThatIsAwayHurtsNobody: requests are answered, and the server ends in time.
func TestACollectorThatIsAwayHurtsNobody(t *testing.T) {
	sim := harness.StartSim(t, "--calm")
	g := harness.StartReplica(t, sim, []string{
		"COMPOSER_DB=" + t.TempDir() + "/composer.db", "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + harness.FreeAddress(t), "OTEL_BSP_SCHEDULE_DELAY=10",
	})
	for range 20 {
		ask(t, g, "", "", message{Role: "user", Content: "hello"})
	}
	begun := time.Now()
	g.Stop()
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v to end", took)
	}
	if n := strings.Count(g.Output(), "can't be sent") + strings.Count(g.Output(), "could not be sent"); n == 0 || n > 3 {
		t.Errorf("the log has %d lines about it:\n%s", n, g.Output())
	}
}
