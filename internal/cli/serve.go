package cli

import (
	"context"
	"crypto/tls"
	"fmt"
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
		"Secrets are variables only: CURSOR_API_KEY, ENCRYPTION_KEY, ENCRYPTION_KEY_PREVIOUS, CURSOR_SDK_BRIDGE_TOKEN, COMPOSER_REPLICA_SECRET, WAITLIST_API_TOKEN."
}

// Run serves until ctx ends, then shuts down gracefully; see ShutDown for the order. It returns an
// error when it could not start, or can't go on. Settings that are wrong and a port that is taken end
// it before anything is changed. Once it serves, only a listener that fails ends it, beside ctx.
func (c *serveCmd) Run(ctx context.Context, p *process) error {
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
	paceCollector()
	go giveBack(ctx, log)
	// Listen first, so that a second gateway on the same port changes nothing, least of all the
	// database's schema.
	listener, err := listen(ctx, string(c.Addr))
	if err != nil {
		return err
	}
	defer listener.Close()
	if !c.TLS.On() {
		// By the address that the system gave: COMPOSER_ADDR may hold a name.
		warnOfEverybody(p.stderr, listener.Addr())
	}
	// Three things that may be absent: TLS of our own, plain HTTP beside it, and the operator's address. Each is nil when it is off.
	// All are opened before the store is, so that a setting that is wrong does not change the database.
	secure, err := c.newTLS(p, log)
	if err != nil {
		return err
	}
	plain, err := c.listenPlain(ctx)
	if err != nil {
		return err
	}
	operator, err := c.listenForOperator(ctx)
	if err != nil {
		return err
	}
	// The other replicas' address. serveReplicas serves it; it is nil for a server that is alone.
	peers, err := c.listenForReplicas(ctx)
	if err != nil {
		return err
	}
	// Connections are accepted by the kernel from here on and wait until Serve.
	s, err := c.wire(ctx, p, logs, listener.Addr(), peers, tracing)
	if err != nil {
		return err
	}
	// A place for each writer, so that none is left hanging when another one has ended everything.
	served := make(chan error, 4)
	if operator != nil {
		server := newOperatorServer(s.metrics, log)
		// Before ShutDown's defer, and so after it: the operator can watch the turns in progress end.
		defer server.Close()
		go func() { served <- server.Serve(operator) }()
	}
	// It runs on both ways out. After a listener that failed there may still be turns in progress.
	defer s.ShutDown(context.WithoutCancel(ctx), c.Grace)
	banner := p.newBanner(listener.Addr(), clientRoot(&c.Config, listener.Addr().String()), names(s.backends), c.Demo, s.lends)
	if operator != nil {
		banner.metrics = operator.Addr()
	}
	serving := net.Listener(listener)
	if secure != nil {
		serving = tls.NewListener(listener, secure.config)
	}
	// Before the banner: who reads that goes on with 'setup'.
	defer c.leaveNote(p, listener.Addr(), func(err error) { log.Warn("'setup' and 'status' are not told where this gateway runs", "err", err) })()
	banner.print(p.stderr)
	go func() { served <- s.Serve(serving) }()
	if peers != nil {
		go func() { served <- s.serveReplicas(peers) }()
	}
	if plain != nil {
		server := newPlainServer(secure.plain, log)
		defer server.Close()
		go func() { served <- server.Serve(plain) }()
	}
	select {
	case err := <-served:
		return fmt.Errorf("can't go on serving: %w", err)
	// SIGINT or SIGTERM. The deferred ShutDown does the rest.
	case <-ctx.Done():
		return nil
	}
}

// listen opens a TCP listener, with a hint when it can't. A port of 0 is chosen by the system.
//
// The caller closes it.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &hinted{fmt.Errorf("can't listen: %w", err), "choose another address with --addr or COMPOSER_ADDR, such as 127.0.0.1:8788"}
	}
	return listener, nil
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
