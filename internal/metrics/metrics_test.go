package metrics_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/agent/agenttest"
	"composer-api/internal/httpd"
	"composer-api/internal/metrics"
	"composer-api/internal/store"
	"composer-api/internal/store/bounded"
	"composer-api/internal/watch"
)

// scrape is what Prometheus gets.
func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatal(w.Code, err)
	}
	return string(body)
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("there is no %s", line)
		}
	}
}

// turn is a turn with every field that a metric has.
func turn(begun time.Time) *watch.Turn {
	return &watch.Turn{
		Origin: agent.Origin{RequestID: "req_1", Endpoint: "POST /u/{account}/v1/chat/completions", Received: begun.Add(-time.Second)},
		Begun:  begun, Connected: begun.Add(time.Second), FirstToken: begun.Add(2 * time.Second), Ended: begun.Add(3 * time.Second),
		Accepted: agent.Accepted{Upstream: "demo", Resume: agent.ResumeParked, Model: agent.Model{ID: "composer-2.5", Name: "composer-2.5-fast"}, Waited: time.Minute},
		Usage:    agent.Usage{Input: 10, CacheRead: 20, Output: 30, Price: agent.Price{Output: 1_000_000}},
		Done:     agent.Done{Reason: agent.Stop},
	}
}

func TestWhatHappensIsCounted(t *testing.T) {
	m := metrics.New("1.2.3")
	m.Watch(metrics.Sources{
		Parked: func() (int, time.Duration) { return 3, 90 * time.Second }, Connections: func() int { return 4 }, Bridges: func() int { return 5 },
	})
	for range 2 {
		if ctx := t.Context(); m.TurnBegan(ctx, &agent.Origin{}) != ctx {
			t.Error("the context is another")
		}
	}
	m.Gap(3 * time.Millisecond)
	m.TurnEnded(t.Context(), turn(time.Now()))
	m.Retrying(t.Context())
	m.Repairing(t.Context(), agent.RepairJSON)
	m.Unclaimed("expired")
	m.Stored(bounded.Call{Write: true, Took: time.Millisecond, Err: fmt.Errorf("%w: away", store.ErrUnavailable)})
	m.Answered(t.Context(), httpd.Answer{Route: "POST /chat/completions", Status: 503, Err: &agent.Error{Limit: "max_requests"}})
	m.Answered(t.Context(), httpd.Answer{})
	wantLines(t, scrape(t, m),
		`composer_build_info{version="1.2.3"} 1`,
		`composer_turns_in_progress 1`,
		`composer_turns_total{backend="demo",model="composer-2.5-fast",outcome="stop",resume="parked",surface="chat"} 1`,
		`composer_time_to_first_token_seconds_bucket{backend="demo",resume="parked",le="3.0"} 1 # {request_id="req_1"} 3.0`,
		`composer_connect_seconds_sum{backend="demo",resume="parked"} 1`,
		`composer_time_between_tokens_seconds_bucket{le="0.005"} 1`,
		`composer_tool_wait_seconds_sum 60`,
		`composer_tokens_total{kind="cache_read",model="composer-2.5-fast"} 20`,
		`composer_cost_dollars_total{model="composer-2.5-fast"} 30`,
		`composer_repairs_total{reason="json"} 1`,
		`composer_upstream_retries_total 1`,
		`composer_parked_runs 3`,
		`composer_parked_oldest_seconds 90`,
		`composer_parked_runs_ended_total{cause="expired"} 1`,
		`composer_upstream_connections 4`,
		`composer_bridge_children 5`,
		`composer_store_failures_total{operation="write"} 1`,
		`composer_http_requests_total{route="POST /chat/completions",status="503"} 1`,
		`composer_http_requests_total{route="none",status="0"} 1`,
		`composer_limits_hit_total{limit="max_requests"} 1`,
		`composer_limits_hit_total{limit="budget"} 0`,
	)
}

// Clients choose paths, models and request ids; none of them may make a label's values grow.
func TestNoClientCanMakeLabelsGrow(t *testing.T) {
	m := metrics.New("")
	for i := range 500 {
		one := turn(time.Now())
		one.Accepted.Model.Name = fmt.Sprint("model-", i)
		one.Origin.Endpoint = fmt.Sprint("POST /v1/", i)
		one.Origin.RequestID = strings.Repeat("x", 128) // too long for an exemplar
		one.Origin.Trace.Parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		m.TurnEnded(context.Background(), one)
		m.Answered(t.Context(), httpd.Answer{Route: "r", Status: 429, Err: &agent.Error{Limit: fmt.Sprint(i)}})
	}
	text := scrape(t, m)
	if n := strings.Count(text, "\ncomposer_turns_total{"); n != 61 {
		t.Errorf("%d rows for turns, want 60 models and the others", n)
	}
	wantLines(t, text,
		`composer_turns_total{backend="demo",model="other",outcome="stop",resume="parked",surface="other"} 440`,
		`composer_limits_hit_total{limit="other"} 500`,
		`composer_time_to_first_token_seconds_bucket{backend="demo",resume="parked",le="3.0"} 500 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 3.0`,
	)
}

func TestAWordCostsNoAllocation(t *testing.T) {
	m := metrics.New("")
	event := &agent.Event{Kind: agent.Text, Text: []byte("word")}
	inside := func(_ context.Context, _ *agent.Request, sink agent.Sink) error {
		if n := testing.AllocsPerRun(1000, func() { sink.Event(event) }); n != 0 {
			t.Errorf("%v allocations for a word", n)
		}
		return nil
	}
	if err := watch.Turns(agenttest.TurnerFunc(inside), m).Turn(t.Context(), &agent.Request{}, agenttest.Discard{}); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkEvent is what being watched adds to each streamed event.
func BenchmarkEvent(b *testing.B) {
	event := &agent.Event{Kind: agent.Text, Text: []byte("word")}
	b.ReportAllocs()
	watch.Turns(agenttest.TurnerFunc(func(_ context.Context, _ *agent.Request, sink agent.Sink) error {
		for b.Loop() {
			sink.Event(event)
		}
		return nil
	}), metrics.New("")).Turn(b.Context(), &agent.Request{}, agenttest.Discard{})
}
