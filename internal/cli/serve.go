package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"composer-api/internal/config"
)

// serveCmd is the gateway. wire.go puts it together.
type serveCmd struct {
	config.Config `embed:""`
	// Demo replaces the upstreams, the database and everything else outside of this process; no setting of theirs is looked at.
	Demo bool `help:"Answer from the simulator's script engine, without a key and without the network. For trying things out."`
}

// Help is what --help prints below the command's line.
func (serveCmd) Help() string {
	return "Every setting is a flag or a variable. A variable is taken from the environment, from .dev.vars or from .env, in this order. " +
		"Secrets are variables only: " + secretSettings + "."
}

// secretSettings are the settings that have no flag, because other users of the machine could read it: those of the type
// config.Secret.
const secretSettings = "CURSOR_API_KEY, ENCRYPTION_KEY, ENCRYPTION_KEY_PREVIOUS, CURSOR_SDK_BRIDGE_TOKEN, COMPOSER_REPLICA_SECRET, WAITLIST_API_TOKEN"

// Run serves until ctx ends, then shuts down gracefully; see ShutDown for the order. It returns an
// error when it could not start, or can't go on. Settings that are wrong and a port that is taken end
// it before anything is changed. Once it serves, only a listener that fails ends it, beside ctx.
func (c *serveCmd) Run(ctx context.Context, p *process) error {
	p, done := p.withLogQueue(c.LogFormat)
	defer done()
	logs, err := newLoggers(p.stderr, c.LogLevel, c.LogFormat)
	if err != nil {
		return err
	}
	// Nil when nobody collects traces.
	tracing, err := c.newTraces(ctx, p, logs)
	if err != nil {
		return err
	}
	log := logs.of("server")
	// Before wire, which divides what there is.
	limitMemory(memlimit.FromCgroup, log)
	go giveBack(ctx, log)
	l, err := c.open(ctx, p, log)
	if err != nil {
		return err
	}
	defer l.api.Close()
	// Connections are accepted by the kernel from here on and wait until Serve.
	s, err := c.wire(ctx, p, logs, l.api.Addr(), l.peers, tracing)
	if err != nil {
		return err
	}
	return c.serve(ctx, p, s, l, log)
}

// listeners are what serve listens on. All but api may be absent, and are nil then.
type listeners struct {
	api      net.Listener // for clients; before TLS
	secure   *tlsSetup    // how api speaks TLS
	plain    net.Listener // plain HTTP beside TLS
	operator net.Listener // metrics and profiles
	peers    *PeerListener
}

// open opens the listeners. It comes before the store is opened, so that a second gateway on the same port, or a setting that is
// wrong, changes nothing, least of all the database's schema. After an error api is closed; the others the process's end closes.
func (c *serveCmd) open(ctx context.Context, p *process, log *slog.Logger) (_ *listeners, err error) {
	var l listeners
	if l.api, err = listenTCP(ctx, string(c.Addr), "choose another address with --addr or COMPOSER_ADDR, such as 127.0.0.1:8788"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.api.Close()
		}
	}()
	if !c.TLS.On() {
		// By the address that the system gave: COMPOSER_ADDR may hold a name.
		warnOfEverybody(p.stderr, l.api.Addr())
	}
	if l.secure, err = c.newTLS(p, log); err != nil {
		return nil, err
	}
	if l.plain, err = c.listenPlain(ctx); err != nil {
		return nil, err
	}
	if l.operator, err = c.listenForOperator(ctx); err != nil {
		return nil, err
	}
	if l.peers, err = c.listenForReplicas(ctx); err != nil {
		return nil, err
	}
	return &l, nil
}

// serve serves s on the listeners until ctx ends or a listener fails, and shuts everything down.
func (c *serveCmd) serve(ctx context.Context, p *process, s *Instance, l *listeners, log *slog.Logger) error {
	// A place for each writer, so that none is left hanging when another one has ended everything.
	served := make(chan error, 4)
	if l.operator != nil {
		server := newOperatorServer(s.metrics, log)
		// Before ShutDown's defer, and so after it: the operator can watch the turns in progress end.
		defer server.Close()
		go func() { served <- server.Serve(l.operator) }()
	}
	// It runs on both ways out. After a listener that failed there may still be turns in progress.
	defer s.ShutDown(context.WithoutCancel(ctx), c.Grace)
	banner := p.newBanner(l.api.Addr(), clientRoot(&c.Config, l.api.Addr().String()), names(s.backends), c.Demo, s.lends)
	if l.operator != nil {
		banner.metrics = l.operator.Addr()
	}
	// Before the banner: who reads that goes on with 'setup'.
	defer c.leaveNote(p, l.api.Addr(), func(err error) { log.Warn("'setup' and 'status' are not told where this gateway runs", "err", err) })()
	banner.print(p.stderr)
	api := l.api
	if l.secure != nil {
		api = tls.NewListener(l.api, l.secure.config)
	}
	go func() { served <- s.Serve(api) }()
	if l.peers != nil {
		go func() { served <- s.ServeReplicas(l.peers) }()
	}
	if l.plain != nil {
		server := newPlainServer(l.secure.plain, log)
		defer server.Close()
		go func() { served <- server.Serve(l.plain) }()
	}
	select {
	case err := <-served:
		return fmt.Errorf("can't go on serving: %w", err)
	// SIGINT or SIGTERM. The deferred ShutDown does the rest.
	case <-ctx.Done():
		return nil
	}
}

// upstreamsLine is the part of serve's first line that says which upstreams there are.
func upstreamsLine(names []string) string {
	if len(names) == 0 {
		return "no upstream yet: type 'composer-api upstream install', or use --demo"
	}
	return "upstreams: " + strings.Join(names, ", ")
}

// local reports whether addr is on the loopback interface, so that only this machine can reach
// it. httpd then refuses requests for other host names, which a web page could send by DNS
// rebinding. An address that is not one of TCP counts as reachable from elsewhere.
func local(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
