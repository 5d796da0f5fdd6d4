package localagent

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/auth"
)

// Config is what a Backend needs. Endpoint and Auth are required.
//
// Every time-out has one default, in backend/retry or here, and internal/cli sets those that
// users may change.
type Config struct {
	// Endpoint is the URL at which the stream is served: "https://…" is reached over HTTP/2 with TLS,
	// "http://…" over HTTP/2 with prior knowledge.
	Endpoint string
	// ClientVersion is the version of Cursor's SDK that we report; "" means
	// agentwire.DefaultClientVersion.
	ClientVersion string
	// Auth exchanges users' keys for access tokens.
	Auth *auth.Client
	// Transport says how connections are made.
	Transport TransportConfig

	// Settle is how long a turn waits for another parallel call after the last one, when upstream
	// hasn't announced how many there are; 0 means DefaultSettle.
	Settle time.Duration
	// StartTimeout is how long upstream may take to accept a request; 0 means retry.StartTimeout.
	StartTimeout time.Duration
	// StallTimeout is how long a stream may be silent while we wait for it; 0 means retry.StallTimeout.
	StallTimeout time.Duration
	// ProgressTimeout is how long a stream may send nothing but heartbeats while we wait for it; 0 means
	// retry.ProgressTimeout.
	ProgressTimeout time.Duration

	// MaxBlobs bounds the bytes that we keep for upstream in one conversation. A conversation
	// that needs more can't be continued later. 0 means 16 MiB. It bounds memory: a parked or
	// remembered conversation keeps all of its blobs.
	MaxBlobs int
	// Log receives what goes wrong with streams, never their content. Nil discards it.
	Log *slog.Logger
}

// DefaultSettle is long enough for parallel calls that upstream sends together, and short enough that a
// client doesn't notice.
const DefaultSettle = 200 * time.Millisecond

// Backend is an agent.Backend and an agent.Restorer. It is safe for concurrent use. All of its runs share its
// connections, the timer that sends their heartbeats, and the encoded tool sets.
//
//	part       shared by all runs                     bounded by
//	pool       the HTTP/2 connections                 TransportConfig.MaxConnections
//	pacer      one timer for all alarms               the number of runs
//	toolsets   tools that requests have in common     maxToolsets, maxToolsetBytes
//
// It keeps no list of its runs: a run lives as long as its owner keeps it.
type Backend struct {
	// cfg has its defaults filled in. endpoint is its address, parsed.
	cfg      Config
	endpoint *url.URL
	pool     *pool
	pacer    *pacer
	toolsets *toolsets
	jitter   func() float64 // from 0 to 1; varies the pauses before retries; nil leaves it to package retry
}

// New makes a Backend. It connects to nothing yet. The caller closes it.
//
// Errors are about the configuration and meant for the operator; that upstream can't be reached
// shows only in Start and Probe.
func New(cfg Config) (*Backend, error) {
	endpoint, err := parseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	pool, err := newPool(endpoint, cfg.Transport)
	if err != nil {
		return nil, err
	}
	cfg.ClientVersion = cmp.Or(cfg.ClientVersion, agentwire.DefaultClientVersion)
	cfg.Settle = cmp.Or(cfg.Settle, DefaultSettle)
	cfg.StartTimeout = cmp.Or(cfg.StartTimeout, retry.StartTimeout)
	cfg.StallTimeout = cmp.Or(cfg.StallTimeout, retry.StallTimeout)
	cfg.ProgressTimeout = cmp.Or(cfg.ProgressTimeout, retry.ProgressTimeout)
	cfg.MaxBlobs = cmp.Or(cfg.MaxBlobs, 16<<20)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Backend{cfg: cfg, endpoint: endpoint, pool: pool, pacer: newPacer(), toolsets: newToolsets()}, nil
}

// parseEndpoint reads the configured endpoint. Errors are for the operator.
func parseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the local-agent endpoint: %w", err)
	case u.Host == "":
		return nil, fmt.Errorf("the local-agent endpoint %q is not a URL", endpoint)
	}
	return u, nil
}

// Name implements agent.Backend. Clients see it in X-Composer-Upstream, and the store keeps it with conversations: never change
// it.
func (b *Backend) Name() string { return "localagent" }

// TakesSystemPrompt implements agent.SystemPrompter.
func (b *Backend) TakesSystemPrompt() {}

// Start implements agent.Backend. It returns when upstream has accepted the run, or after StartTimeout and
// the retries that may follow it. ctx bounds Start alone. The caller closes the run. Errors are *agent.Error.
//
// The run keeps no context of the caller's. A run that upstream has accepted may still be
// refused on its stream; that is an error of Next.
func (b *Backend) Start(ctx context.Context, req *agent.Request) (agent.Run, error) {
	if req.Continue != nil {
		if _, ours := req.Continue.(*conversation); !ours {
			return nil, agent.Errorf(agent.ConversationLost, "The conversation belongs to another upstream.")
		}
	}
	r := newRun(b, req)
	if err := r.connect(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Connections is how many connections to upstream are open. It may be called at any time.
func (b *Backend) Connections() int { return b.pool.size() }

// Close closes every connection, so runs that are under way fail. It closes no run: their owner does. Start must not be called
// afterwards.
func (b *Backend) Close() error {
	b.pool.close()
	return nil
}
