package replica

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"time"
)

// The times within which another replica shows that it lives. A replica that has died refuses the connection at once; one
// that the network has lost costs the first two.
const (
	dialTime = 500 * time.Millisecond
	// aliveTime is how long a replica that there is a connection to has to say that it lives, before a request is sent to it.
	// A mistake costs little: the request is carried out here.
	aliveTime = 500 * time.Millisecond
	// lastAliveTime is the same for a replica that did not answer in time just now: it is asked again only when there is no other
	// (Open), and without its answer the client is refused. A machine that has too much to do may need that long.
	lastAliveTime = 5 * time.Second
	// A connection on which nothing has come for pingAfter is asked for a sign of life, and closed when none comes within
	// pingTime. An answer may take minutes, so its silence alone says nothing. These are longer, because a mistake cuts
	// answers off in the middle: a machine that has too much to do may not let a process run for seconds.
	pingAfter = 2 * time.Second
	pingTime  = 8 * time.Second
)

// alivePath is where replicas ask each other whether they live. No route of the gateway has it.
const alivePath = "/-/alive"

// newTransport makes the client's half. HTTP/2 carries all requests to a replica on one connection.
func newTransport(id *identity, dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTime)
			defer cancel()
			return dial(ctx, network, address)
		},
		TLSClientConfig:     id.config(),
		TLSHandshakeTimeout: dialTime,
		Protocols:           protocols,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTime},
		DisableCompression:  true, // what comes is passed on as it is
		IdleConnTimeout:     time.Minute,
	}
}

// Forward sends r to the replica at an address, and passes its answer on to w as it arrives, trailers included. The body of
// r is whole. When the client leaves, the other replica notices.
//
// The error is that there is no answer: nothing was written to w, and r may be carried out here. An answer that breaks off
// ends in the panic http.ErrAbortHandler, which cuts the client's connection off.
//
// Status 421 (Misdirected Request, RFC 9110) is no answer either: with it, a replica that is ending gives back what it does not
// take. No client ever gets it.
func (p *Peers) Forward(w http.ResponseWriter, r *http.Request, to string) error {
	if err := p.alive(r.Context(), to); err != nil {
		return p.unreached(r, to, err)
	}
	var failed error
	proxy := httputil.ReverseProxy{
		Rewrite: func(out *httputil.ProxyRequest) {
			out.SetURL(&url.URL{Scheme: "https", Host: to})
			out.Out.Host = out.In.Host
			// What a proxy before us said of the client is as true there as here; ReverseProxy has taken it out.
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values := out.In.Header[name]; values != nil {
					out.Out.Header[name] = values
				}
			}
		},
		Transport:     p.transport,
		FlushInterval: -1,
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode == http.StatusMisdirectedRequest {
				return errGivenBack
			}
			for name := range resp.Header {
				w.Header().Del(name) // this server has set some of them already
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
		ErrorLog:     slog.NewLogLogger(p.cfg.Log.Handler(), slog.LevelDebug),
	}
	proxy.ServeHTTP(w, r)
	switch {
	case errors.Is(failed, errGivenBack): // by a replica that lives, and may hold what others are sent there for
		p.cfg.Log.Info("a replica that is ending has given a request back", "id", r.Header.Get("X-Request-Id"), "replica", to)
		return failed
	case failed != nil:
		return p.unreached(r, to, failed)
	}
	return nil
}

// errGivenBack is the failure of a request that the other replica does not take because it is ending.
var errGivenBack = errors.New("given back by a replica that is ending")

// errSilent is the failure of a replica that does not say in time that it lives.
var errSilent = errors.New("no sign of life")

// alive fails unless the replica at an address says within a moment that it lives.
func (p *Peers) alive(ctx context.Context, to string) error {
	patience := aliveTime
	if p.lost.is(to) {
		patience = lastAliveTime
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Without a connection there is time for making one; with one, only for the answer.
	timer := time.AfterFunc(2*dialTime+patience, func() { cancel(errSilent) })
	defer timer.Stop()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { timer.Reset(patience) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://"+to+alivePath, nil)
	if err != nil {
		return err
	}
	resp, err := p.transport.RoundTrip(req)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	return resp.Body.Close() // whatever it says, it lives
}

// unreached notes that r could not be sent to a replica because of err, which it returns, unless r's client has left.
func (p *Peers) unreached(r *http.Request, to string, err error) error {
	if r.Context().Err() == nil {
		p.lost.add(to)
		p.cfg.Log.Info("a replica can't be reached", "id", r.Header.Get("X-Request-Id"), "replica", to, "err", err)
	}
	return err
}

// newServer makes the server's half, without a handler.
func newServer(log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	return &http.Server{
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Serve answers the requests that other replicas send to l with handler, until Shutdown, and tells them that this replica
// lives. It closes l. The error is http.ErrServerClosed after Shutdown. It is called once.
func (p *Peers) Serve(l net.Listener, handler http.Handler) error {
	p.lease.begin()
	p.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == alivePath {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		handler.ServeHTTP(w, r)
	})
	return p.server.Serve(tls.NewListener(l, p.identity.config()))
}

// Shutdown ends Serve, waits until the requests in progress are answered, and cuts them off when ctx ends first. Then it
// closes the connections to other replicas.
func (p *Peers) Shutdown(ctx context.Context) {
	p.lease.end(ctx) // so that nobody asks any more
	if err := p.server.Shutdown(ctx); err != nil {
		p.server.Close()
	}
	p.transport.CloseIdleConnections()
}
