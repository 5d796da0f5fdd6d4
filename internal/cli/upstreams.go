package cli

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/chat"
	"composer-api/internal/backend/demo"
	"composer-api/internal/backend/localagent"
	"composer-api/internal/backend/replay"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/config"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/cursor/reach"
	"composer-api/internal/gateway"
	"composer-api/internal/metrics"
)

// unconfigured is the error message for a request when there is no backend for it.
const unconfigured = "No upstream is configured for this address. Install Cursor's bridge with 'composer-api upstream install' and start " +
	"the server again, or start it with --demo to try it without Cursor."

// upstreams are the backends in use, and the names of those for the routes of OpenCode.
// openCodeV2 and openCode are names of backends, which need not exist: a request for one that
// doesn't gets the message unconfigured.
//
// The caller owns the backends: those that are an io.Closer have to be closed.
type upstreams struct {
	backends             []agent.Backend // the one of /v1 first
	openCodeV2, openCode string
}

// names are the names of backends, for the line that serve prints first. The chat endpoint's second name is left out, because
// it is the same endpoint.
func names(backends []agent.Backend) []string {
	var names []string
	for _, b := range backends {
		if b.Name() != openCodeName {
			names = append(names, b.Name())
		}
	}
	return names
}

const (
	localAgentName = "localagent"
	// openCodeName is the chat endpoint in Agent mode, whether there are tools or not.
	openCodeName = "opencode"
)

// demoUpstreams is the only backend of --demo, so that no answer can be mistaken for a model's.
func demoUpstreams() *upstreams {
	b := demo.New(nil)
	return &upstreams{backends: []agent.Backend{b}, openCodeV2: b.Name(), openCode: b.Name()}
}

