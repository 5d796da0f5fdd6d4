package costtest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/agent/agenttest"
	"composer-api/internal/metrics"
	"composer-api/internal/traces"
	"composer-api/internal/watch"
)

// newTraces makes traces that are sent to a collector, which takes and forgets them.
func newTraces(t testing.TB) *traces.Traces {
	t.Helper()
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	setenv(t, "OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	made, err := traces.New(t.Context(), "", slog.New(slog.DiscardHandler))
	if err != nil || made == nil {
		t.Fatal("there are no traces: ", err)
	}
	t.Cleanup(func() {
		made.Shutdown(context.Background())
		collector.Close()
	})
	return made
}

// setenv is for tests and for benchmarks.
func setenv(t testing.TB, name, value string) {
	t.(interface{ Setenv(name, value string) }).Setenv(name, value)
}

// A speaker is a Turner whose turns are so many words.
type speaker int

func (n speaker) Turn(_ context.Context, _ *agent.Request, sink agent.Sink) error {
	word := agent.Event{Kind: agent.Text, Text: []byte("word ")}
	if err := sink.Accept(agent.Accepted{Upstream: "demo", Resume: agent.ResumeNew, Model: agent.Model{ID: "composer-2.5"}}); err != nil {
		return err
	}
	for range n {
		if err := sink.Event(&word); err != nil {
			return err
		}
	}
	return sink.Event(&agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}})
}

// watched are the same turns with different watchers.
func watched(t testing.TB, words int) []struct {
	name  string
	turns agent.Turner
} {
	return []struct {
		name  string
		turns agent.Turner
	}{
		{"nobody", speaker(words)},
		{"metrics", watch.Turns(speaker(words), watch.All{metrics.New("")})},
		{"traces", watch.Turns(speaker(words), watch.All{metrics.New(""), newTraces(t)})},
	}
}

// do carries out n turns, each of a request of its own.
func do(turns agent.Turner, n int) {
	for range n {
		req := &agent.Request{Origin: agent.Origin{RequestID: "req_1", Endpoint: "POST /v1/chat/completions"}}
		turns.Turn(context.Background(), req, agenttest.Discard{})
	}
}

// What is told of a turn that nobody traces: the sink and the watcher of the turn, and what the metrics need at its end.
func TestATurnThatIsWatchedAllocatesLittle(t *testing.T) {
	for _, w := range watched(t, 10)[:2] {
		n := testing.AllocsPerRun(1000, func() { do(w.turns, 1) })
		t.Logf("%s: %v allocations", w.name, n)
		if w.name == "metrics" && n > 35 { // there are 28
			t.Errorf("%v allocations a turn", n)
		}
	}
}

// BenchmarkWatchers is what a turn of 1,000 words costs, and its end alone, with nobody who watches, with metrics, and with
// metrics and traces. The three take turns, so that what else a machine does meets all alike, and of each the quickest round
// counts.
func BenchmarkWatchers(b *testing.B) {
	for _, words := range []int{1, 1001} {
		b.Run(fmt.Sprintf("%d words", words), func(b *testing.B) {
			all := watched(b, words)
			times := make([][]time.Duration, len(all))
			objects := make([]uint64, len(all))
			const turns = 10 // a round is shorter than what a scheduler lets run
			for b.Loop() {
				for i, w := range all {
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					begun := time.Now()
					do(w.turns, turns)
					times[i] = append(times[i], time.Since(begun)/turns)
					runtime.ReadMemStats(&after)
					objects[i] = (after.Mallocs - before.Mallocs) / turns
				}
			}
			b.ReportMetric(0, "ns/op") // of all three together: it says nothing
			for i, w := range all {
				b.ReportMetric(float64(slices.Min(times[i]).Nanoseconds()), w.name+"-ns/turn")
				b.ReportMetric(float64(objects[i]), w.name+"-allocs/turn")
			}
		})
	}
}
