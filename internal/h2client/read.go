package h2client

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/net/http2"
)

// hearing is the connection as the reader's source: it notes when bytes have come.
type hearing conn

// Read implements io.Reader. Only the reader calls it.
func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.nc.Read(p)
	// A read of nothing is no sign of life.
	if n > 0 {
		h.heard.Store(int64(time.Since(h.born)))
	}
	return n, err
}

// readFrames is the reader. It ends with the connection. It never waits for anything but the server's next bytes: what a frame
// asks for goes to the writer, and what is for a stream into its inbox.
func (c *conn) readFrames() {
	defer c.catch()
	for {
		f, err := c.framer.ReadFrame()
		// f is valid until the next ReadFrame (SetReuseFrames), so handle copies what it keeps.
		if err == nil {
			err = c.handle(f)
		}
		if err != nil && !c.endsStream(err) {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the server has closed the connection: %w", io.ErrUnexpectedEOF)
			}
			c.fail(fmt.Errorf("h2client: %w", err))
			return
		}
	}
}

// endsStream reports whether err is of one stream alone, which it then resets.
func (c *conn) endsStream(err error) bool {
	var bad http2.StreamError
	if !errors.As(err, &bad) {
		return false
	}
	c.resetID(bad)
	return true
}

// handle does what a frame says. A http2.StreamError ends its stream alone, any other error the connection.
//
//	the frame             is for                 changes
//	DATA                  a stream's inbox       both receive windows
//	HEADERS               a stream               its response; trailers are dropped
//	RST_STREAM            a stream               it is over
//	WINDOW_UPDATE         a stream, or all       a send window
//	SETTINGS              all                    see settings.go; acknowledged
//	PING                  –                      answered
//	GOAWAY                all                    no more streams; those that the server hasn't seen fail
//	PUSH_PROMISE          –                      an error: we have said that we want none
//	any other             –                      nothing. Source: RFC 9113, section 4.1
func (c *conn) handle(f http2.Frame) error {
	if _, ok := f.(*http2.SettingsFrame); !ok && !c.greeted {
		return connError(http2.ErrCodeProtocol, "the server's first frame is not its settings")
	}
	switch f := f.(type) {
	case *http2.DataFrame:
		return c.data(f)
	case *http2.MetaHeadersFrame:
		return c.responded(f)
	case *http2.RSTStreamFrame:
		return c.wasReset(f)
	case *http2.WindowUpdateFrame:
		return c.opened(f)
	case *http2.SettingsFrame:
		if err := c.settings(f); err != nil {
			return err
		}
		c.hook() // there may be more places
	case *http2.PingFrame:
		return c.ping(f)
	case *http2.GoAwayFrame:
		c.goAway(f)
	case *http2.PushPromiseFrame:
		return connError(http2.ErrCodeProtocol, "the server pushes")
	}
	return nil
}

// stream finds a stream by its id. It is nil for one that is over: the server may not know that yet. One that never was is an
// error. mu is held.
func (c *conn) stream(id uint32) (*stream, error) {
	s := c.streams[id]
	if s == nil && (id%2 == 0 || id >= c.nextID) {
		return nil, connError(http2.ErrCodeProtocol, "the server speaks on a stream that was never opened")
	}
	return s, nil
}

// data takes the bytes of a response. All of the frame counts for the windows, its padding, too. What comes for a stream that is
// over still counts for the connection's.
func (c *conn) data(f *http2.DataFrame) error {
	s, err := c.takeData(f)
	if err != nil || s == nil {
		return err
	}
	// Without mu, which the inbox's lock comes after. Only the reader puts, so the order of the bytes is kept.
	if len(f.Data()) > 0 && !s.in.put(f.Data()) {
		return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeProtocol}
	}
	if f.StreamEnded() {
		c.gotEnd(s)
	}
	return nil
}

// takeData does data's bookkeeping, and finds the stream; nil when the bytes are for nobody.
func (c *conn) takeData(f *http2.DataFrame) (*stream, error) {
	size := int64(f.Length)
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.stream(f.StreamID)
	if err != nil {
		return nil, err
	}
	// The streams' windows bound what is in memory, so the connection's is opened when bytes come, and not when they are read.
	if c.uncredited += size; c.uncredited >= connCredit {
		c.framer.WriteWindowUpdate(0, uint32(c.uncredited))
		c.uncredited = 0
		c.kick(true)
	}
	switch {
	case s == nil:
		return nil, nil
	case s.gotEnd:
		return nil, http2.StreamError{StreamID: s.id, Code: http2.ErrCodeStreamClosed}
	case !s.gotHeaders:
		return nil, http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
	}
	if s.recvWindow -= size; s.recvWindow < 0 {
		return nil, connError(http2.ErrCodeFlowControl, "the server sends more on a stream than it may")
	}
	// The window counts padding, which nobody reads. After the last frame of a stream its window is of no interest.
	if padding := size - int64(len(f.Data())); padding > 0 && !f.StreamEnded() {
		if credit := s.in.skip(int(padding), c.creditAfter()); credit > 0 {
			c.giveBack(s, credit)
		}
	}
	return s, nil
}

// gotEnd notes that the response is whole.
func (c *conn) gotEnd(s *stream) {
	// The inbox first: whoever sees the stream off the connection finds all of the response there.
	s.in.end(io.EOF, false)
	c.mu.Lock()
	s.gotEnd = true
	ended := c.endIfDone(s)
	c.mu.Unlock()
	if ended {
		s.release()
	}
}

// credit lets the server send n bytes more on s, because they were read.
func (c *conn) credit(s *stream, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A window update for a stream that the server has ended would be useless, and may be an error for it.
	if !s.over && !s.gotEnd {
		c.giveBack(s, n)
	}
}