// newUpstreams makes the backends that are configured. The order decides which serves /v1: the first.
//
//	sdkbridge    if COMPOSER_UPSTREAM asks for it, or if nothing else is configured and it is installed
//	chat         if COMPOSER_UPSTREAM asks for it
//	localagent   if CURSOR_LOCAL_AGENT_ENDPOINT is set
//	chat         if CURSOR_CHAT_ENDPOINT is set
//	bridge       if CURSOR_SDK_BRIDGE_URL is set, for /opencodev2 only
//
// After an error what was made so far is not closed: the command ends.
func newUpstreams(p *process, cfg *config.Config, auth *auth.Client, log *slog.Logger) (*upstreams, error) {
	u := &upstreams{openCodeV2: localAgentName, openCode: openCodeName}
	roots, err := rootCAs(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	// These two come first when nothing is preferred, in this order.
	if cfg.LocalAgentOn() {
		b, err := newLocalAgent(cfg, auth, roots, log)
		if err != nil {
			return nil, err
		}
		u.backends = append(u.backends, b)
	}
	if cfg.ChatOn() {
		// One endpoint is two backends, because a backend's name decides what it asks for.
		plain, agentMode, err := newChat(cfg, auth, roots, log)
		if err != nil {
			return nil, err
		}
		// The first backend serves /v1, so what COMPOSER_UPSTREAM names goes to the front.
		if cfg.Prefer == plain.Name() {
			u.backends = append([]agent.Backend{plain}, append(u.backends, agentMode)...)
		} else {
			u.backends = append(u.backends, plain, agentMode)
		}
	}
	// The bridge is the upstream that needs no settings, so it is what serves when nothing else is configured.
	if wantsSDKBridge(cfg) {
		b, err := newSDKBridge(p, cfg, log)
		if err != nil {
			return nil, err
		}
		if b != nil {
			u.backends = append([]agent.Backend{b}, u.backends...)
			// It stands in for what isn't there.
			if !cfg.LocalAgentOn() {
				u.openCodeV2 = b.Name()
			}
			if !cfg.ChatOn() {
				u.openCode = b.Name()
			}
		}
	}
	// It is never the first, so never that of /v1, unless there is no other.
	if cfg.BridgeURL != "" {
		b, err := newBridge(cfg, auth, log)
		if err != nil {
			return nil, err
		}
		u.backends = append(u.backends, b)
		u.openCodeV2 = b.Name()
	}
	return u, nil
}

// wantsSDKBridge reports whether serve uses Cursor's bridge: when it is asked for, or nothing else is configured.
func wantsSDKBridge(cfg *config.Config) bool {
	return cfg.Prefer == sdkbridge.Name || cfg.Prefer == "" && !cfg.LocalAgentOn() && !cfg.ChatOn()
}

// sources are what the metrics ask the gateway and its backends for.
//
// Metrics ask for them when they are scraped, from any goroutine. A backend that has nothing to
// count is not there, and neither is its metric.
func sources(g *gateway.Gateway, backends []agent.Backend) metrics.Sources {
	s := metrics.Sources{Parked: g.Parked}
	for _, b := range backends {
		switch b := b.(type) {
		case *localagent.Backend:
			s.Connections = b.Connections
		case *sdkbridge.Backend:
			s.Bridges = b.Bridges
		}
	}
	return s
}

// newLocalAgent makes the backend for Cursor's local-agent endpoint. An error is about its address.
func newLocalAgent(cfg *config.Config, auth *auth.Client, roots *x509.CertPool, log *slog.Logger) (agent.Backend, error) {
	b, err := localagent.New(localagent.Config{
		Endpoint: cfg.LocalAgentURL(), ClientVersion: cfg.SDKClientVersion, Auth: auth,
		Transport: localagent.TransportConfig{RootCAs: roots},
		Settle:    cfg.Settle, StartTimeout: cfg.StartTimeout, StallTimeout: cfg.StallTimeout, ProgressTimeout: cfg.ProgressTimeout,
		Log: log,
	})
	if err != nil {
		return nil, &config.Error{Name: "CURSOR_LOCAL_AGENT_ENDPOINT", Problem: err.Error(), Hint: "give a path under CURSOR_BACKEND_BASE_URL, or a whole URL"}
	}
	return b, nil
}

// newChat makes the two backends for the chat endpoint: one chooses its mode by the tools, and the other, for /opencode,
// always asks for Agent mode. They share a transport.
func newChat(cfg *config.Config, auth *auth.Client, roots *x509.CertPool, log *slog.Logger) (plain, agentMode agent.Backend, err error) {
	headers, err := chat.ParseHeaders(cfg.ChatHeaders)
	if err != nil {
		return nil, nil, &config.Error{Name: "COMPOSER_CHAT_HEADERS", Problem: err.Error(), Hint: "write one 'Name: value' a line"}
	}
	c := chat.Config{
		Endpoint: cfg.ChatURL(), ClientVersion: cfg.ClientVersion, Headers: headers, Auth: auth,
		Transport: replay.NewTransport(cfg.ChatURL(), &tls.Config{RootCAs: roots}),
		Log:       log,
		Limits:    replay.Limits{Start: cfg.StartTimeout, Stall: cfg.StallTimeout, Progress: cfg.ProgressTimeout},
	}
	// A copy, so both have the same connections, key exchange and limits.
	forced := c
	forced.Name, forced.ForceAgent = openCodeName, true
	return chat.New(c), chat.New(forced), nil
}

// newHTTPClient makes the client for everything but completions. It uses the environment's
// proxy, and trusts the certificate authorities in file, if there is one, besides the system's.
// It has no timeout of its own: who uses it bounds each request. Each call makes connections of
// its own, so callers that are asked often share one client.
//
// The transport is a copy of the default one, so its limits on idle connections and its HTTP/2
// stay.
func newHTTPClient(file string) (*http.Client, error) {
	roots, err := rootCAs(file)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	transport.OnProxyConnectResponse = reach.Connected
	// A connection whose other end is gone would take every exchange of a key until the system gives it up, a quarter of an hour later.
	transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, WriteByteTimeout: 15 * time.Second}
	return &http.Client{Transport: transport}, nil
}

// newAuth makes the client for key exchange, /v1/me and /v1/models. Without backendBase it exchanges no keys.
//
// client is shared by all requests and not closed.
func newAuth(api *config.PublicAPI, backendBase config.BaseURL, client *http.Client) *auth.Client {
	return auth.New(auth.Config{BackendBase: string(backendBase), APIBase: string(api.APIBase), HTTP: client})
}

// rootCAs is the certificate authorities of the system and of file. Without a file it is nil, which crypto/tls takes for the
// system's. A file that can't be read or holds none is an error: to go on without it would fail later, and less clearly.
func rootCAs(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &config.Error{Name: "COMPOSER_CA_FILE", Problem: err.Error(), Hint: "give a file with certificates in PEM form"}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // an old Windows, where only the file's count
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &config.Error{Name: "COMPOSER_CA_FILE", Problem: "holds no certificate", Hint: "give a file with certificates in PEM form"}
	}
	return pool, nil
}
