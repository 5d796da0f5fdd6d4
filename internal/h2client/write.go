package h2client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// batchDelay is how long something that isn't urgent waits for more of its kind on the connection. Heartbeats are due every few
// seconds.
const batchDelay = 20 * time.Millisecond

// flushSize is about how many bytes go out in one write.
const flushSize = 64 << 10

// buffers are shared by the writers of all connections; one is used only during a write.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, flushSize+2*maxFrame); return &b }}

// enqueue puts s among the streams that the writer looks at. mu is held.
func (c *conn) enqueue(s *stream) {
	if !s.queued && !s.over {
		s.queued = true
		c.queue = append(c.queue, s)
	}
}

// kick sees to it that there is a writer: now, or, if that is not urgent, in a moment. mu is held.
func (c *conn) kick(urgent bool) {
	switch {
	case c.err != nil || c.writing:
	case urgent:
		c.writing = true
		go c.writeFrames()
	case !c.batching:
		c.batching = true
		c.batchTimer.Reset(batchDelay)
	}
}

// endBatch is the timer of what isn't urgent.
func (c *conn) endBatch() {
	defer c.catch()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batching = false
	c.kick(true)
}

// writeFrames is the writer, of which there is one at most: nobody else writes to the connection. It ends when nothing is left
// that may be written, so a connection on which nothing is said has none.
func (c *conn) writeFrames() {
	defer c.catch()
	// Only while there is something to write: 10,000 connections that wait have no buffer.
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	for {
		out, ended := c.collect((*b)[:0])
		// Without mu: release closes the Source, which may take its own lock.
		for _, s := range ended {
			s.release()
		}
		if len(out) == 0 {
			return
		}
		if err := c.write(out); err != nil {
			c.fail(fmt.Errorf("h2client: %w", err))
			return
		}
	}
}

// write writes b. The time-out is for getting anything out, not for all of it.
func (c *conn) write(b []byte) error {
	for {
		c.nc.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout))
		n, err := c.nc.Write(b)
		// Something went out before the time-out, so the server reads, if slowly: the rest gets a time-out of its own.
		if b = b[n:]; n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// collect appends the frames to b that go out next: all that aren't data, then data of the streams that have some, in turn, as
// far as b and the windows allow. Nothing is the end of the writer. Streams that are over with that are to be released.
//
// A stream gets one frame in each round, so that a long prompt doesn't keep others waiting.
func (c *conn) collect(b []byte) (out []byte, ended []*stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b = c.takeWaiting(b)
	for len(c.queue) > 0 && len(b) < flushSize {
		s := c.queue[0]
		// The array behind the queue stays; it must not keep a stream alive.
		c.queue[0] = nil
		if c.queue = c.queue[1:]; len(c.queue) == 0 {
			c.queue = nil
		}
		s.queued = false
		if s.over || s.sentEnd {
			continue
		}
		var over bool
		if b, over = c.appendData(b, s); over {
			ended = append(ended, s)
		}
	}
	b = c.takeWaiting(b) // of streams that were reset just now
	// Under mu, in which kick looks at writing: what is put in after this starts a new writer.
	c.writing = len(b) > 0
	return b, ended
}

// takeWaiting moves the frames that aren't data to b. mu is held.
func (c *conn) takeWaiting(b []byte) []byte {
	b = append(b, c.waiting...)
	if c.waiting = c.waiting[:0]; cap(c.waiting) > maxFrame {
		c.waiting = nil
	}
	return b
}

// frameHeader is the size of a frame without its payload.
const frameHeader = 9

// appendData appends a frame with what s has to say, if there is anything and the windows allow it. Without room in them an
// empty frame may still end the request. over says that the stream is. mu is held.
func (c *conn) appendData(b []byte, s *stream) (out []byte, over bool) {
	start := len(b)
	room := int(max(0, min(maxFrame, c.sendWindow, s.sendWindow)))
	b = slices.Grow(b, frameHeader+room)
	// The Source writes into the buffer behind the place for the header, so the bytes are copied once.
	n, more, err := s.source.Take(b[start+frameHeader : start+frameHeader+room])
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return b, c.reset(s, http2.ErrCodeCancel, err)
	// Nothing there, or no room: the slice keeps its length, so no frame is sent.
	case n == 0 && err == nil:
		s.more = more
		return b, false
	}
	b = b[:start+frameHeader+n]
	s.sendWindow -= int64(n)
	c.sendWindow -= int64(n)
	s.more, s.sentEnd = more, err != nil
	// To the end of the queue: the others come first. Without room it waits for opened or resizeWindows.
	if more && s.sendWindow > 0 && c.sendWindow > 0 {
		c.enqueue(s)
	}
	putHeader(b[start:], n, http2.FrameData, s.sentEnd, s.id)
	return b, c.endIfDone(s)
}

// putHeader writes the header of a frame of data. Source: RFC 9113, section 4.1.
func putHeader(b []byte, n int, kind http2.FrameType, end bool, id uint32) {
	binary.BigEndian.PutUint32(b, uint32(n)<<8|uint32(kind))
	b[4] = 0
	if end {
		b[4] = byte(http2.FlagDataEndStream)
	}
	binary.BigEndian.PutUint32(b[5:], id)
}
