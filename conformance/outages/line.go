package outages

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A line is the network between the gateways and a database server: connections to it go on to the server, until the
// test disturbs them.
type line struct {
	// l is where gateways connect to.
	l net.Listener

	// mu guards what follows.
	mu     sync.Mutex
	moved  sync.Cond // on mu: silent has changed
	target string
	silent bool
	closed bool
	conns  map[*net.TCPConn]bool // both ends of each
}

// newLine makes a line to the server at an address. It is closed at the end of the test.
func newLine(t *testing.T, target string) *line {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{l: l, target: target, conns: map[*net.TCPConn]bool{}}
	n.moved.L = &n.mu
	go n.serve()
	t.Cleanup(func() {
		l.Close()
		n.mu.Lock()
		n.closed, n.silent = true, false
		n.moved.Broadcast()
		n.mu.Unlock()
		n.cut()
	})
	return n
}

// address is what gateways connect to in the server's place.
func (n *line) address() string { return n.l.Addr().String() }

// serve accepts connections until the listener is closed.
func (n *line) serve() {
	for {
		c, err := n.l.Accept()
		if err != nil {
			return
		}
		go n.carry(c.(*net.TCPConn))
	}
}

// carry connects a client with the server, and is done when one of them is.
func (n *line) carry(client *net.TCPConn) {
	n.waitForNoise()
	n.mu.Lock()
	target := n.target
	n.mu.Unlock()
	c, err := net.Dial("tcp", target)
	if err != nil {
		reset(client)
		return
	}
	server := c.(*net.TCPConn)
	n.mu.Lock()
	n.conns[client], n.conns[server] = true, true
	// The test may have ended while the connection was made.
	closed := n.closed
	n.mu.Unlock()
	if closed {
		n.cut()
	}
	var both sync.WaitGroup
	both.Go(func() { n.copy(server, client) })
	both.Go(func() { n.copy(client, server) })
	both.Wait()
	n.mu.Lock()
	delete(n.conns, client)
	delete(n.conns, server)
	n.mu.Unlock()
	client.Close()
	server.Close()
}

// copy carries bytes in one direction until it ends. What was read while the line is silent is held, and not lost.
func (n *line) copy(to, from *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		count, err := from.Read(buf)
		n.waitForNoise()
		if count > 0 {
			if _, err := to.Write(buf[:count]); err != nil {
				break
			}
		}
		if err != nil {
			if err != io.EOF {
				reset(to)
			}
			break
		}
	}
	to.CloseWrite()
	from.CloseRead()
}

// waitForNoise returns when the line is not silent.
func (n *line) waitForNoise() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.silent {
		n.moved.Wait()
	}
}

// setSilent makes the line a network that drops every packet without a word, or ends that. Nothing is lost: what was sent
// meanwhile arrives then, as it would by TCP.
func (n *line) setSilent(silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = silent
	n.moved.Broadcast()
}

// cut resets all connections. New ones can be made.
func (n *line) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		reset(c)
	}
}

// to leads new connections to another server. Those that exist stay.
func (n *line) to(target string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.target = target
}

// reset ends a connection as a machine does that knows nothing of it.
func reset(c *net.TCPConn) {
	// With a linger of 0 the system sends a reset in place of an orderly end.
	c.SetLinger(0)
	c.Close()
}
