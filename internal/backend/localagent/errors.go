package localagent

import (
	"context"
	"errors"
	"io"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/cursorerr"
)

// What the error of a stream means: for the user (a code and a sentence), and for the run (whether
// another attempt may help). cursorerr knows upstream's own errors; here are those of the way there.

// failed turns the error that ended a stream, or prevented one, into a Failure: upstream's own error, a broken
// connection, bytes that make no sense, a time-out or the end of a context. It says whether another attempt may
// help. The order of the cases matters where one error wraps another. It never returns nil.
//
//	the error                                  another attempt
//	a Failure                                  as it says
//	an *agent.Error (of the key exchange)      when its code may pass
//	upstream's own, on the stream              as cursorerr's table says
//	a frame that is too large                  no
//	bytes that make no sense                   yes
//	canceled, or the caller's deadline         no
//	the connection ended or broke              yes
func failed(err error) *cursorerr.Failure {
	var known *cursorerr.Failure
	var connectErr *connectwire.Error
	var format *connectwire.FormatError
	var coded *agent.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &coded): // before what upstream said, which may be its cause
		return &cursorerr.Failure{Retryable: cursorerr.MayPass(coded.Code), Err: coded}
	case errors.As(err, &connectErr):
		return cursorerr.LocalAgent().Read(connectErr)
	case errors.As(err, &format) && format.TooLarge: // reading as much once more would help nobody
		return &cursorerr.Failure{Err: &agent.Error{Code: agent.Upstream, Message: "Cursor sent more at once than can be taken.", Err: err}}
	case errors.As(err, &format):
		return connectionFailure("Cursor's answer can't be understood.", err)
	case errors.Is(err, context.Canceled):
		return &cursorerr.Failure{Err: &agent.Error{Code: agent.Canceled, Err: err}}
	case errors.Is(err, context.DeadlineExceeded):
		return &cursorerr.Failure{Err: &agent.Error{Code: agent.UpstreamTimeout, Err: err}}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return connectionFailure("The connection to Cursor ended before the answer did.", err)
	}
	return connectionFailure("The connection to Cursor broke.", err)
}

// connectionFailure is the failure of a connection; another attempt may succeed.
func connectionFailure(message string, cause error) *cursorerr.Failure {
	return &cursorerr.Failure{Retryable: true, Err: &agent.Error{Code: agent.Upstream, Message: message, Err: cause}}
}

// tooSlow is the failure of a stream that exceeded a time limit of ours, which is the one value that format takes. The next attempt
// takes a new connection.
func tooSlow(format string, after time.Duration) *cursorerr.Failure {
	return &cursorerr.Failure{Retryable: true, OwnTimeout: true, Err: agent.Errorf(agent.UpstreamTimeout, format, after)}
}
