package h2client

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"
)

// Config says how connections behave. All fields are required.
type Config struct {
	StreamWindow int           // bytes that the server may send ahead of who reads a response
	PingAfter    time.Duration // of silence
	PingTimeout  time.Duration // of silence after a ping; the connection is given up
	WriteTimeout time.Duration // without a byte getting out; the same
	IdleTimeout  time.Duration // without a stream; the same
}

// Install makes t.NewClientConn speak HTTP/2 by this package. t.RoundTrip must not be used any more. It is called before t
// is used; t.TLSClientConfig must be set.
//
// net/http looks for the implementation of HTTP/2 under the scheme "https", and takes what has the method NewClientConn:
// that is how golang.org/x/net/http2 joins it, too. The entry in TLSNextProto keeps it from installing its own.
func Install(t *http.Transport, cfg Config) {
	t.TLSClientConfig.NextProtos = []string{http2.NextProtoTLS}
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{
		http2.NextProtoTLS: func(string, *tls.Conn) http.RoundTripper { return &protocol{} },
	}
	t.RegisterProtocol("https", &protocol{cfg})
}

// A protocol makes conns for an http.Transport.
type protocol struct{ cfg Config }

// NewClientConn makes nc a connection. hook is called, with no lock held, when a stream ends, when there is place for more
// streams, and when the connection ends. After an error nc is the caller's.
func (p *protocol) NewClientConn(nc net.Conn, hook func()) (http.RoundTripper, error) {
	return newConn(nc, p.cfg, hook), nil
}

// RoundTrip implements http.RoundTripper, for a Transport that is not used as Install says.
func (p *protocol) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("h2client: the transport is for NewClientConn alone")
}
