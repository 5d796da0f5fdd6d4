package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// Connections are opened in the background. A call of the store has three seconds (store/bounded), and a server that has
// just begun, or that a hundred processes turn to at once after a failover, may take longer for a new connection. If each
// call opened its own and threw it away when its time is over, none would ever be ready: the server would do nothing else
// than begin connections. So what a call has begun goes on without it, and the next call gets it.
//
//	calls that wait   ──► oldest first ──► a connection that is ready
//	attempts under way ─┘                   └─ spare, when nobody waits any more

const (
	// attemptTime bounds one attempt, all hosts of the URL together.
	attemptTime = 30 * time.Second
	// maxHostTime is how long one host may take at most, and maxHostTimeOfMany one of several: a host that drops every packet
	// keeps the next one waiting for as long.
	maxHostTime, maxHostTimeOfMany = 10 * time.Second, 4 * time.Second
	// spareTime is how long a connection that nobody waits for is kept.
	spareTime = 5 * time.Second
)

// A connector opens the connections of a pool (sql.OpenDB), which closes it. It is safe for concurrent use. There are never
// more attempts, and never more spare connections, than the pool has connections.
type connector struct {
	driver.Connector
	// connect opens one connection; each host of the URL may take perHost.
	connect func(ctx context.Context, perHost time.Duration) (driver.Conn, error)
	// base is perHost while all is well. An attempt that fails because of the time doubles it for the next; after most it is
	// base again, because the host may also be one that will never answer.
	base, most time.Duration

	// ctx is that of all attempts: a call's own context would end them with the call.
	ctx  context.Context // done with Close
	stop context.CancelFunc
	work sync.WaitGroup // attempts

	mu sync.Mutex // protects what follows
	// perHost is what the next attempt gives each host: base, or more after attempts that took too long.
	perHost  time.Duration
	attempts int            // under way; at least one for each of waiting
	waiting  []chan outcome // of calls, oldest first; each has room for its outcome
	// spare are connections that are ready and that nobody waits for, oldest first.
	spare []*spareConn
	// closed says that Close has begun. A connection that nobody waits for is closed then, and not kept (keep).
	closed bool
}

// An outcome is what a call gets: one of both.
type outcome struct {
	// conn is the pool's from here on.
	conn driver.Conn
	err  error
}

// A spareConn is a connection whose call has gone.
type spareConn struct {
	driver.Conn
	end *time.Timer // closes it
}

// newConnector makes a connector. under names the driver; its own Connect is not used.
func newConnector(under driver.Connector, base, most time.Duration, connect func(context.Context, time.Duration) (driver.Conn, error)) *connector {
	c := &connector{Connector: under, connect: connect, base: base, most: most, perHost: base}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	done := make(chan outcome, 1)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, context.Canceled
	}
	if n := len(c.spare); n > 0 {
		// The newest has the most of spareTime before it.
		s := c.spare[n-1]
		c.spare = c.spare[:n-1]
		c.mu.Unlock()
		s.end.Stop()
		return s.Conn, nil
	}
	c.waiting = append(c.waiting, done)
	// An attempt whose call has gone serves this one, so there is never one more than there are calls.
	if c.attempts < len(c.waiting) {
		c.attempts++
		c.work.Go(c.attempt)
	}
	c.mu.Unlock()

	select {
	case o := <-done:
		return o.conn, o.err
	// The call gives up; the attempt goes on, for the next call.
	case <-ctx.Done():
	}
	c.mu.Lock()
	i := slices.Index(c.waiting, done)
	if i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
	c.mu.Unlock()
	// It must be taken: a connection would be lost otherwise, and the pool would count it for ever.
	if i < 0 { // the outcome came in the same moment
		o := <-done
		return o.conn, o.err
	}
	return nil, ctx.Err()
}

// attempt opens one connection, for whoever has waited longest when it is ready.
func (c *connector) attempt() {
	c.mu.Lock()
	perHost := c.perHost
	c.mu.Unlock()
	// Without mu: it takes as long as the network does.
	conn, err := c.try(perHost)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempts--
	switch {
	case err == nil:
		c.perHost = c.base
	case isTimeout(err) && c.perHost == perHost: // once for all that have failed beside each other
		if c.perHost *= 2; c.perHost > c.most {
			c.perHost = c.base
		}
	}
	switch {
	case err == nil && len(c.waiting) == 0:
		c.keep(conn)
	// A failure is handed on only if somebody would otherwise wait for nothing.
	case err == nil || len(c.waiting) > c.attempts: // else another attempt is under way for each who waits
		c.waiting[0] <- outcome{conn, err}
		c.waiting = slices.Delete(c.waiting, 0, 1)
	}
}

// try is connect, in its time. A bug in the driver fails the attempt.
func (c *connector) try(perHost time.Duration) (conn driver.Conn, err error) {
	defer recovered(&err)
	ctx, cancel := context.WithTimeout(c.ctx, attemptTime)
	defer cancel()
	return c.connect(ctx, perHost)
}

// keep holds a connection for the next call. The caller holds mu.
func (c *connector) keep(conn driver.Conn) {
	if c.closed {
		conn.Close()
		return
	}
	s := &spareConn{Conn: conn}
	s.end = time.AfterFunc(spareTime, func() { c.drop(s) })
	c.spare = append(c.spare, s)
}

// drop closes a spare connection, unless somebody has it now. A bug in the driver leaves it open.
func (c *connector) drop(s *spareConn) {
	// recovered needs a place for the error; nobody is there to be told it.
	var err error
	defer recovered(&err)
	c.mu.Lock()
	i := slices.Index(c.spare, s)
	if i >= 0 {
		c.spare = slices.Delete(c.spare, i, i+1)
	}
	c.mu.Unlock()
	if i >= 0 {
		s.Close()
	}
}

// Close ends attempts and closes spare connections. Those that the pool has are the pool's.
func (c *connector) Close() error {
	c.mu.Lock()
	c.closed = true
	spare := c.spare
	c.spare = nil
	c.mu.Unlock()
	c.stop()
	for _, s := range spare {
		s.end.Stop()
		s.Close()
	}
	// The caller closes what attempts use, so none may be left.
	c.work.Wait()
	return nil
}

// isTimeout reports whether more time might have helped.
func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}
