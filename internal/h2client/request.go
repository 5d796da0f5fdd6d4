package h2client

import (
	"context"
	"errors"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
)

// RoundTrip implements http.RoundTripper. It takes the place that Reserve has reserved, if any. The body is nil, NoBody or a
// Source, and is closed when the stream ends. The end of the request's context resets the stream, at any time.
//
// Errors say ErrUnprocessed when the request may be sent again.
func (c *conn) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	s := &stream{conn: c, answered: make(chan struct{})}
	s.in.filled.L = &s.in.mu
	s.in.remain = -1
	answered := s.answered
	if req.Body != nil && req.Body != http.NoBody {
		// The place was reserved for this request, so it is given back. The body is ours to close, as http.RoundTripper demands.
		source, ok := req.Body.(Source)
		if !ok {
			c.Release()
			req.Body.Close()
			return nil, errors.New("h2client: the request's body is no Source")
		}
		s.source = source
	}
	if err := c.open(ctx, s, req); err != nil {
		s.release()
		return nil, err
	}
	if s.source != nil {
		s.source.Attach(s.wake)
		s.wake(true)
	}
	// The stream may be over before stop is known to it, and has then not stopped the watching.
	stop := context.AfterFunc(ctx, func() { s.abort(ctx.Err()) })
	c.mu.Lock()
	over := s.over
	s.stop = stop
	c.mu.Unlock()
	if over {
		stop()
	}
	// It ends by the server's headers, the stream's end, or ctx, which resets the stream.
	<-answered
	if s.refused != nil {
		return nil, s.refused
	}
	s.response.Request = req
	resp := s.response
	s.response = nil // the stream may live for long
	return resp, nil
}

// open puts s on the connection, and its headers among the frames that wait.
func (c *conn) open(ctx context.Context, s *stream, req *http.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.freePlace()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.err != nil:
		return errors.Join(c.err, ErrUnprocessed)
	case c.available() == 0: // it was reserved, but the server has changed its mind
		return errNoPlace
	}
	// From here on nothing can fail. Ids must reach the server in rising order: the headers are put in under the same lock.
	s.id, c.nextID = c.nextID, c.nextID+2
	s.sendWindow, s.recvWindow = c.peerWindow, int64(c.cfg.StreamWindow)
	c.streams[s.id] = s
	s.sentEnd = s.source == nil
	c.encode(req)
	c.writeHeaders(s.id, s.sentEnd)
	// One request with long headers must not cost memory as long as the connection lives.
	if cap(c.headers) > maxFrame {
		c.headers = nil
	}
	if s.sentEnd {
		c.kick(true) // else the body does
	}
	return nil
}

// hopHeaders are headers that HTTP/2 has other means for. Source: RFC 9113, section 8.2.2.
var hopHeaders = map[string]bool{
	"Host": true, "Content-Length": true, "Connection": true, "Proxy-Connection": true,
	"Transfer-Encoding": true, "Upgrade": true, "Keep-Alive": true,
}

// encode makes c.headers the request's headers. mu is held. http.ClientConn has checked them.
func (c *conn) encode(req *http.Request) {
	c.headers = c.headers[:0]
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	c.field(":authority", host)
	c.field(":method", req.Method)
	c.field(":path", req.URL.RequestURI())
	c.field(":scheme", req.URL.Scheme)
	if _, named := req.Header["User-Agent"]; !named {
		c.field("user-agent", "Go-http-client/2.0") // as net/http says: firewalls turn away who has no name
	}
	// In any order: the order of different names means nothing in HTTP.
	for name, values := range req.Header {
		if hopHeaders[name] {
			continue
		}
		name = strings.ToLower(name)
		for _, v := range values {
			c.field(name, v)
		}
	}
}

// writeHeaders puts c.headers among the frames that wait, cut into frames. mu is held, so nothing comes between.
func (c *conn) writeHeaders(id uint32, end bool) {
	first := true
	// One frame of HEADERS, and CONTINUATION for the rest. RFC 9113, section 6.2: no other frame may come between.
	for rest := []byte(c.headers); first || len(rest) > 0; first = false {
		piece := rest[:min(len(rest), maxFrame)]
		rest = rest[len(piece):]
		if first {
			c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: piece, EndStream: end, EndHeaders: len(rest) == 0})
		} else {
			c.framer.WriteContinuation(id, len(rest) == 0, piece)
		}
	}
}

// answer gives RoundTrip its result. mu is held. Only the first answer counts.
func (s *stream) answer(resp *http.Response, err error) {
	if s.answered != nil {
		s.response, s.refused = resp, err
		close(s.answered)
		s.answered = nil
	}
}

// errHeaders is the error for headers of a response that make no sense.
var errHeaders = errors.New("h2client: the response's headers make no sense, or are too large")

// newResponse makes the response of s from its headers. status is less than 200 for one that is only informational.
func (s *stream) newResponse(f *http2.MetaHeadersFrame) (*http.Response, error) {
	text := f.PseudoValue("status")
	status, err := strconv.Atoi(text)
	if err != nil || len(text) != 3 || status < 100 || f.Truncated {
		return nil, errHeaders
	}
	// A length of -1 is "unknown", as http.Response has it.
	resp := &http.Response{
		Status: text + " " + http.StatusText(status), StatusCode: status, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: make(http.Header, len(f.RegularFields())), ContentLength: -1, Body: s,
	}
	for _, field := range f.RegularFields() {
		name := textproto.CanonicalMIMEHeaderKey(field.Name)
		resp.Header[name] = append(resp.Header[name], field.Value)
	}
	// A length that is no number, or several of them, is taken for none.
	if lengths := resp.Header["Content-Length"]; len(lengths) == 1 {
		if n, err := strconv.ParseUint(lengths[0], 10, 63); err == nil {
			resp.ContentLength = int64(n)
		}
	}
	return resp, nil
}
