package h2client

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A conn is one connection. It is safe for concurrent use. Its methods are those that an http.ClientConn asks for.
//
// A reader belongs to it, which ends with it, and a writer while there is something to write; and two timers. It ends by Close,
// or when it breaks, is silent for too long, is not used, or when the server goes away and its last stream has ended.
//
// Lock order: mu, then what a Source takes in Take, then the lock of an inbox. Nothing is written, and no Source closed,
// with mu held.
type conn struct {
	// cfg, nc, hook and born are set by newConn and never changed.
	cfg Config
	// nc is read by the reader alone and written to by the writer alone. fail closes it, which wakes both.
	nc    net.Conn
	hook  func() // see NewClientConn
	born  time.Time
	heard atomic.Int64 // when bytes came last, after born

	// framer is read by the reader, without mu, and written to with mu held: then it appends to waiting.
	// Its errors when writing are ignored everywhere: appending to memory can't fail.
	framer *http2.Framer
	// What follows belongs to the reader.
	greeted    bool  // the server's first settings have come
	uncredited int64 // bytes of data that have come since the last credit of the whole connection

	// mu guards everything below.
	mu  sync.Mutex
	err error // why it has ended
	// streams are those that are not over, by their id.
	streams map[uint32]*stream
	taken   int // places that are reserved
	// nextID is the id of the next stream. A client's are odd: 1, 3, … (RFC 9113, section 5.1.1).
	nextID  uint32
	leaving bool // the server goes away: there will be no more streams

	waiting frames // that aren't data, in their order
	headers frames // of the request that is being encoded
	// encoder has the state of compression that the server follows. So headers go out in the order in which they are encoded:
	// both happen in one holding of mu.
	encoder *hpack.Encoder
	queue   []*stream // that may have data to send, in their order

	// sendWindow is how many bytes of data the server takes on all streams together.
	sendWindow  int64
	peerWindow  int64 // of a new stream
	peerStreams int64 // how many the server allows at once

	writing  bool // there is a writer
	batching bool // batchTimer runs
	// batchTimer calls endBatch. It exists for the whole life of the connection; kick starts it.
	batchTimer *time.Timer
	alarm      *time.Timer // see alive.go
	// pinged is when the last ping was sent, after born; 0 before the first.
	pinged    time.Duration
	idleSince time.Duration // after born; counts while there are no streams
}

// The bounds of a connection.
const (
	connWindow     = 1 << 30   // what the server may send on all streams, beyond HTTP/2's default; those have windows of their own
	connCredit     = 4 << 20   // for how many bytes that came the connection's window is opened again
	maxFrame       = 16 << 10  // of what we send, and accept. Every server takes so much
	maxHeaders     = 256 << 10 // of a response
	maxWaiting     = 1 << 20   // bytes of frames that aren't data. Only a server that asks and doesn't read gets there
	firstStreams   = 100       // allowed before the server has said how many it allows
	defaultStreams = 1000      // when it doesn't say
	defaultWindow  = 65535
	maxWindow      = 1<<31 - 1
	maxID          = 1<<31 - 1
)

// frames are encoded frames. It is an io.Writer for the framer and for the encoder of headers.
type frames []byte

// Write implements io.Writer. It never fails.
func (f *frames) Write(p []byte) (int, error) {
	*f = append(*f, p...)
	return len(p), nil
}

// newConn starts to speak HTTP/2 on nc, which is the conn's from now on. The server is told the same things in the same order as
// by net/http: nothing that it may have an opinion of is new to it.
func newConn(nc net.Conn, cfg Config, hook func()) *conn {
	c := &conn{
		cfg: cfg, nc: nc, hook: hook, born: time.Now(),
		streams: make(map[uint32]*stream), nextID: 1,
		sendWindow: defaultWindow, peerWindow: defaultWindow, peerStreams: firstStreams,
	}
	c.framer = http2.NewFramer(&c.waiting, bufio.NewReaderSize((*hearing)(c), maxFrame))
	c.framer.SetReuseFrames()
	c.framer.SetMaxReadFrameSize(maxFrame)
	c.framer.MaxHeaderListSize = maxHeaders
	c.framer.ReadMetaHeaders = hpack.NewDecoder(headerTable, nil)
	c.encoder = hpack.NewEncoder(&c.headers)

	c.mu.Lock()
	defer c.mu.Unlock()
	// The order is fixed by RFC 9113, section 3.4: the preface, then our settings.
	c.waiting = append(c.waiting, http2.ClientPreface...)
	c.framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(cfg.StreamWindow)},
		http2.Setting{ID: http2.SettingMaxFrameSize, Val: maxFrame},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeaders},
	)
	// Stream 0 is the connection. Its window is so large that only those of the streams matter.
	c.framer.WriteWindowUpdate(0, connWindow)
	c.kick(true)
	c.batchTimer = time.AfterFunc(time.Hour, c.endBatch) // kick sets it
	c.batchTimer.Stop()
	c.alarm = time.AfterFunc(cfg.PingAfter, c.check)
	go c.readFrames()
	return c
}

