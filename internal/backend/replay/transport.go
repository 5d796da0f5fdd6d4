package replay

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"sync"
	"time"

	"composer-api/internal/cursor/reach"
)

// A Transport makes requests over connections that [Send] can replace when one of them no longer
// answers. It is safe for concurrent use. mu guards current; it is not held while a request is made.
type Transport struct {
	// mu guards current alone: an http.Transport needs no lock.
	mu      sync.Mutex
	current *http.Transport // the next requests go out over its connections
}

// Renewable makes a Transport from an *http.Transport. Any other transport is returned as it is.
func Renewable(transport http.RoundTripper) http.RoundTripper {
	if t, ok := transport.(*http.Transport); ok {
		return &Transport{current: t}
	}
	return transport
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.now().RoundTrip(req)
}

// now returns the transport that the next request uses.
func (t *Transport) now() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// renew replaces used, if it is still the current transport: later requests get new connections. Requests
// under way go on over the old ones, which are closed when they have been idle for long enough. net/http has
// no way to give up a single connection. When another request was faster, nothing happens.
func (t *Transport) renew(used *http.Transport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == used {
		t.current = used.Clone()
		used.CloseIdleConnections()
	}
}

// NewTransport makes a transport for target: HTTP/2 with prior knowledge for http, HTTP/2 or HTTP/1.1 by ALPN
// for https. It uses the environment's proxy and trusts what tls says, or the system's roots when that is
// nil.
func NewTransport(target string, tls *tls.Config) *http.Transport {
	protocols := new(http.Protocols)
	if u, err := url.Parse(target); err == nil && u.Scheme == "http" {
		protocols.SetUnencryptedHTTP2(true)
	} else {
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: reach.Connected,
		TLSClientConfig:        tls,
		TLSHandshakeTimeout:    10 * time.Second,
		IdleConnTimeout:        5 * time.Minute,
		Protocols:              protocols,
		// A dead connection is noticed while its streams are quiet.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, WriteByteTimeout: 15 * time.Second},
	}
}
