package sdkbridge

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/cursor/sdkv1"
)

// route reads errors as Cursor's servers mean them, with our hints.
var route = cursorerr.Route{Endpoint: "COMPOSER_SDK_BRIDGE", Version: "the bridge with 'composer-api upstream install'", NotFound: agent.ModelNotFound}

// callError is the error of a unary call, or of a stream that the bridge has ended with one.
func callError(err error) *agent.Error {
	var said *connectwire.Error
	var ours *agent.Error
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &said):
		return meaning(said.Code, said.Message, err)
	case errors.Is(err, context.DeadlineExceeded):
		return &agent.Error{Code: agent.UpstreamTimeout, Message: "Cursor's bridge did not answer in time. Please try again.", Err: err}
	case errors.Is(err, context.Canceled):
		return &agent.Error{Code: agent.Canceled, Err: err}
	}
	return &agent.Error{Code: agent.Upstream, Message: "The connection to Cursor's bridge broke. Please try again.", Err: err}
}

// coded finds the Connect code that the bridge puts in front of some messages: "[unavailable] try later".
var coded = regexp.MustCompile(`^\[([a-z_]+)\] ?(?s:(.*))$`)

// resultError is the error of a run that ended badly: the bridge tells it in words, sometimes with a code in front, and
// never sets the field for a code (bridge 1.0.0).
func resultError(result *sdkv1.RunResult) *agent.Error {
	cause := errors.New("the run ended as " + result.Status)
	if m := coded.FindStringSubmatch(result.ErrorMessage); m != nil {
		return meaning(m[1], m[2], cause)
	}
	return meaning("", result.ErrorMessage, cause)
}

// phrases are what tells kinds of failure apart where the bridge gives no code, in lower case. The first that is found
// counts. They are read off the texts of bridge 1.1.0 and of Cursor's own errors.
var phrases = []struct {
	text string
	code agent.Code
}{
	{"cannot use this model", agent.ModelNotFound},
	{"usage limit", agent.QuotaExceeded},
	{"rate limit", agent.RateLimited},
	{"too many requests", agent.RateLimited},
	{"usage-based pricing", agent.PaymentRequired},
	{"api key", agent.InvalidKey},
	{"not authenticated", agent.InvalidKey},
	{"context length", agent.ContextTooLong},
	{"conversation is too long", agent.ContextTooLong},
	{"network request failed", agent.Overloaded},
}

// meaning is the error that a Connect code ("" when unknown) and a message come to.
func meaning(code, message string, cause error) *agent.Error {
	if code == "" || code == "internal" || code == "invalid_argument" || code == "unknown" {
		lower := strings.ToLower(message)
		for _, p := range phrases {
			if strings.Contains(lower, p.text) {
				return &agent.Error{Code: p.code, Message: message, FromUpstream: true, Err: cause}
			}
		}
	}
	e := route.Read(&connectwire.Error{Code: code, Message: message}).Err
	if e.Code == agent.InvalidValue && !e.FromUpstream {
		e.Message = "Cursor refused the request and did not say why. Another model or a shorter conversation may help."
	}
	e.Err = errors.Join(cause, e.Err)
	return e
}

// isBusy reports whether an agent was refused because a run of it is on. The bridge says so in words alone.
func isBusy(e *agent.Error) bool { return strings.Contains(e.UserMessage(), "already has active run") }