// Err is why the connection has ended; nil while it hasn't. One that the server goes away from has not ended as long as it has
// streams.
func (c *conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close closes the connection, and the streams on it fail. It may wait for the socket, and may be called more than once.
func (c *conn) Close() error {
	c.fail(errClosed)
	return nil
}

// InFlight is how many streams there are, and places that are reserved.
func (c *conn) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams) + c.taken
}

// Available is how many more streams there may be now.
func (c *conn) Available() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.available()
}

// available is Available. mu is held.
func (c *conn) available() int {
	if c.err != nil || c.leaving || c.nextID > maxID {
		return 0
	}
	return max(0, int(c.peerStreams)-len(c.streams)-c.taken)
}

// Reserve takes a place for one RoundTrip, or says why there is none.
func (c *conn) Reserve() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return c.err
	case c.available() == 0:
		return errNoPlace
	}
	c.taken++
	return nil
}

// Release gives a place back that Reserve has taken, instead of a RoundTrip.
func (c *conn) Release() {
	c.mu.Lock()
	c.freePlace()
	c.mu.Unlock()
	c.changed()
}

// freePlace is Release, for who holds mu.
func (c *conn) freePlace() {
	if c.taken > 0 {
		c.taken--
	}
	c.rest()
}

// rest notes that the connection is not in use, if that is so. mu is held.
func (c *conn) rest() {
	if len(c.streams)+c.taken == 0 {
		c.idleSince = time.Since(c.born)
	}
}

// changed tells who uses the connection that something of it has changed, and ends it when the server goes away and its last
// stream has ended. No lock is held.
func (c *conn) changed() {
	c.mu.Lock()
	left := c.leaving && len(c.streams)+c.taken == 0
	c.mu.Unlock()
	if left {
		c.fail(errGoneAway)
	}
	c.hook()
}

// reset takes s off the connection and tells the server so, unless it is off already. The caller calls s.release when the
// result is true. mu is held.
func (c *conn) reset(s *stream, code http2.ErrCode, err error) bool {
	if s.over {
		return false
	}
	if s.id != 0 {
		c.framer.WriteRSTStream(s.id, code)
		c.kick(true)
	}
	return c.end(s, err)
}

// end takes s off the connection. err is for who reads the response, or waits for it; the first end of its inbox counts. The
// caller calls s.release when the result is true. mu is held.
func (c *conn) end(s *stream, err error) bool {
	if s.over {
		return false
	}
	// From here on the stream's id is unknown to the reader. What the server still sends for it is dropped (takeData).
	s.over = true
	delete(c.streams, s.id)
	c.rest()
	s.in.end(err, false)
	s.answer(nil, err)
	return true
}

// endIfDone takes s off the connection if both sides have ended it. The caller calls s.release when the result is true. mu is
// held.
func (c *conn) endIfDone(s *stream) bool { return s.sentEnd && s.gotEnd && c.end(s, nil) }

// fail ends the connection, and all streams on it. The first reason counts. No lock is held; it may wait for the socket.
func (c *conn) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	var ended []*stream
	for _, s := range c.streams {
		if c.end(s, err) {
			ended = append(ended, s)
		}
	}
	// Nothing of these can be sent any more. The memory is given up now and not when the last user lets go of the connection.
	c.waiting, c.queue = nil, nil
	c.batchTimer.Stop()
	c.alarm.Stop()
	c.mu.Unlock()
	// Without mu: Close of a TLS connection sends a last record, and may wait for it. The reader and the writer get an error then.
	c.nc.Close()
	for _, s := range ended {
		s.release()
	}
	c.hook()
}
