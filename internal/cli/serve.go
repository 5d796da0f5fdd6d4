package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/catalog"
	"composer-api/internal/config"
	"composer-api/internal/cursorauth"
	"composer-api/internal/gateway"
	"composer-api/internal/httpd"
)

type serveCmd struct {
	config.Config `embed:""`
	Demo          bool `help:"Answer from the simulator's script engine, without a key and without the network. For trying things out."`
}

// Help is the detail of --help.
func (serveCmd) Help() string {
	return "Every setting is a flag or a variable. A variable is taken from the environment, from .dev.vars or from .env, in this order. " +
		"Secrets are variables only: ENCRYPTION_KEY, ENCRYPTION_KEY_PREVIOUS, CURSOR_SDK_BRIDGE_TOKEN, WAITLIST_API_TOKEN."
}

// Run serves until ctx ends, then shuts down gracefully.
func (c *serveCmd) Run(ctx context.Context, p *process) error {
	log := newLogger(p.stderr, c.LogLevel.Level)
	gw, server, names, err := c.build(log)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, c.Addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "composer-api listens on http://%s (%s)\n", listener.Addr(), upstreamsLine(names))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("can't go on serving: %w", err)
	case <-ctx.Done():
	}
	c.shutDown(context.WithoutCancel(ctx), log, server, gw)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// build makes everything that serves, and names the upstreams that are on.
func (c *serveCmd) build(log *slog.Logger) (*gateway.Gateway, *httpd.Server, []string, error) {
	auth, err := newAuth(&c.Upstream)
	if err != nil {
		return nil, nil, nil, err
	}
	up, err := c.upstreams(auth)
	if err != nil {
		return nil, nil, nil, err
	}
	models := catalog.Config{Fetch: modelsFrom(auth), Log: log}
	routes := httpd.Config{
		OpenCodeV2: up.openCodeV2, OpenCode: up.openCode,
		MaxRequests: c.MaxRequests, MaxPerOwner: c.MaxPerKey, Log: log,
	}
	if c.Demo {
		models.Fetch = nil
		routes.Keyless = &agent.Caller{Owner: "demo"}
	}
	cat := catalog.New(models)
	gw := gateway.New(gateway.Config{
		Backends: up.backends, Catalog: cat, ParkTimeout: c.ParkTimeout, Unconfigured: unconfigured, Log: log,
	})
	routes.Turns, routes.Models = gw, cat
	return gw, httpd.New(routes), up.names(), nil
}

func (c *serveCmd) upstreams(auth *cursorauth.Client) (*upstreams, error) {
	if c.Demo {
		return demoUpstreams(), nil
	}
	return newUpstreams(&c.Config, auth)
}

// shutDown takes no new turns, lets those that are on finish within the grace period, and ends the runs that wait for
// tool results: their clients will start again from the transcript.
func (c *serveCmd) shutDown(ctx context.Context, log *slog.Logger, server *httpd.Server, gw *gateway.Gateway) {
	log.Info("shutting down", "grace", c.Grace)
	server.Drain()
	patience, cancel := context.WithTimeout(ctx, c.Grace)
	defer cancel()
	if err := gw.Close(patience); err != nil {
		log.Warn("streams were cut off at the end of the grace period")
	}
	// What is left has its last bytes to write.
	const lastBytes = 2 * time.Second
	closing, cancel := context.WithTimeout(ctx, lastBytes)
	defer cancel()
	if err := server.Shutdown(closing); err != nil {
		log.Warn("connections were cut off", "err", err)
	}
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &hinted{fmt.Errorf("can't listen: %w", err), "choose another address with --addr or COMPOSER_ADDR, such as 127.0.0.1:8788"}
	}
	return listener, nil
}

func upstreamsLine(names []string) string {
	if len(names) == 0 {
		return "no upstream: set CURSOR_BACKEND_BASE_URL and CURSOR_LOCAL_AGENT_ENDPOINT, or use --demo"
	}
	return "upstreams: " + strings.Join(names, ", ")
}

func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
