package localagent

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/connectwire"
	"composer-api/internal/cursorpb"
)

// A kind is what a failure of upstream means: what the client is told and what we may do about it.
type kind struct {
	code agent.Code
	// again: the same request may well succeed a moment later.
	again bool
	// token: the access token is at fault; a new one may do.
	token bool
	// hint goes before what upstream says.
	hint string
}

// detailType is the type of the detail that says what Cursor's backend means.
const detailType = "aiserver.v1.ErrorDetails"

var (
	notAuthenticated = kind{code: agent.InvalidKey, token: true}
	rateLimited      = kind{code: agent.RateLimited}
	quotaExceeded    = kind{code: agent.QuotaExceeded}
	forbidden        = kind{code: agent.PermissionDenied}
	noSuchModel      = kind{code: agent.ModelNotFound}
	tooLong          = kind{code: agent.ContextTooLong}
	passing          = kind{code: agent.Upstream, again: true}
)

// details is the table of ErrorDetails.error. The numbers are those of Cursor's public SDK. What isn't here goes by
// the Connect code beside it.
var details = map[int32]kind{
	1:  {code: agent.InvalidKey}, // bad API key
	42: {code: agent.InvalidKey}, // bad user API key
	2:  notAuthenticated,         // not logged in
	3:  notAuthenticated,         // invalid auth id
	11: notAuthenticated,         // auth token not found
	12: notAuthenticated,         // auth token expired
	18: notAuthenticated,         // agent requires login
	38: notAuthenticated,         // unauthorized

	7:  rateLimited, // free user's rate limit
	8:  rateLimited, // pro user's rate limit
	14: rateLimited, // the provider's rate limit
	22: rateLimited, // generic
	34: rateLimited, // of the API key
	41: rateLimited, // resource exhausted: which resource, it doesn't say
	50: rateLimited,
	51: rateLimited,
	9:  quotaExceeded, // free user's usage limit
	10: quotaExceeded, // pro user's usage limit
	44: {code: agent.PaymentRequired},
	45: {code: agent.PaymentRequired},

	4:  forbidden, // not high enough permissions
	23: forbidden, // pro users only
	54: forbidden, // suspicious usage
	64: forbidden, // unsupported region
	65: forbidden, // account closed
	30: {code: agent.PermissionDenied, hint: "Cursor asks for a newer client: set CURSOR_SDK_CLIENT_VERSION. "},

	5:  noSuchModel,                // bad model name
	58: noSuchModel,                // blocked for this account
	61: noSuchModel,                // no longer supported
	60: {code: agent.InvalidValue}, // needs max mode
	36: {code: agent.InvalidValue}, // bad request
	31: {code: agent.InvalidValue}, // an image is too large
	20: tooLong,                    // max tokens
	43: tooLong,                    // conversation too long

	13: passing, // the provider's own error
	56: passing, // network error
	57: passing, // provider error
	59: passing, // internal
	25: {code: agent.UpstreamTimeout, again: true},
	63: {code: agent.Overloaded, again: true}, // slow pool
}

// connectCodes is the table of Connect's codes. What isn't here is an upstream failure that is final.
var connectCodes = map[string]kind{
	"unauthenticated":    notAuthenticated,
	"permission_denied":  forbidden,
	"resource_exhausted": rateLimited,
	"invalid_argument":   {code: agent.InvalidValue},
	"unavailable":        {code: agent.Overloaded, again: true},
	"internal":           passing,
	"aborted":            passing,
	"deadline_exceeded":  {code: agent.UpstreamTimeout, again: true},
	"unimplemented": {
		code: agent.NotConfigured,
		hint: "The endpoint doesn't speak the local-agent protocol: check CURSOR_LOCAL_AGENT_ENDPOINT. ",
	},
}

// lostCodes are the Connect codes with which upstream says, on a continued conversation, that it can't continue it.
var lostCodes = map[string]bool{"not_found": true, "failed_precondition": true, "invalid_argument": true, "data_loss": true, "out_of_range": true}

// A failure is how a stream ended badly: the error for the client, and what may be done about it.
type failure struct {
	err   *agent.Error
	again bool // may be tried again
	token bool // with a new access token
	lost  bool // would mean a lost conversation if one was being continued
}

// failed makes a failure of whatever ended a stream.
func failed(err error) *failure {
	var known *failure
	var said *connectwire.Error
	var format *connectwire.FormatError
	var coded *agent.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &coded): // before what upstream said, which may be its cause
		return &failure{err: coded, again: coded.Code == agent.Upstream || coded.Code == agent.UpstreamTimeout || coded.Code == agent.Overloaded}
	case errors.As(err, &said):
		return upstreamSaid(said)
	case errors.As(err, &format):
		return &failure{again: true, err: &agent.Error{Code: agent.Upstream, Message: "Cursor's answer can't be understood.", Err: err}}
	case errors.Is(err, context.Canceled):
		return &failure{err: &agent.Error{Code: agent.Canceled, Err: err}}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{err: &agent.Error{Code: agent.UpstreamTimeout, Err: err}}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{again: true, err: &agent.Error{Code: agent.Upstream, Message: "The connection to Cursor ended before the answer did.", Err: err}}
	}
	return &failure{again: true, err: &agent.Error{Code: agent.Upstream, Message: "The connection to Cursor broke.", Err: err}}
}

// Error implements error, so that a failure passes through what returns errors.
func (f *failure) Error() string { return f.err.Error() }

// upstreamSaid reads an error of upstream's own.
func upstreamSaid(said *connectwire.Error) *failure {
	k, known := connectCodes[said.Code]
	if !known {
		k = kind{code: agent.Upstream}
	}
	message := said.Message
	f := &failure{lost: lostCodes[said.Code]}
	retryable := k.again
	for _, d := range said.Details {
		var e cursorpb.ErrorDetails
		if d.Type != detailType || proto.Unmarshal(d.Value, &e) != nil {
			continue
		}
		if better, ok := details[e.GetError()]; ok {
			k, f.lost = better, false
			retryable = k.again
		}
		message = cmp.Or(titled(e.GetDetails()), message)
		if r := e.GetDetails(); r != nil && r.IsRetryable != nil {
			retryable = r.GetIsRetryable()
		}
	}
	f.token = k.token
	f.again = retryable && mayRepeat(k.code)
	f.err = &agent.Error{Code: k.code, Message: k.hint + message, FromUpstream: message != "", Err: said}
	return f
}

// mayRepeat reports whether a failure of that kind may be tried again if upstream says so: a bad key, a limit, a
// payment or a bad model stay what they are.
func mayRepeat(c agent.Code) bool {
	switch c {
	case agent.Upstream, agent.UpstreamTimeout, agent.Overloaded, agent.Internal:
		return true
	}
	return false
}

// titled is what a detail has to say to a person.
func titled(d *cursorpb.CustomErrorDetails) string {
	title, detail := strings.TrimSpace(d.GetTitle()), strings.TrimSpace(d.GetDetail())
	switch {
	case title == "" || detail == "":
		return title + detail
	case strings.ContainsAny(title[len(title)-1:], ".!?:"):
		return title + " " + detail
	}
	return title + ": " + detail
}

// errTooSlow makes the failure of a stream that we gave up on.
func errTooSlow(format string, after time.Duration) *failure {
	return &failure{again: true, err: agent.Errorf(agent.UpstreamTimeout, format, after)}
}
