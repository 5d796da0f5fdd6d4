package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/backend/replay"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/cursorerr"
)

// A meaning is what one of the bridge's own errors means to the client.
type meaning struct {
	code    agent.Code
	message string // "" is the bridge's
	// retryable says that another attempt may end better.
	retryable bool
}

// meanings is the table of the bridge's error codes. Those with another status than 5xx mean that we and the
// bridge don't fit together, which only the operator can repair. The caller's key is never at fault.
var meanings = map[string]meaning{
	"cursor_sdk_bridge_timeout":        {code: agent.UpstreamTimeout},
	"cursor_sdk_bridge_stream_closed":  {code: agent.Upstream, retryable: true},
	"cursor_sdk_bridge_not_configured": {code: agent.NotConfigured},
	"upstream_not_allowed":             {code: agent.NotConfigured},
	"unauthorized":                     {code: agent.NotConfigured, message: badToken},
	"request_too_large": {code: agent.ContextTooLong,
		message: "The conversation is larger than the bridge takes. Its limit is CURSOR_SDK_BRIDGE_MAX_JSON_BYTES."},
}

// badToken is the message when the bridge refuses its own token. The caller's key has nothing to do with it.
const badToken = "The bridge does not take our token. Check CURSOR_SDK_BRIDGE_TOKEN."

// refusal is the error for a response that is not a stream: the bridge's own error (a JSON error with a code
// or a message), or upstream's, passed on. data is its body. It is *agent.Error, or *cursorerr.Failure.
//
//	the body                                    is
//	JSON with an error's code or message        the bridge's own: the table, or Upstream when it isn't there
//	anything else                               upstream's, passed on: read as package localagent reads it
func refusal(resp *http.Response, data []byte, access *replay.Access) error {
	var own struct {
		Error struct{ Message, Code string } `json:"error"`
	}
	cause := fmt.Errorf("the bridge answers %s", resp.Status)
	if json.Unmarshal(data, &own) != nil || own.Error.Message == "" && own.Error.Code == "" {
		return access.Refused(cursorerr.LocalAgent().ReadResponse(resp, data))
	}
	// A code that isn't in the table may be a newer bridge's: its message is passed on.
	m, known := meanings[own.Error.Code]
	if !known {
		m = meaning{code: agent.Upstream}
		if resp.StatusCode == http.StatusUnauthorized {
			m = meanings["unauthorized"]
		}
	}
	if m.message == "" {
		m.message = own.Error.Message
	}
	err := &agent.Error{Code: m.code, Message: m.message, Err: cause}
	if m.retryable {
		return &cursorerr.Failure{Retryable: true, Err: err}
	}
	return err
}

// fault is the error for an answer that ended with err before it was complete: *agent.Error, or
// *cursorerr.Failure when another attempt may help.
func (a *answer) fault(err error) error {
	var known *agent.Error
	var connectErr *connectwire.Error
	var format *connectwire.FormatError
	switch {
	case errors.As(err, &known): // a *cursorerr.Failure wraps one, too
		return err
	case errors.As(err, &connectErr):
		return a.access.Refused(cursorerr.LocalAgent().Read(connectErr))
	case errors.As(err, &format):
		return &agent.Error{Code: agent.Upstream, Message: "The bridge sent what can't be understood.", Err: err}
	case errors.Is(err, io.EOF): // a good end frame, but the turn has not ended
		return &cursorerr.Failure{Retryable: true, Err: &agent.Error{Code: agent.Upstream, Message: "The upstream connection was cut before the answer was complete.", Err: err}}
	}
	return a.x.Fault(err)
}
