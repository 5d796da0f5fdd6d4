package localagent

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/reach"
	"composer-api/internal/h2client"
)

// TransportConfig says how connections are made. Its zero value is right for most.
type TransportConfig struct {
	// Proxy chooses the proxy of an https endpoint; nil means HTTPS_PROXY and NO_PROXY of the environment. An http
	// endpoint is never reached through a proxy, because HTTP/2 without TLS can't be.
	Proxy func(*http.Request) (*url.URL, error)
	// RootCAs are the certificate authorities to trust; nil means the system's.
	RootCAs *x509.CertPool
	// Dial makes connections; nil means the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Spread is how many streams a connection gets before another is opened beside it; 0 means 50. Servers allow about
	// a hundred, and a connection that breaks takes all of its streams with it.
	Spread int
	// MaxConnections bounds the connections; 0 means 1,000.
	MaxConnections int
}

// The time-outs and bounds of one connection. That a connection's other end is gone is found out by sendPingAfter and
// pingTimeout, 30 s after its last byte.
const (
	// Upstream sends heartbeats on open streams, so silence says that something is wrong.
	sendPingAfter = 15 * time.Second // of silence on a connection
	pingTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second // without a byte getting out
	idleTimeout   = 5 * time.Minute  // a connection without streams is closed
	dialTimeout   = 15 * time.Second
	streamWindow  = 256 << 10 // what upstream may send ahead of a slow client
)

// A pool spreads streams over HTTP/2 connections to one host. net/http makes them, with h2client's HTTP/2; its own pool would fill
// one connection up before it opens the next, so that most streams shared one socket and one lock, and all broke with it. It is
// safe for concurrent use.
//
//	dialing ──► conns ── retire ──► retired ── its last stream ends ──► closed
//	              └── breaks, or is idle for too long ──► closed
//
// mu guards what follows it. Connections are made and closed without it, because that may take seconds.
type pool struct {
	// transport makes connections and sends nothing itself. scheme and address say where to.
	transport       *http.Transport
	scheme, address string
	spread, max     int

	mu sync.Mutex
	// conns get new streams, the least busy one first.
	conns   []*conn
	retired []*conn  // get no new stream, and are closed when their last one has ended
	dialing *dialing // at most one at a time
	closed  bool
}

// A conn is one connection, with one of h2client in it, or net/http's HTTP/1.1 if nothing else is spoken there. It counts the
// streams: Reserve takes a place, and RoundTrip's stream gives it back.
type conn struct {
	*http.ClientConn
	// made is when it was opened. A time-out on one that was there before the request may be its own fault, and not upstream's.
	made time.Time
}

// A dialing is a connection being made; any number of callers may wait for it. conn or err is set when done is closed.
type dialing struct {
	done chan struct{}
	conn *conn
	err  error
}

// errPoolClosed is the error of reserve after close.
var errPoolClosed = errors.New("the backend is closed")

// newPool makes the pool for an endpoint. It connects to nothing yet. Errors are for the operator. The caller closes it.
//
// DisableCompression: bodies are streams of envelopes, which are compressed one by one if at all.
func newPool(endpoint *url.URL, cfg TransportConfig) (*pool, error) {
	protocols, proxy := new(http.Protocols), cfg.Proxy
	switch endpoint.Scheme {
	case "https":
		protocols.SetHTTP2(true)
		if proxy == nil {
			proxy = http.ProxyFromEnvironment
		}
	case "http":
		protocols.SetUnencryptedHTTP2(true)
		proxy = nil
	default:
		return nil, fmt.Errorf("the endpoint's URL begins with %q, not http or https", endpoint.Scheme)
	}
	dial := cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	// A ClientConn wants the port, also the usual one.
	port := cmp.Or(endpoint.Port(), map[string]string{"http": "80", "https": "443"}[endpoint.Scheme])
	transport := &http.Transport{
		Proxy: proxy, OnProxyConnectResponse: reach.Connected, DialContext: dial, Protocols: protocols,
		TLSClientConfig:     &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: dialTimeout, DisableCompression: true,
	}
	h2client.Install(transport, h2client.Config{
		StreamWindow: streamWindow, PingAfter: sendPingAfter, PingTimeout: pingTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
	})
	return &pool{
		transport: transport,
		scheme:    endpoint.Scheme, address: net.JoinHostPort(endpoint.Hostname(), port),
		spread: cmp.Or(cfg.Spread, 50), max: cmp.Or(cfg.MaxConnections, 1000),
	}, nil
}

