// Package metrics counts what the server does, for Prometheus.
//
// Everything is in a registry of its own, which [New] makes: there is no global state. The values of labels come from fixed
// sets, so that no client can make them grow: see labels.go. Exemplars name the request's id, which is in the log, too.
//
//	httpd ── Answered ──┐
//	watch ── Observer ──┼──► Metrics ──► Handler, GET /metrics
//	store/bounded ──────┘       ▲
//	                            └── Sources: what is asked for at each scrape
package metrics

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"composer-api/internal/agent"
	"composer-api/internal/httpd"
	"composer-api/internal/store"
	"composer-api/internal/store/bounded"
	"composer-api/internal/watch"
)

// Metrics are the counters of one server. Its methods may be called concurrently.
//
// Counting takes some hundred nanoseconds and never fails or waits.
type Metrics struct {
	registry *prometheus.Registry
	models   *names

	requests   *prometheus.CounterVec // by route and status
	moved      *prometheus.CounterVec // by reason
	limits     *prometheus.CounterVec // by limit
	active     prometheus.Gauge
	turns      *prometheus.CounterVec   // by surface, backend, model, outcome and resume
	duration   *prometheus.HistogramVec // by surface and backend
	connect    *prometheus.HistogramVec // by backend and resume
	firstToken *prometheus.HistogramVec // by backend and resume
	// These three have no labels: each would multiply with all buckets.
	queue     prometheus.Histogram
	gap       prometheus.Histogram
	toolWait  prometheus.Histogram
	tokens    *prometheus.CounterVec // by model and kind
	dollars   *prometheus.CounterVec // by model
	repairs   *prometheus.CounterVec // by reason
	retries   prometheus.Counter
	unclaimed *prometheus.CounterVec   // by cause
	store     *prometheus.HistogramVec // by operation
	failures  *prometheus.CounterVec   // by operation
}

// The buckets of the histograms, in seconds.
var (
	// Answers take from milliseconds to a quarter of an hour.
	turnBuckets = []float64{.05, .1, .25, .5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900}
	// A connection and a first word take tens of milliseconds up to half a minute.
	startBuckets = []float64{.01, .025, .05, .1, .2, .4, .8, 1.5, 3, 6, 12, 30}
	// Words follow each other within milliseconds; a gap of a second is a stall.
	gapBuckets = []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 5}
	// A tool may be a person.
	waitBuckets = []float64{.01, .05, .1, .5, 1, 5, 15, 60, 180, 600, 1800}
	// The store is a file or a server nearby; three seconds are its limit.
	storeBuckets = []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3}
)

// New makes Metrics at zero. version is the program's.
//
// Several may be made in one process, for tests: each has a registry of its own.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), models: newNames()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := factory{m.registry}

	f.gauge("build_info", "1, with the version of the program.", prometheus.Labels{"version": version}).Set(1)
	m.requests = f.counters("http_requests_total", "HTTP requests that were answered.", "route", "status")
	m.moved = f.counters("moved_requests_total", "Requests that another replica has answered, by reason.", "reason")
	m.limits = f.counters("limits_hit_total", "Requests that were refused because of one of this server's limits.", "limit")
	m.active = f.gauge("turns_in_progress", "Turns that are being answered.", nil)
	m.turns = f.counters("turns_total", "Turns that have ended.", "surface", "backend", "model", "outcome", "resume")
	m.duration = f.histograms("turn_duration_seconds", "From the request's header to the end of the answer.", turnBuckets, "surface", "backend")
	m.connect = f.histograms("connect_seconds", "From the beginning of a turn until upstream has accepted it.", startBuckets, "backend", "resume")
	m.firstToken = f.histograms("time_to_first_token_seconds", "From the request's header to the first piece of the answer.", startBuckets, "backend", "resume")
	m.queue = f.histogram("queue_seconds", "From the request's header to the beginning of its turn: its body, its key, its limits.", storeBuckets)
	m.gap = f.histogram("time_between_tokens_seconds", "Between two pieces of text of an answer.", gapBuckets)
	m.toolWait = f.histogram("tool_wait_seconds", "How long a parked run has waited for the results with which it was resumed.", waitBuckets)
	m.tokens = f.counters("tokens_total", "Tokens of the turns that have ended well.", "model", "kind")
	m.dollars = f.counters("cost_dollars_total", "What these cost in US dollars, where the price is known.", "model")
	m.repairs = f.counters("repairs_total", "Further attempts of the model that the answer took, by reason.", "reason")
	m.retries = f.counter("upstream_retries_total", "Attempts at upstream after one that has failed.")
	m.unclaimed = f.counters("parked_runs_ended_total", "Parked runs that have ended without tool results.", "cause")
	m.store = f.histograms("store_seconds", "How long calls of the store take.", storeBuckets, "operation")
	m.failures = f.counters("store_failures_total", "Calls of the store that failed because it was away or too slow.", "operation")
	m.begin()
	return m
}

