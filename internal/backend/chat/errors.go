package chat

import (
	"errors"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/sse"
)

// route says how upstream's errors are read. The only thing that a request names, and that may be missing,
// is the model.
var route = cursorerr.Route{
	Endpoint: "CURSOR_CHAT_ENDPOINT", Version: "CURSOR_CLIENT_VERSION", NotFound: agent.ModelNotFound,
}

// fault is the error for an answer that ended with err before it was complete: *agent.Error, or
// *cursorerr.Failure when another attempt may help. The order of the cases matters: an error of
// ours may have upstream's as its cause.
func (a *answer) fault(err error) error {
	var known *agent.Error
	var connectErr *connectwire.Error
	var format *connectwire.FormatError
	switch {
	case errors.As(err, &known): // a *cursorerr.Failure wraps one, too
		return err
	case errors.As(err, &connectErr):
		return a.access.Refused(route.Read(connectErr))
	case errors.As(err, &format), errors.Is(err, errFrame), errors.Is(err, sse.ErrTooLong): // the next answer would be no better
		return &agent.Error{Code: agent.Upstream, Message: "The upstream service sent what can't be understood.", Err: err}
	}
	return a.x.Fault(err)
}
