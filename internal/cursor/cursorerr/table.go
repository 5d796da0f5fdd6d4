package cursorerr

import (
	"net/http"

	"composer-api/internal/agent"
)

// What upstream's numbers, codes and statuses mean. To learn a new error is to add a row here;
// the code that reads the tables stays as it is.

// A meaning is what a number or a code says: the code for our client, and what may be done.
type meaning struct {
	// code is what our client is told.
	code agent.Code
	// again: the same request may well succeed a moment later.
	retryable bool
	// token: the access token is at fault; a new one may do.
	badToken bool
	// final: the same request would fail the same way, so that clients should not send it again.
	final bool
	// hint goes before what upstream says; nil is nothing.
	hint func(Route) string
}

// The meanings that several rows share.
var (
	notAuthenticated = meaning{code: agent.InvalidKey, badToken: true}
	rateLimited      = meaning{code: agent.RateLimited}
	quotaExceeded    = meaning{code: agent.QuotaExceeded}
	forbidden        = meaning{code: agent.PermissionDenied}
	noSuchModel      = meaning{code: agent.ModelNotFound}
	tooLong          = meaning{code: agent.ContextTooLong}
	temporary        = meaning{code: agent.Upstream, retryable: true}
	timedOut         = meaning{code: agent.UpstreamTimeout, retryable: true}
	unknown          = meaning{code: agent.Upstream} // may or may not last
	permanent        = meaning{code: agent.Upstream, final: true}
)

// numbers is the table of ErrorDetails.error, which is an enum. The numbers and their names are those of
// Cursor's public SDK. A number that isn't here is ignored, and the Connect code beside it decides.
//
// The names beside them are shortened. Two numbers that a client would handle alike share a meaning.
var numbers = map[int32]meaning{
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
	30: {code: agent.PermissionDenied, hint: func(r Route) string {
		return "Cursor asks for a newer client: set " + r.Version + "."
	}},

	5:  noSuchModel,                // bad model name
	58: noSuchModel,                // blocked for this account
	61: noSuchModel,                // no longer supported
	60: {code: agent.InvalidValue}, // needs max mode
	36: {code: agent.InvalidValue}, // bad request
	31: {code: agent.InvalidValue}, // an image is too large
	20: tooLong,                    // max tokens
	43: tooLong,                    // conversation too long

	13: temporary, // the provider's own error
	56: temporary, // network error
	57: temporary, // provider error
	59: temporary, // internal
	25: timedOut,
	63: {code: agent.Overloaded, retryable: true}, // slow pool
}

// connectCodes is the table of Connect's codes. not_found depends on the route, see Route.Read. A code
// that isn't here is unknown.
var connectCodes = map[string]meaning{
	"unauthenticated":    notAuthenticated,
	"permission_denied":  forbidden,
	"resource_exhausted": rateLimited,
	"invalid_argument":   {code: agent.InvalidValue},
	"unavailable":        {code: agent.Overloaded, retryable: true},
	"internal":           temporary,
	"aborted":            temporary,
	"deadline_exceeded":  timedOut,
	// The request itself is fine, but upstream's state rules it out; or upstream has ended the run on purpose.
	"failed_precondition": permanent,
	"canceled":            permanent,
	"unimplemented": {code: agent.NotConfigured, hint: func(r Route) string {
		return "Cursor has no such endpoint: check " + r.Endpoint + "."
	}},
}

// lostCodes are the Connect codes with which upstream says, when a conversation is continued, that
// it can't be continued. Then the backend may open a new one from the transcript. They mean that
// only then: without a conversation to continue, they are errors of the request itself.
var lostCodes = map[string]bool{"not_found": true, "failed_precondition": true, "invalid_argument": true, "data_loss": true, "out_of_range": true}

// statuses are the HTTP statuses that say more than Connect's table makes of them.
var statuses = map[int]meaning{
	http.StatusPaymentRequired:       {code: agent.PaymentRequired},
	http.StatusRequestEntityTooLarge: tooLong,
	http.StatusRequestTimeout:        timedOut, // a proxy waited too long, most likely for an old connection
	http.StatusGatewayTimeout:        timedOut,
}

// MayPass reports whether a failure with this code may be retried if upstream says so. A bad key, a limit,
// a payment or a bad model will be the same a moment later.
func MayPass(c agent.Code) bool {
	return c == agent.Upstream || c == agent.UpstreamTimeout || c == agent.Overloaded
}
