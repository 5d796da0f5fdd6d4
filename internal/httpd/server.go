package httpd

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// Config is what a Server needs.
type Config struct {
	// Surfaces are the routes of the surfaces. They are mounted below each base (/v1, /u/{account}/v1, …); a pattern
	// is a method and a path below the base, "POST /responses".
	Surfaces []api.Route
	// Routes are the routes outside the bases; a pattern is a method and the whole path.
	Routes []api.Route
	// Home answers GET / for web browsers; programs get a line of JSON there. Nil answers browsers like programs.
	Home api.Handler
	// ErrorForms are forms of errors other than OpenAI's; the first that fits a request is used.
	ErrorForms []api.ErrorForm
	// ResolveKey finds whom a hosted key (cmp_…) belongs to. An unknown or revoked one is an *agent.Error with code
	// InvalidKey. Nil means that there are no hosted keys.
	ResolveKey func(ctx context.Context, token string) (agent.Caller, error)
	// Keyless, when not nil, is the caller of requests without a key. Nil refuses such requests.
	Keyless *agent.Caller
	// Local, when not nil, lends the server's own Cursor key to whoever sends its token.
	Local *LocalKey
	// LocalOnly says that the listener is on the loopback interface: requests for another host than this machine and
	// Hosts are answered 403.
	LocalOnly bool
	// Hosts are other names of the server, in lower case and without a port; web pages of these hosts need no key
	// where none is asked for. "*" is every name.
	Hosts []string
	// OpenCodeV2 and OpenCode name the upstreams of /opencodev2 and /opencode; "" is the default.
	OpenCodeV2, OpenCode string
	// MaxRequests bounds the turns in progress, and MaxPerOwner those of one owner; 0 is no limit.
	MaxRequests, MaxPerOwner int
	// MaxBody bounds a request body, decompressed; 0 means 32 MB.
	MaxBody int64
	// Bounds are how much of each kind of thing a request may hold.
	Bounds openai.Bounds
	// BodyMemory bounds the request bodies that are being read and decoded, together and decompressed, in bytes; 0 means 256 MB.
	// It is at least MaxBody.
	BodyMemory int64
	// PingStore reports whether the store answers; /readyz shows it. Nil means that there is no store.
	PingStore func(context.Context) error
	// PingUpstream reports whether the upstream of /v1 can be reached, for /readyz. It needs no key. NotConfigured says that
	// there is none. Nil means that there is none to ask.
	PingUpstream func(context.Context) error
	// Peers are the other replicas of this server; nil when there are none.
	Peers Peers
	// Begun, when not nil, is told of every request but the probes' when its header has been read. It returns the request's
	// context from then on, and the span that it has begun for it.
	Begun func(*http.Request) (context.Context, agent.Trace)
	// Answered, when not nil, is told of every request once it is over. ctx is that of Begun.
	Answered func(ctx context.Context, a Answer)
	// Log receives one line a request, without content and keys. Nil discards it.
	Log *slog.Logger
}

// A Server answers HTTP requests. It owns the listener's connections, not the gateway. Its methods may be called
// concurrently.
type Server struct {
	// cfg has its defaults filled in and doesn't change.
	cfg      Config
	http     *http.Server
	draining atomic.Bool
	turns    atomic.Int64 // under way in this process
	passing  atomic.Int64 // that came while it drains, and are (or may be) another replica's
	// limits count turns; budget counts the bytes of bodies.
	limits limits
	budget *budget
	words  words // of paths, for the log
}

const (
	// defaultMaxBody is the largest body, in bytes, once it is decompressed.
	defaultMaxBody = 32 << 20
	// defaultBodyMemory is for all bodies together, in bytes.
	defaultBodyMemory = 256 << 20
	// headerTimeout ends connections that never send a request, idleTimeout those that have stopped
	// sending them.
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	// maxHeader bounds a request's header, in bytes. It is read before anybody knows who asks; net/http's own bound is 1 MB, which
	// with a thousand connections is all the memory of a small machine. More is answered 431.
	maxHeader = 64 << 10
)

// New makes a Server. It serves nothing until Serve, but Handler may be used at once. The caller shuts it down.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = defaultMaxBody
	}
	s := &Server{cfg: cfg, budget: newBudget(cmp.Or(cfg.BodyMemory, defaultBodyMemory), cfg.MaxBody), limits: limits{max: cfg.MaxRequests, maxPerOwner: cfg.MaxPerOwner, byOwner: make(map[string]int)}}
	s.words = newWords(s.patterns())
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true) // of a listener that speaks TLS
	s.http = &http.Server{
		Handler: chain(s.routes(),
			s.observe,       // outermost, so that every answer has an id and a line in the log
			s.recoverPanics, // inside observe, which logs the 500 that it makes
			s.checkHost,     // outside cors: a page that has taken on our name is to read nothing
			cors,            // before routing: a preflight succeeds on every path, and an error carries the headers too
			cleanPath,       // last before the router
		),
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// No WriteTimeout: a stream may run for an hour. Each write has a deadline of its own, see sse.Writer and response.
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// chain wraps h in the middleware. The first of them is outermost, so it sees a request first.
func chain(h http.Handler, middleware ...func(http.Handler) http.Handler) http.Handler {
	for i := len(middleware) - 1; i >= 0; i-- {
		h = middleware[i](h)
	}
	return h
}

// Handler is the whole server as a handler.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Serve answers the connections of l, with HTTP/1.1 or HTTP/2 (by ALPN over TLS, else with prior knowledge), until Shutdown. It
// closes l. The error is http.ErrServerClosed after Shutdown.
func (s *Server) Serve(l net.Listener) error {
	return s.http.Serve(&accepting{Listener: l, log: s.cfg.Log})
}

// Drain makes the server take no new turns and report that it is not ready: what comes is sent to another replica
// (Config.Peers), or refused with 503. Turns in progress go on. There is no way back.
func (s *Server) Drain() { s.draining.Store(true) }

// Draining reports whether Drain was called.
func (s *Server) Draining() bool { return s.draining.Load() }

// Turns is how many turns are under way in this process.
func (s *Server) Turns() int { return int(s.turns.Load()) }

// Passing is how many turns that came while the server drains are on their way through it to other replicas.
func (s *Server) Passing() int { return int(s.passing.Load()) }

// StopListening closes the listener and the connections that nobody uses, and makes each of the others end with the answer
// that is on it. Requests in progress go on until Shutdown.
func (s *Server) StopListening() {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.http.Shutdown(ended) // it waits for nothing, so it says that something is left
}

// Shutdown closes the listener, waits for the requests in progress and, when ctx ends first, cuts them off and returns
// ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	return err
}
