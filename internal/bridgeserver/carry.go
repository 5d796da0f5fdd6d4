package bridgeserver

import (
	"cmp"
	"context"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/replay"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"

	"composer-api/internal/cursor/agentwire"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Carrying one stream: what comes from upstream goes to the caller frame by frame, and beside
// that the bridge speaks for the caller where a client of upstream must: heartbeats, and the
// answer to the request context.

// A carrier carries one stream from upstream to a caller. It belongs to the goroutine that serves the
// request. Two others work beside it: the transport's, which reads the request body (outgoing), and the
// one of outgoing.beat; both end when that body is closed.
type carrier struct {
	// server and w don't change.
	server *Server
	w      http.ResponseWriter
	begun  bool // the response's status is out
	frames int  // passed on
}

// carry opens the stream and passes its frames on until it ends. nil means that the caller got the end
// that upstream sent. It closes everything that it has opened.
//
//	ends with                         the caller gets
//	upstream's end frame              that frame
//	an error before the status        an error of the contract
//	an error after it                 an end frame of ours (fail)
//	the caller's leaving              nothing; upstream's stream is reset
func (c *carrier) carry(ctx context.Context, q *request, target string) *failure {
	config := &c.server.config
	out := newOutgoing(q.frame)
	defer out.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, out)
	if err != nil {
		return errNotConfigured.withCause(err)
	}
	req.Header = agentwire.CarriedHeader(q.run, agent.NewSecret(q.AccessToken), cmp.Or(q.ClientVersion, config.ClientVersion), q.RequestID, c.server.blobSecret)
	x, err := replay.Send(ctx, config.Transport, req, "CURSOR_BACKEND_BASE_URL", replay.Limits{Start: config.Timeout, Stall: config.Timeout})
	if err != nil {
		return broken(err)
	}
	defer x.Close()
	// When the caller leaves, closing the exchange ends the read in pass.
	// The call at the end takes the function off again, once the stream is over.
	defer context.AfterFunc(ctx, func() { x.Close() })() // the caller leaves

	// Status and content type are upstream's, also when it refuses.
	kind := x.Response.Header.Get("Content-Type")
	c.w.Header().Set("Content-Type", kind)
	c.w.WriteHeader(x.Response.StatusCode)
	c.begun = true
	// A 200 that is no stream is passed on as it is, like a refusal.
	if mediaType, _, _ := mime.ParseMediaType(kind); x.Response.StatusCode != http.StatusOK || mediaType != connectwire.ContentType {
		return c.copy(x)
	}
	go func() {
		defer agent.CatchPanic(func(err *agent.Error) {
			c.server.config.Log.Error("heartbeats of a stream panicked", "err", err)
			x.Close()
		})
		out.beat()
	}()
	return c.pass(x, out, q.run.GetMcpTools().GetMcpTools())
}

// copy passes on an answer that is not a stream: a refusal by upstream, as it is. It is read
// until upstream ends it or is too slow.
func (c *carrier) copy(x *replay.Exchange) *failure {
	if _, err := io.Copy(c.w, x); err != nil {
		panic(http.ErrAbortHandler) // nothing else tells the caller that this is not all
	}
	return nil
}

// pass passes the frames on, and answers the exec that asks for the request context: the caller has sent
// the tools with its run, and expects the bridge to answer for it. It flushes when nothing more is
// buffered, so that a burst costs one write. Frames are passed on uncompressed, because the caller's
// request did not say that it accepts compression.
//
// It returns at the first end frame; what upstream may send after that is not read.
func (c *carrier) pass(x *replay.Exchange, out *outgoing, tools []*pb.McpToolDefinition) *failure {
	in := connectwire.NewReader(x, 0)
	var frame []byte
	for {
		// Before the next read may wait: what was written must be with the caller by then.
		if !in.Buffered() {
			if err := c.flush(); err != nil {
				return errClosed.withCause(err)
			}
		}
		flags, payload, err := in.Envelope()
		if err != nil {
			return broken(x.Fault(err))
		}
		if id, ok := requestContextExec(flags, payload); ok {
			out.put(agentwire.RequestContextAnswer(id, tools))
			continue
		}
		frame = connectwire.Append(frame[:0], flags&^connectwire.Compressed, payload) // payload is plain by now
		c.limitWrite()
		if _, err := c.w.Write(frame); err != nil {
			return errClosed.withCause(err)
		}
		c.frames++
		if flags&connectwire.EndOfStream != 0 {
			return nil
		}
	}
}