// begin makes the rows of what should be there before it first happens: an alert can't see the first increase of a counter
// that didn't exist.
//
// Combinations of labels that depend on clients and models are not made here: they are too many.
func (m *Metrics) begin() {
	for _, operation := range []string{read, write} {
		m.store.WithLabelValues(operation)
		m.failures.WithLabelValues(operation)
	}
	for _, why := range []string{httpd.MovedHeld, httpd.MovedDraining} {
		m.moved.WithLabelValues(why)
	}
	for _, limit := range limitNames {
		m.limits.WithLabelValues(limit)
	}
	for _, why := range []agent.Repair{agent.RepairToolChoice, agent.RepairJSON, agent.RepairArguments} {
		m.repairs.WithLabelValues(string(why))
	}
	for _, cause := range endings {
		m.unclaimed.WithLabelValues(cause)
	}
}

// Sources are what is asked at each scrape. Nil functions are left out. They are called concurrently with everything.
//
// It is what is there now, as opposed to what has happened; keeping a gauge in step with it would
// need a call at every change.
type Sources struct {
	// Parked is how many runs wait for tool results, and how long the first of them has.
	Parked func() (n int, oldest time.Duration)
	// Connections is how many connections to upstream are open.
	Connections func() int
	// Bridges is how many bridges of Cursor's run.
	Bridges func() int
}

// Watch adds the gauges of s. It is called once, before the first scrape.
func (m *Metrics) Watch(s Sources) {
	f := factory{m.registry}
	if s.Parked != nil {
		f.gaugeFunc("parked_runs", "Runs that wait for tool results.", func() float64 {
			n, _ := s.Parked()
			return float64(n)
		})
		f.gaugeFunc("parked_oldest_seconds", "How long the run that has waited longest for tool results has.", func() float64 {
			_, oldest := s.Parked()
			return oldest.Seconds()
		})
	}
	if s.Connections != nil {
		f.gaugeFunc("upstream_connections", "Open connections to the local-agent endpoint.", func() float64 { return float64(s.Connections()) })
	}
	if s.Bridges != nil {
		f.gaugeFunc("bridge_children", "Processes of Cursor's bridge.", func() float64 { return float64(s.Bridges()) })
	}
}

// Handler answers GET /metrics, in OpenMetrics where the client asks for it.
//
// Exemplars are in the OpenMetrics form alone.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Answered counts an HTTP request.
//
// The route is a pattern and not the address, which has ids in it. A request that fits no route is
// "none". A client that left before there was an answer has the status 0.
func (m *Metrics) Answered(_ context.Context, a httpd.Answer) {
	route := a.Route
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(a.Status)).Inc()
	if a.Moved != "" {
		m.moved.WithLabelValues(a.Moved).Inc()
	}
	var failed *agent.Error
	if errors.As(a.Err, &failed) && failed.Limit != "" {
		m.limits.WithLabelValues(limitName(failed.Limit)).Inc()
	}
}

// TurnBegan implements watch.Observer.
func (m *Metrics) TurnBegan(ctx context.Context, _ *agent.Origin) context.Context {
	m.active.Inc()
	return ctx
}

// Gap implements watch.Observer.
func (m *Metrics) Gap(d time.Duration) { m.gap.Observe(d.Seconds()) }

