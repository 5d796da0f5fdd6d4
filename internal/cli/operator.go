package cli

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"composer-api/internal/metrics"
)

// listenForOperator opens the operator's own listener; nil when there is none. Its address is never that of the API: what
// it tells is for the operator alone, and it asks for no key.
//
// The caller closes it.
func (c *serveCmd) listenForOperator(ctx context.Context) (net.Listener, error) {
	if c.MetricsAddr == "" {
		return nil, nil
	}
	return listenTCP(ctx, string(c.MetricsAddr), "choose another address with --metrics-addr or COMPOSER_METRICS_ADDR, such as 127.0.0.1:9787")
}

// newOperatorServer serves /metrics and /debug/pprof. The caller closes it. It goes on while the server drains, so that
// Prometheus sees the end.
func newOperatorServer(m *metrics.Metrics, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	// By hand and not by the import of net/http/pprof, which registers itself on the default mux of
	// the process.
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	// No time-out for the answer: a profile may take minutes.
	//
	// Errors of connections are noise here, so they are logged at debug level.
	return &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
}