// limitWrite gives the caller, from now until flush, a limited time to read: one that no longer reads
// must not hold a stream for ever.
func (c *carrier) limitWrite() {
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(c.server.config.Timeout)) // not every writer has one
}

// flush sends what was written and removes the deadline. If one stayed, it would end an HTTP/2 stream on
// which nothing is written.
func (c *carrier) flush() error {
	c.limitWrite()
	response := http.NewResponseController(c.w)
	err := response.Flush()
	_ = response.SetWriteDeadline(time.Time{})
	return err
}

// fieldExec is AgentServerMessage.exec_server_message.
const fieldExec protowire.Number = 2

// requestContextExec reports whether a frame asks for the request context, and in which exec.
func requestContextExec(flags byte, payload []byte) (id uint32, ok bool) {
	if flags&connectwire.EndOfStream != 0 || !hasField(payload, fieldExec) {
		return 0, false
	}
	m := &pb.AgentServerMessage{}
	if proto.Unmarshal(payload, m) != nil {
		return 0, false
	}
	exec := m.GetExecServerMessage()
	return exec.GetId(), exec.GetRequestContextArgs() != nil
}

// hasField reports whether a message has a field at its top level, without decoding it: most frames are
// text, which would be decoded for nothing. A malformed message counts as one without the field.
func hasField(message []byte, want protowire.Number) bool {
	for len(message) > 0 {
		field, _, n := protowire.ConsumeField(message)
		// n below 0 is what isn't protobuf.
		if n < 0 || field == want {
			return n >= 0
		}
		message = message[n:]
	}
	return false
}

// broken is the failure for an error of the exchange: upstream was too slow, or the stream broke.
func broken(err error) *failure {
	if agent.CodeOf(err) == agent.UpstreamTimeout {
		return errTimeout.withCause(err)
	}
	return errClosed.withCause(err)
}

// fail reports the failure to the caller: by status, or, when that is out, by an end-of-stream frame.
func (c *carrier) fail(f *failure) {
	if !c.begun {
		f.write(c.w)
		return
	}
	_, _ = c.w.Write(f.endFrame()) // a caller that has left doesn't mind
	_ = c.flush()
}

// outgoing is the body of the request to upstream: the run's frame, and then what is put. It stays open
// as long as the stream, because heartbeats go into it. The transport reads it, from a goroutine of its
// own; put and Close may be called by any goroutine.
type outgoing struct {
	frames chan []byte // few, because upstream reads them at once; never closed
	rest   []byte      // what Read has not given yet
	once   sync.Once   // closes closed
	// closed ends a Read that waits, and a put.
	closed chan struct{}
}

// newOutgoing makes a body that begins with first. first is not copied and must not be changed.
func newOutgoing(first []byte) *outgoing {
	return &outgoing{frames: make(chan []byte, 4), rest: first, closed: make(chan struct{})}
}

// Read implements io.Reader, for the transport. It waits for the next frame, and returns io.EOF after
// Close.
func (o *outgoing) Read(p []byte) (int, error) {
	if len(o.rest) == 0 {
		select {
		case o.rest = <-o.frames:
		case <-o.closed:
			return 0, io.EOF
		}
	}
	// A frame may be larger than what the transport takes at once.
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

// Close implements io.Closer. The transport calls it, too. It may be called more than once.
func (o *outgoing) Close() error {
	o.once.Do(func() { close(o.closed) })
	return nil
}

// put queues a frame. It waits while upstream doesn't read, and does nothing after Close.
func (o *outgoing) put(frame []byte) {
	select {
	case o.frames <- frame:
	case <-o.closed:
	}
}

// beat sends heartbeats until the body is closed. The protocol asks every client for them. It
// is a goroutine of its own, which ends with the body.
func (o *outgoing) beat() {
	every := time.NewTicker(agentwire.HeartbeatEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			o.put(agentwire.ClientHeartbeat())
		case <-o.closed:
			return
		}
	}
}