// TurnEnded implements watch.Observer.
//
//	Received ──► Begun ──► Connected ──► FirstToken ──► Ended
//	   └─ queue ──┘└── connect ──┘
//	   └────────── time to first token ──────┘
//	   └────────────────────── turn duration ─────────┘
//
// A turn that upstream never accepted has "none" for backend, model and resume.
func (m *Metrics) TurnEnded(_ context.Context, t *watch.Turn) {
	m.active.Dec()
	// Without a time of the request the turn counts from its own beginning.
	begun := t.Begun
	if queue := t.Queue(); queue > 0 {
		m.queue.Observe(queue.Seconds())
		begun = t.Origin.Received
	}
	surface, backend, resume, model := surfaceOf(&t.Origin), "none", "none", "none"
	if !t.Connected.IsZero() {
		backend, resume, model = t.Accepted.Upstream, string(t.Accepted.Resume), m.models.of(t.Accepted.Model)
		m.connect.WithLabelValues(backend, resume).Observe(t.Connected.Sub(t.Begun).Seconds())
	}
	m.turns.WithLabelValues(surface, backend, model, t.Outcome(), resume).Inc()
	observe(m.duration.WithLabelValues(surface, backend), t.Ended.Sub(begun), &t.Origin)
	if !t.FirstToken.IsZero() {
		observe(m.firstToken.WithLabelValues(backend, resume), t.FirstToken.Sub(begun), &t.Origin)
	}
	// Waited says how long; for other turns it means nothing.
	if t.Accepted.Resume == agent.ResumeParked {
		m.toolWait.Observe(t.Accepted.Waited.Seconds())
	}
	m.spent(model, &t.Usage)
}

// spent counts a turn's usage. A kind of which there was none gets no row.
//
// u.Input counts what was not in the cache; see agent.Usage for which counts overlap.
func (m *Metrics) spent(model string, u *agent.Usage) {
	for _, k := range []struct {
		kind   string
		tokens int64
	}{{"input", u.Input}, {"cache_read", u.CacheRead}, {"cache_write", u.CacheWrite}, {"output", u.Output}, {"reasoning", u.Reasoning}} {
		if k.tokens > 0 {
			m.tokens.WithLabelValues(model, k.kind).Add(float64(k.tokens))
		}
	}
	if usd := u.CostUSD(); usd > 0 {
		m.dollars.WithLabelValues(model).Add(usd)
	}
}

// Retrying implements watch.Observer.
func (m *Metrics) Retrying(context.Context) { m.retries.Inc() }

// Repairing implements watch.Observer. Those of turns that fail afterwards count, too.
func (m *Metrics) Repairing(_ context.Context, why agent.Repair) {
	m.repairs.WithLabelValues(string(why)).Inc()
}

// Unclaimed counts a parked run that has ended without tool results. There are few causes, all of them ours.
func (m *Metrics) Unclaimed(cause string) { m.unclaimed.WithLabelValues(cause).Inc() }

// The operations of the store.
const (
	read  = "read"
	write = "write"
)

// Stored counts a call of the store.
//
// ErrNotFound and ErrConflict are answers and no failures.
func (m *Metrics) Stored(c bounded.Call) {
	operation := read
	if c.Write {
		operation = write
	}
	m.store.WithLabelValues(operation).Observe(c.Took.Seconds())
	if errors.Is(c.Err, store.ErrUnavailable) {
		m.failures.WithLabelValues(operation).Inc()
	}
}

// maxExemplar is how many characters OpenMetrics allows the labels of an exemplar, their names included.
const maxExemplar = 128

// observe adds d to h, with the request and, where there is one, its trace as the exemplar.
//
// Exemplars link a slow bucket in a graph to a request in the log, and to its trace. A client may choose its request
// id, so a long one is left out instead of making the scrape fail.
func observe(h prometheus.Observer, d time.Duration, o *agent.Origin) {
	labels, room := prometheus.Labels{}, maxExemplar
	for _, label := range []struct{ name, value string }{{"trace_id", o.Trace.Sampled()}, {"request_id", o.RequestID}} {
		if size := len(label.name) + len(label.value); label.value != "" && size <= room {
			labels[label.name] = label.value
			room -= size
		}
	}
	if with, ok := h.(prometheus.ExemplarObserver); ok && len(labels) > 0 {
		with.ObserveWithExemplar(d.Seconds(), labels)
		return
	}
	h.Observe(d.Seconds())
}
