package demo

import (
	"cmp"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/sim/script"
)

// byConnectCode says what a scripted error means to a client. A code that isn't here is a failure of
// upstream. It is not cursorerr's table: the demo has no wire whose errors would have to be read.
var byConnectCode = map[string]agent.Code{
	"unauthenticated":    agent.InvalidKey,
	"permission_denied":  agent.PermissionDenied,
	"resource_exhausted": agent.RateLimited,
	"unavailable":        agent.Overloaded,
	"deadline_exceeded":  agent.UpstreamTimeout,
	"invalid_argument":   agent.InvalidValue,
	"not_found":          agent.ModelNotFound,
}

// byDetail says it for numbers of Cursor's enum of errors (detail=N), which are more precise than the code: who tries how a client
// takes a conversation that is too long needs that very error. Those of the library's scripts are here. Source: cursorerr's table.
var byDetail = map[int]agent.Code{
	5:  agent.ModelNotFound,
	10: agent.QuotaExceeded,
	20: agent.ContextTooLong,
	44: agent.PaymentRequired,
}

// byStatus is the same for HTTP statuses.
var byStatus = map[int]agent.Code{
	401: agent.InvalidKey,
	402: agent.PaymentRequired,
	403: agent.PermissionDenied,
	404: agent.ModelNotFound,
	429: agent.RateLimited,
	503: agent.Overloaded,
	504: agent.UpstreamTimeout,
}

// refusal is the error that a step is; nil for any other step.
//
// FromUpstream lets the client see the script's words. An error without words gets the gateway's
// own sentence for the code.
func refusal(step script.Step) error {
	switch s := step.(type) {
	case script.Error:
		message := strings.TrimSuffix(strings.TrimPrefix(s.Title+": "+s.Message, ": "), ": ")
		return &agent.Error{Code: cmp.Or(byDetail[s.Detail], byConnectCode[s.Code], agent.Upstream), Message: message, FromUpstream: true}
	case script.Status:
		return &agent.Error{Code: cmp.Or(byStatus[s.Code], agent.Upstream), Message: s.Message, FromUpstream: s.Message != "", RetryAfter: s.RetryAfter}
	}
	return nil
}
