package bridgeserver

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/replay"
	"composer-api/internal/cursor/agentwire"
)

// Config is what a Server needs.
type Config struct {
	// BackendBase and LocalAgentEndpoint are the upstream of requests that name none
	// (CURSOR_BACKEND_BASE_URL, CURSOR_LOCAL_AGENT_ENDPOINT). The endpoint is a path under the base or
	// a whole URL.
	BackendBase, LocalAgentEndpoint string
	// ClientVersion is used for requests that name none (CURSOR_SDK_CLIENT_VERSION); "" means
	// agentwire.DefaultClientVersion.
	ClientVersion string
	// Allow lists further upstreams that requests may name: whole URLs of endpoints, or bases under which
	// LocalAgentEndpoint is served (COMPOSER_BRIDGE_ALLOW).
	Allow []string
	// Token is what callers must send as their bearer token; a zero one lets everybody in. See CheckAddress.
	Token agent.Secret
	// MaxJSON is how many bytes a request may have; 0 means 1 MiB (CURSOR_SDK_BRIDGE_MAX_JSON_BYTES).
	MaxJSON int64
	// Timeout is how long upstream may take until its answer begins, how long it may then be silent,
	// and how long the caller may take to read (CURSOR_SDK_BRIDGE_REQUEST_TIMEOUT_MS); 0 means 2
	// minutes.
	Timeout time.Duration
	// Transport makes the connections, which must be HTTP/2. Required. See [NewTransport].
	Transport http.RoundTripper
	// Log gets a line for each request, without its content; nil is silence.
	Log *slog.Logger
}

// A Server is the bridge, an http.Handler. It is safe for concurrent use and owns nothing that needs
// closing.
type Server struct {
	// config has its defaults filled in. upstreams says where requests may go.
	config    Config
	upstreams *upstreams
	// blobSecret is what blob encryption keys are derived from. It is random for each process, because
	// no conversation is continued through a bridge.
	blobSecret agent.Secret
	mux        *http.ServeMux
}

// New makes a Server. It connects to nothing yet.
func New(config Config) *Server {
	config.ClientVersion = cmp.Or(config.ClientVersion, agentwire.DefaultClientVersion)
	config.MaxJSON = cmp.Or(config.MaxJSON, 1<<20)
	config.Timeout = cmp.Or(config.Timeout, 2*time.Minute)
	config.Transport = replay.Renewable(config.Transport)
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		config:     config,
		upstreams:  newUpstreams(config.BackendBase, config.LocalAgentEndpoint, config.Allow),
		blobSecret: agent.NewSecret(rand.Text()),
		mux:        http.NewServeMux(),
	}
	s.mux.HandleFunc("GET /health", health)
	s.mux.HandleFunc("POST /sdk", s.sdk)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { errNotFound.write(w) })
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// health answers GET /health, for whoever watches the process. It needs no token and asks nothing of
// upstream.
func health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"ok": true}`+"\n")
}

// sdk answers POST /sdk: it carries one run, and writes one line to the log.
func (s *Server) sdk(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	c := &carrier{server: s, w: w}
	failed := s.serve(c, r)
	log := []any{"duration", time.Since(begin), "frames", c.frames}
	if failed != nil {
		log = append(log, "code", failed.code, "error", failed.err)
		c.fail(failed)
	}
	s.config.Log.Info("bridge", log...)
}

// serve is a request from its token to the end of its stream. The order matters: nothing of the body is
// read before the token is checked.
func (s *Server) serve(c *carrier, r *http.Request) *failure {
	if !s.authorized(r) {
		return &errUnauthorized
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return &errMediaType
	}
	q, failed := readRequest(c.w, r, s.config.MaxJSON)
	if failed != nil {
		return failed
	}
	target, failed := s.upstreams.target(q.BackendBaseURL, q.LocalAgentEndpoint)
	if failed != nil {
		return failed
	}
	return c.carry(r.Context(), q, target)
}

// authorized compares the bearer token with ours. Hashes are compared, in constant time, so that the time
// tells nothing about the token, its length included.
func (s *Server) authorized(r *http.Request) bool {
	if s.config.Token.IsZero() {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.config.Token.Reveal()))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}
