package h2client

import "time"

// Whether the server is still there, and whether the connection is still needed. One timer looks after both.
//
//	silence for PingAfter               a ping
//	not a byte for PingTimeout after it the connection is given up
//	no stream for IdleTimeout           it is closed

// check is that timer.
func (c *conn) check() {
	defer c.catch()
	if err := c.examine(time.Since(c.born)); err != nil {
		c.fail(err)
	}
}

// examine does what is due at now, and sets the timer for what is due next. An error says that the connection is to end.
//
// Any byte counts as an answer to a ping: it is all the same what the server says, if it says anything.
func (c *conn) examine(now time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil
	}
	// All times here are since c.born, so that they can be compared and kept in an atomic.
	heard := time.Duration(c.heard.Load())
	next := heard + c.cfg.PingAfter
	switch {
	// A ping is out, and nothing has come since: it was sent after the last byte.
	case c.pinged > heard:
		if next = c.pinged + c.cfg.PingTimeout; now >= next {
			return errSilent
		}
	// Eight zero bytes: answers aren't told apart, so the ping needs no mark of its own.
	case now >= next:
		c.framer.WritePing(false, [8]byte{})
		c.kick(true)
		c.pinged, next = now, now+c.cfg.PingTimeout
	}
	if len(c.streams)+c.taken == 0 {
		// A place that is reserved counts as use, so the connection isn't closed under a request that is about to begin.
		unused := c.idleSince + c.cfg.IdleTimeout
		if now >= unused {
			return errIdle
		}
		next = min(next, unused)
	}
	// With mu held: fail, which stops the timer, has set err under the same lock, so a connection that has ended gets no new alarm.
	c.alarm.Reset(next - now)
	return nil
}
