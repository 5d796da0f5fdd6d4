package metrics

import "github.com/prometheus/client_golang/prometheus"

// namespace begins the name of every metric of ours. Those of the Go runtime and of the process have their usual names.
const namespace = "composer"

// A factory makes metrics and registers them. A name that is there twice is a bug, and panics at the start.
//
// It is used by New and Watch alone: after the first scrape no metric is added.
type factory struct{ registry *prometheus.Registry }

// counters makes a counter for each combination of labels. A row is there once WithLabelValues has
// been called for it. The names of counters end in _total, as Prometheus asks.
func (f factory) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	f.registry.MustRegister(c)
	return c
}

// counter makes a counter without labels. It is there at 0 from the start.
func (f factory) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	f.registry.MustRegister(c)
	return c
}

// gauge makes a value that goes up and down. Its labels are constant.
func (f factory) gauge(name, help string, labels prometheus.Labels) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels})
	f.registry.MustRegister(g)
	return g
}

// gaugeFunc makes a gauge whose value is asked for at each scrape.
//
// value has to be quick and safe for concurrent use: two scrapes may come at once.
func (f factory) gaugeFunc(name, help string, value func() float64) {
	f.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value))
}

// histogram makes a histogram without labels; buckets are the upper bounds of its buckets, in
// seconds.
func (f factory) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
	f.registry.MustRegister(h)
	return h
}

// histograms makes a histogram for each combination of labels. Each is as many time series as it
// has buckets, so labels have to be few.
func (f factory) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	f.registry.MustRegister(h)
	return h
}
