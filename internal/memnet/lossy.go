package memnet

import (
	"net"
	"sync"
)

// A LossyConn is a connection whose other end can vanish without a word, as behind a NAT that forgets
// it: from Vanish on, what is written is lost without an error, and nothing is received. Its methods may
// be called concurrently.
type LossyConn struct {
	net.Conn
	// closed ends a Read that waits for ever.
	closed chan struct{}
	once   sync.Once // closes closed

	mu sync.Mutex
	// gone says that Vanish was called.
	gone bool
}

// Lossy makes a LossyConn of conn.
func Lossy(conn net.Conn) *LossyConn { return &LossyConn{Conn: conn, closed: make(chan struct{})} }

// Vanish makes the other end vanish. There is no way back.
func (c *LossyConn) Vanish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
}

// vanished reports whether nothing gets through any more.
func (c *LossyConn) vanished() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// Read implements net.Conn. Once the other end has vanished, it returns only after Close; what arrives
// meanwhile is thrown away.
func (c *LossyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.vanished() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

// Write implements net.Conn. Once the other end has vanished it succeeds and writes nothing, as TCP does
// while its buffers have room.
func (c *LossyConn) Write(p []byte) (int, error) {
	if c.vanished() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn. It may be called more than once.
func (c *LossyConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// Closed reports whether Close was called.
func (c *LossyConn) Closed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}