// reserve returns a connection with a place reserved for one stream; the caller uses it by a RoundTrip, which gives the place back
// when the stream ends. When fresh is set it is a new connection, if another may be opened. Errors are ctx's, the dialer's,
// errPoolClosed, or *agent.Error.
//
// Each round returns, waits for a dialing, or has found that somebody else was faster.
func (p *pool) reserve(ctx context.Context, fresh bool) (*conn, error) {
	for {
		c, dial, err := p.pick(fresh)
		switch {
		case err != nil:
			return nil, err
		// A place may be gone since pick has looked: the lock isn't held any more.
		case c != nil && c.Reserve() == nil:
			return c, nil
		case c != nil:
			continue // somebody else took its last place, or it broke: look again
		}
		select {
		case <-dial.done:
			if dial.err != nil {
				return nil, dial.err
			}
			// Whoever has asked for a fresh one takes this one, and doesn't look for the least
			// busy.
			if fresh && dial.conn.Reserve() == nil {
				return dial.conn, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// size is how many connections are open.
func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) + len(p.retired)
}

// pick returns the least busy connection that has a place, or else the dialing to wait for. It starts one as soon as all
// connections have spread streams, before they are full, so that callers seldom have to wait. When fresh is set it returns
// no connection as long as one may be dialled.
//
//	the least busy has         another may be dialled   at the bound
//	fewer than spread streams  it                       it
//	a place, but more          it; dials beside         it
//	no place                   the dialing              an error
//
// Connections that have ended are dropped here; nothing else looks for them.
func (p *pool) pick(fresh bool) (*conn, *dialing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errPoolClosed
	}
	// At every pick, which is often enough.
	p.conns = slices.DeleteFunc(p.conns, broken)
	p.retired = slices.DeleteFunc(p.retired, broken)
	if fresh && (p.dialing != nil || len(p.conns) < p.max) {
		p.beginDial()
		return nil, p.dialing, nil
	}
	var best *conn
	load := 0
	for _, c := range p.conns {
		// There are a thousand connections at most.
		if n := c.InFlight(); c.Available() > 0 && (best == nil || n < load) {
			best, load = c, n
		}
	}
	if best == nil || load >= p.spread {
		switch {
		case p.dialing != nil:
		case len(p.conns) < p.max:
			p.beginDial()
		case best == nil:
			return nil, nil, agent.Errorf(agent.Overloaded, "Too many runs are open at once. Please try again shortly.")
		}
	}
	return best, p.dialing, nil
}

// broken reports whether the connection has ended.
func broken(c *conn) bool { return c.Err() != nil }

// beginDial starts to make a connection, unless one is being made. mu is held.
func (p *pool) beginDial() {
	if p.dialing == nil {
		p.dialing = &dialing{done: make(chan struct{})}
		// Not bound to the caller: others wait for the same connection.
		go p.dial(p.dialing)
	}
}

// retire gives c no more streams, because upstream doesn't seem to be at its other end any more. The streams that it has go
// on: they may be parked, and we may be wrong. It is closed with the last of them.
//
// The hook is how net/http tells that a stream has ended. It is called for every change of the
// connection's state.
func (p *pool) retire(c *conn) {
	p.mu.Lock()
	p.conns = slices.DeleteFunc(p.conns, func(other *conn) bool { return other == c })
	if !p.closed && !slices.Contains(p.retired, c) {
		p.retired = append(p.retired, c)
	}
	p.mu.Unlock()
	closeUnused := func(cc *http.ClientConn) {
		if cc.InFlight() == 0 {
			go cc.Close() // the hook may be called with the connection's locks held
		}
	}
	c.SetStateHook(closeUnused)
	// Its last stream may have ended before the hook was there.
	closeUnused(c.ClientConn)
}

// dial makes a connection for everybody who waits. It runs in a goroutine of its own, bounded by dialTimeout: no single
// caller's context may end it.
func (p *pool) dial(d *dialing) {
	c, err := p.connect()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing = nil
	d.err = err
	switch {
	case err != nil:
	case p.closed:
		c.Close()
		d.err = errPoolClosed
	default:
		d.conn = &conn{ClientConn: c, made: time.Now()}
		p.conns = append(p.conns, d.conn)
	}
	close(d.done)
}

// connect makes a connection. Whoever waits for it gets the error, whatever it is.
func (p *pool) connect() (c *http.ClientConn, err error) {
	defer agent.CatchPanic(func(panicked *agent.Error) { err = panicked })
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	return p.transport.NewClientConn(ctx, p.scheme, p.address)
}

// close closes every connection and the streams over it. After it, reserve fails with
// errPoolClosed. A connection that is being made is closed by dial, which sees closed.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	// Closed without mu, because that may take seconds.
	conns := append(p.conns, p.retired...)
	p.conns, p.retired = nil, nil
	p.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}
