// Package memnet is a network in memory: a listener whose connections never leave the process.
//
// Tests run real HTTP/1.1 and HTTP/2 over it. Because nothing waits for a socket, such a test can stand in a
// testing/synctest bubble, where an hour of heartbeats takes milliseconds.
package memnet

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// A Listener accepts the connections that its Dial makes. There is no backlog: Dial waits until Accept
// takes the connection. Its methods are safe for concurrent use.
type Listener struct {
	// conns has no room, so Dial returns only when somebody has accepted.
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Listen makes a Listener. The caller closes it.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections that were made stay open. It may be called more than once.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return addr{} }

// Dial connects to the listener, whatever network and address say. The connection is a net.Pipe: a write
// waits until the other end has read it.
func (l *Listener) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addr{}, Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Transport makes an HTTP client transport that dials the listener and speaks the given protocols. The caller closes
// its idle connections.
func (l *Listener) Transport(protocols *http.Protocols) *http.Transport {
	return &http.Transport{DialContext: l.Dial, Protocols: protocols}
}

// An addr is the address of everything here: there is one network, without names.
type addr struct{}

func (addr) Network() string { return "mem" }
func (addr) String() string  { return "mem" }