// creditAfter is for how many bytes read on a stream its window is opened again.
func (c *conn) creditAfter() int { return c.cfg.StreamWindow / 2 }

// giveBack opens the window of s by n bytes. mu is held.
func (c *conn) giveBack(s *stream, n int) {
	s.recvWindow += int64(n)
	c.framer.WriteWindowUpdate(s.id, uint32(n))
	c.kick(true)
}

// maxInformational is how many responses of status 1xx may come before the real one.
const maxInformational = 20

// responded takes the headers of a response, and its trailers, which are dropped.
func (c *conn) responded(f *http2.MetaHeadersFrame) error {
	s, err := c.takeHeaders(f)
	if err == nil && s != nil && f.StreamEnded() {
		c.gotEnd(s)
	}
	return err
}

// takeHeaders gives RoundTrip its response, and finds the stream; nil when the headers are for nobody.
func (c *conn) takeHeaders(f *http2.MetaHeadersFrame) (*stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.stream(f.StreamID)
	// The headers of a stream that is over were decoded all the same: the decoder's table must follow the server's.
	if err != nil || s == nil {
		return nil, err
	}
	bad := http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol, Cause: errHeaders}
	switch {
	case s.gotEnd:
		bad.Code = http2.ErrCodeStreamClosed
		return nil, bad
	case s.gotHeaders && (!f.StreamEnded() || len(f.PseudoFields()) > 0): // trailers come last, and have no status
		return nil, bad
	case s.gotHeaders:
		return s, nil
	}
	resp, err := s.newResponse(f)
	if err != nil {
		return nil, bad
	}
	if resp.StatusCode < 200 {
		// Bounded, because each is a frame that costs us work and the server nothing.
		if s.informational++; f.StreamEnded() || s.informational > maxInformational {
			return nil, bad
		}
		return s, nil
	}
	s.gotHeaders = true
	if !f.StreamEnded() {
		s.in.remain = resp.ContentLength // nobody reads before the answer below
	}
	s.answer(resp, nil)
	return s, nil
}

// wasReset takes the server's end of a stream. A response that was whole before stays so: the server only doesn't want the rest
// of the request. Source: RFC 9113, section 8.1.
func (c *conn) wasReset(f *http2.RSTStreamFrame) error {
	c.mu.Lock()
	s, err := c.stream(f.StreamID)
	// s is nil for a stream that we have ended ourselves: the two resets have crossed.
	ended := false
	if s != nil {
		var why error // nobody gets one after a whole response, which ends most streams
		if !s.gotEnd {
			why = streamError(s.id, f.ErrCode)
		}
		ended = c.end(s, why)
	}
	c.mu.Unlock()
	if ended {
		s.release()
	}
	return err
}

// resetID resets the stream on which the server has broken the protocol.
func (c *conn) resetID(bad http2.StreamError) {
	c.mu.Lock()
	s := c.streams[bad.StreamID]
	ended := s != nil && c.reset(s, bad.Code, fmt.Errorf("h2client: the server breaks the protocol: %w", bad))
	c.mu.Unlock()
	if ended {
		s.release()
	}
}

// opened takes room that the server gives.
func (c *conn) opened(f *http2.WindowUpdateFrame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.StreamID != 0 {
		s, err := c.stream(f.StreamID)
		if err != nil || s == nil {
			return err
		}
		// More than 2³¹-1 is an error by RFC 9113, section 6.9.1.
		if s.sendWindow += int64(f.Increment); s.sendWindow > maxWindow {
			return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeFlowControl}
		}
		// Only a stream that was held up by its window has to be looked at again.
		if s.more {
			c.enqueue(s)
			c.kick(true)
		}
		return nil
	}
	// While the connection had no room, streams with room of their own were left out of the queue. They are found now.
	starved := c.sendWindow <= 0
	if c.sendWindow += int64(f.Increment); c.sendWindow > maxWindow {
		return connError(http2.ErrCodeFlowControl, "the connection's window gets too large")
	}
	if starved {
		for _, s := range c.streams {
			if s.more {
				c.enqueue(s)
			}
		}
		c.kick(true)
	}
	return nil
}

// ping answers a ping. The answer to one of ours needs no work: its bytes say that the server is there.
func (c *conn) ping(f *http2.PingFrame) error {
	if f.IsAck() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.framer.WritePing(true, f.Data)
	return c.answered()
}

// answered sees to it that an answer to a frame goes out. A server that asks without end and reads no answer is not to fill our
// memory. mu is held.
func (c *conn) answered() error {
	if len(c.waiting) > maxWaiting {
		return connError(http2.ErrCodeEnhanceYourCalm, "the server asks, and doesn't read the answers")
	}
	c.kick(true)
	return nil
}

// goAway takes the server's notice that it goes away. Streams up to the last that it has seen go on; the others may be sent again
// elsewhere, unless the server has an error to tell: it may have it for the next connection, too, and is not to be hurried. The
// connection ends with the last stream. The notice may come again, with a lower id.
func (c *conn) goAway(f *http2.GoAwayFrame) {
	c.mu.Lock()
	c.leaving = true
	why := errGoneAway
	if f.ErrCode != http2.ErrCodeNo {
		why = connError(f.ErrCode, "the server has given the connection up")
	}
	var unseen []*stream
	for id, s := range c.streams {
		// To delete from the map that is ranged over is allowed in Go.
		if id > f.LastStreamID && c.end(s, why) {
			unseen = append(unseen, s)
		}
	}
	c.mu.Unlock()
	for _, s := range unseen {
		s.release()
	}
	c.changed()
}
