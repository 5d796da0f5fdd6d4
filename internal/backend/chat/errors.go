package chat

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/oneshot"
	"composer-api/internal/connectwire"
	"composer-api/internal/cursorauth"
	"composer-api/internal/cursorpb"

	"google.golang.org/protobuf/proto"
)

// codes is what Connect's codes mean here. What isn't here is agent.Upstream.
var codes = map[string]agent.Code{
	"unauthenticated":    agent.InvalidKey,
	"permission_denied":  agent.PermissionDenied,
	"resource_exhausted": agent.RateLimited,
	"unavailable":        agent.Overloaded,
	"deadline_exceeded":  agent.UpstreamTimeout,
	"not_found":          agent.ModelNotFound,
	"invalid_argument":   agent.InvalidValue,
	"unimplemented":      agent.NotConfigured, // the endpoint is not what we were told it is
}

// passes lists the failures that another attempt may mend.
var passes = map[agent.Code]bool{agent.Upstream: true, agent.Overloaded: true}

// passing marks what another attempt may mend. refused deals with a token that was not taken.
func passing(err *agent.Error, refused func(*agent.Error) error) error {
	if passes[err.Code] {
		return &oneshot.Retry{Err: err}
	}
	return refused(err)
}

// fault is what to make of the end of an answer that was no good end.
func (a *answer) fault(err error) error {
	var known *agent.Error
	var ended *connectwire.Error
	var format *connectwire.FormatError
	switch {
	case errors.As(err, &known): // a *oneshot.Retry, too
		return err
	case errors.As(err, &ended):
		return passing(endError(ended), a.refused)
	case errors.As(err, &format), errors.Is(err, errFrame):
		return &agent.Error{Code: agent.Upstream, Message: "The upstream service sent what can't be understood.", Err: err}
	}
	return a.x.Fault(err)
}

// endError is the error of an end frame.
func endError(e *connectwire.Error) *agent.Error {
	err := &agent.Error{Code: cmp.Or(codes[e.Code], agent.Upstream), Err: e}
	if err.Code == agent.NotConfigured {
		err.Message = "The upstream service has no such endpoint. Check CURSOR_CHAT_ENDPOINT."
		return err
	}
	err.Message = sentence(e)
	if err.Message == "" && err.Code != agent.InvalidKey { // our own sentence about keys says what to do
		err.Message = e.Message
	}
	err.FromUpstream = err.Message != ""
	return err
}

// sentence is what upstream has to say to a person: the title and detail of the first detail that has them, in JSON or
// in its bytes; "" when none has.
func sentence(e *connectwire.Error) string {
	for _, d := range e.Details {
		var debug struct {
			Details struct {
				Title  string `json:"title"`
				Detail string `json:"detail"`
			} `json:"details"`
		}
		if json.Unmarshal(d.Debug, &debug) == nil {
			if s := join(debug.Details.Title, debug.Details.Detail); s != "" {
				return s
			}
		}
		var details cursorpb.ErrorDetails
		if d.Type == "aiserver.v1.ErrorDetails" && proto.Unmarshal(d.Value, &details) == nil {
			if s := join(details.GetDetails().GetTitle(), details.GetDetails().GetDetail()); s != "" {
				return s
			}
		}
	}
	return ""
}

// join makes a sentence of a title and a detail, either of which may be missing or repeat the other.
func join(title, detail string) string {
	title, detail = strings.TrimSpace(title), strings.TrimSpace(detail)
	switch {
	case title == "" || strings.HasPrefix(detail, title):
		return detail
	case detail == "":
		return title
	case strings.ContainsAny(title[len(title)-1:], ".!?:"):
		return title + " " + detail
	}
	return title + ": " + detail
}

// statusError is the refusal of a request by an HTTP status.
func statusError(resp *http.Response, body []byte) *agent.Error {
	err := endError(connectwire.ParseError(resp.StatusCode, body))
	err.RetryAfter = cursorauth.RetryAfter(resp.Header, time.Now())
	switch resp.StatusCode {
	case http.StatusPaymentRequired:
		err.Code = agent.PaymentRequired
	case http.StatusGatewayTimeout:
		err.Code = agent.UpstreamTimeout
	case http.StatusRequestEntityTooLarge:
		err.Code = agent.ContextTooLong
	}
	err.Err = fmt.Errorf("%s: %w", resp.Status, err.Err)
	return err
}
