package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"composer-api/internal/agent"
	backendbridge "composer-api/internal/backend/bridge"
	"composer-api/internal/backend/replay"
	"composer-api/internal/bridgeserver"
	"composer-api/internal/config"
	"composer-api/internal/cursor/auth"
)

// 'bridge', and the client's side of it. Two programs that may be on different machines:
//
//	composer-api bridge   bridgeCmd: an HTTP server that passes requests on to Cursor (package bridgeserver)
//	composer-api serve    newBridge: the upstream that sends its requests to such a server

// bridgeCmd serves package bridgeserver, a process of its own beside the gateway.
type bridgeCmd struct {
	config.Bridge `embed:""`
}

// Help is what --help prints below the command's line.
func (bridgeCmd) Help() string {
	return "It takes the place of the reference system's bridge, for callers that can't speak HTTP/2 in both directions. The gateway itself needs none. " +
		"Requests may name the configured upstream and those of --allow, nothing else. The token is a variable only: CURSOR_SDK_BRIDGE_TOKEN."
}

// Run serves until ctx ends, and then gives requests in progress five seconds to finish. It
// refuses an address that other machines can reach when there is no token. Requests that last
// longer are cut off. It has no store, no keys of its own and no models.
func (c *bridgeCmd) Run(ctx context.Context, p *process) error {
	if err := bridgeserver.CheckAddress(c.Address(), c.Token.Reveal()); err != nil {
		return &hinted{err, "a token is any long random text that the callers know, too"}
	}
	roots, err := rootCAs(c.CAFile)
	if err != nil {
		return err
	}
	// HTTP2Idle is in milliseconds, like all settings of the reference system's bridge, whose names
	// are kept.
	transport := bridgeserver.NewTransport(&tls.Config{RootCAs: roots}, time.Duration(c.HTTP2Idle)*time.Millisecond)
	defer transport.CloseIdleConnections()
	p, done := p.withLogQueue("text")
	defer done()
	log := newLogger(p.stderr, c.LogLevel.Level)
	// The limit counts for the whole process, so it is set once, before anything large is read.
	limitMemory(memlimit.FromCgroup, log)
	server := bridgeServer(log, bridgeserver.New(bridgeserver.Config{
		BackendBase: string(c.BackendBase), LocalAgentEndpoint: string(c.LocalAgentEndpoint), ClientVersion: c.SDKClientVersion,
		Allow: c.Allow, Token: c.Token.Secret, MaxJSON: int64(c.MaxJSONBytes),
		Timeout: time.Duration(c.RequestTimeout) * time.Millisecond, Transport: transport, Log: log,
	}))
	listener, err := listenTCP(ctx, c.Address(), "choose another address with --host and --port")
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "composer-api bridge listens on http://%s\n", listener.Addr())
	// Buffered: after the signal nobody reads the error of Serve any more.
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("can't go on serving: %w", err)
	case <-ctx.Done():
	}
	// Not a setting: whoever stops a bridge has its callers, who repeat a request that was cut off.
	const grace = 5 * time.Second
	// ctx has ended already, and Shutdown with it would not wait at all.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if server.Shutdown(ending) != nil {
		server.Close() // whoever is still there is cut off
	}
	return nil
}

// bridgeServer is the HTTP server: HTTP/1.1, and HTTP/2 without TLS for clients that know that it is
// there. There is no WriteTimeout, because an answer is a stream; bridgeserver bounds each write. The
// read timeout is for the request's body, which is one JSON document of at most MaxJSONBytes.
func bridgeServer(log *slog.Logger, handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: handler, Protocols: protocols,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		// Without it, net/http writes past the queue of what is printed, and may wait there.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// newBridge makes the upstream that goes through somebody's bridge, such as one that 'composer-api
// bridge' serves. Keys are exchanged here and not there. The bridge's token and the caller's key
// are two things: the token opens the bridge, and what the key was exchanged for opens Cursor.
func newBridge(cfg *config.Config, auth *auth.Client, log *slog.Logger) (agent.Backend, error) {
	client, err := newHTTPClient(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	return backendbridge.New(backendbridge.Config{
		URL: string(cfg.BridgeURL), Token: cfg.BridgeToken.Secret,
		BackendBase: string(cfg.BackendBase), Endpoint: string(cfg.LocalAgentEndpoint), ClientVersion: cfg.SDKClientVersion,
		Auth: auth, Transport: client.Transport, Log: log,
		Limits: replay.Limits{Start: cfg.StartTimeout, Stall: cfg.StallTimeout, Progress: cfg.ProgressTimeout},
	}), nil
}
