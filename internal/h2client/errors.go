package h2client

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/net/http2"
)

// ErrUnprocessed is part of an error which says that the server has not acted on the request, so that it may be sent again
// over another connection: it was never sent, the server has refused the stream, or it is going away and hasn't looked at it.
var ErrUnprocessed = errors.New("the server has not acted on the request")

var (
	// errClosed ends the streams of a connection that its owner has closed.
	errClosed = errors.New("h2client: the connection was closed")
	// errBody is what Read returns after Close of the response's body.
	errBody = errors.New("h2client: the response's body was closed")
	// errIdle ends a connection that had no stream for Config.IdleTimeout. It has no stream that could get it.
	errIdle = errors.New("h2client: the connection was not in use")
	// errGoneAway is for requests that a server which goes away has not looked at, by its own word (RFC 9113, section 6.8).
	errGoneAway = fmt.Errorf("h2client: the server is going away: %w", ErrUnprocessed)
	// errNoPlace is for a request that would be one more than the server allows. Nothing was sent of it.
	errNoPlace = fmt.Errorf("h2client: the connection has no place for a stream: %w", ErrUnprocessed)
	// errSilent ends a connection on which nothing came after a ping. Whether its requests were processed is not known.
	errSilent = fmt.Errorf("h2client: the server didn't answer a ping: %w", os.ErrDeadlineExceeded)
)

// connError is the error of a connection whose server has broken the protocol.
func connError(code http2.ErrCode, what string) error {
	return fmt.Errorf("h2client: %s: %w", what, http2.ConnectionError(code))
}

// streamError is the error of a stream that the server has reset.
func streamError(id uint32, code http2.ErrCode) error {
	err := error(http2.StreamError{StreamID: id, Code: code})
	if code == http2.ErrCodeRefusedStream {
		// Source: RFC 9113, section 8.7: such a stream was closed before the server did anything with it.
		return fmt.Errorf("h2client: %w (%w)", err, ErrUnprocessed)
	}
	return fmt.Errorf("h2client: the server has ended the stream: %w", err)
}

// catch, deferred, ends the connection when there is a panic: a bug of ours must not end the process, and with it the streams
// of all other connections.
func (c *conn) catch() {
	if p := recover(); p != nil {
		c.fail(fmt.Errorf("h2client: panic: %v\n%s", p, debug.Stack()))
	}
}
