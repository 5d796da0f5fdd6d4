package sdkbridge

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/cursor/sdkv1"
)

// What the bridge's errors mean. It tells most of them in words alone, so the words have to be read;
// where a newer bridge says more, a code comes first. Source: the texts of bridges 1.0.0 and 1.1.0.

// route reads errors as Cursor's servers mean them, with our hints.
var route = cursorerr.Route{Endpoint: "CURSOR_BACKEND_BASE_URL", Version: "another version of the bridge", NotFound: agent.ModelNotFound}

// lasting is a failure that another attempt would not change.
func lasting(err *agent.Error) *cursorerr.Failure { return &cursorerr.Failure{Err: err} }

// failed is the failure of a unary call, or of a stream that broke or that the bridge has ended with an error.
//
//	the error                          another attempt
//	an error of ours                   no
//	not_found: the agent is unknown    yes, on a new one
//	any other of the bridge            as cursorerr's table says
//	a time-out, the end of a context   no
//	the connection broke               yes: the bridge may have died
func failed(err error) *cursorerr.Failure {
	var answer *connectwire.Error
	var ours *agent.Error
	switch {
	case errors.As(err, &ours):
		return lasting(ours)
	case errors.As(err, &answer) && answer.Code == "not_found":
		return &cursorerr.Failure{Retryable: true, Err: &agent.Error{Code: agent.Upstream, Message: "Cursor's bridge has lost the conversation. Please try again.", Err: err}}
	case errors.As(err, &answer):
		f := meaning(answer.Code, answer.Message, err)
		f.BadToken = false // the bridge sees to its tokens
		return f
	case errors.Is(err, context.DeadlineExceeded):
		return lasting(&agent.Error{Code: agent.UpstreamTimeout, Message: "Cursor's bridge did not answer in time. Please try again.", Err: err})
	case errors.Is(err, context.Canceled):
		return lasting(&agent.Error{Code: agent.Canceled, Err: err})
	}
	return &cursorerr.Failure{Retryable: true, Err: &agent.Error{Code: agent.Upstream, Message: "The connection to Cursor's bridge broke. Please try again.", Err: err}}
}

// The forms in which the bridge tells what upstream said: a Connect code before the message, and a status in its place.
var (
	coded  = regexp.MustCompile(`^\[([a-z_]+)\] ?(?s:(.*))$`)
	status = regexp.MustCompile(`^HTTP ([1-5][0-9]{2})$`)
)

// notRetried are the codes that the bridge passes on at once. After all others, when they come with nothing but a message,
// it asks upstream three times more, for about 15 seconds. What it says without a code was not retried either.
var notRetried = []string{"unauthenticated", "permission_denied"}

// resultError is the error of a run that ended badly. The bridge tells it in words, sometimes with a code in front, and
// never sets the field for a code (bridge 1.0.0). It is final if the bridge has retried: our clients are told not to do it
// all again.
func resultError(result *sdkv1.RunResult) *agent.Error {
	cause := errors.New("the run ended as " + result.Status)
	m := coded.FindStringSubmatch(result.ErrorMessage)
	if m == nil {
		e := meaning("", result.ErrorMessage, cause).Err
		if result.ErrorMessage == "" {
			e.Message = ended[result.Status]
		}
		return e
	}
	e := meaning(m[1], m[2], cause).Err
	e.Final = e.Final || !slices.Contains(notRetried, m[1])
	return e
}

// ended are the sentences for runs that ended badly and of which nothing more is known.
var ended = map[string]string{
	sdkv1.StatusCancelled: "Cursor has cancelled the run. Please try again.",
	sdkv1.StatusExpired:   "The run has taken too long for Cursor. Please try again.",
}

// phrases are what tells kinds of failure apart where the bridge gives no code, in lower case. The first that is found
// counts. They are read off the texts of bridge 1.1.0 and of Cursor's own errors.
var phrases = []struct {
	text     string
	code     agent.Code
	again    bool
	sentence string // in place of the bridge's; "" keeps that
}{
	{"cannot use this model", agent.ModelNotFound, false, ""},
	{"usage limit", agent.QuotaExceeded, false, ""},
	{"rate limit", agent.RateLimited, false, ""},
	{"too many requests", agent.RateLimited, false, ""},
	{"usage-based pricing", agent.PaymentRequired, false, ""},
	{"payment required", agent.PaymentRequired, false, ""},
	{"payment method", agent.PaymentRequired, false, ""},
	{"api key", agent.InvalidKey, false, ""},
	{"not authenticated", agent.InvalidKey, false, ""},
	{"context length", agent.ContextTooLong, false, ""},
	{"conversation is too long", agent.ContextTooLong, false, ""},
	{"network request failed", agent.Overloaded, true, "Cursor's bridge can't reach Cursor. Check this machine's connection and its proxy settings."},
	// It names the agent, which is nothing for a client.
	{"already has active run", agent.Overloaded, false, "The conversation is busy with another request. Please try again shortly."},
}

// wordless are the messages that say nothing: the bridge puts them where it has lost what upstream said.
var wordless = []string{"", "Error"}

// meaning is the failure that a Connect code ("" when unknown) and a message come to. A code
// that says nothing ("internal", "unknown") leaves it to the words; any other code is believed.
func meaning(code, message string, cause error) *cursorerr.Failure {
	if code == "" || code == "internal" || code == "invalid_argument" || code == "unknown" {
		// In a fixed order: the first phrase that fits counts.
		lower := strings.ToLower(message)
		for _, p := range phrases {
			if strings.Contains(lower, p.text) {
				return &cursorerr.Failure{Retryable: p.again, Err: &agent.Error{
					Code: p.code, Message: cmp.Or(p.sentence, message), FromUpstream: p.sentence == "", Err: cause,
				}}
			}
		}
	}
	if m := status.FindStringSubmatch(message); m != nil {
		return byStatus(m[1], cause)
	}
	// Such a message says nothing to a person, so it is not shown as Cursor's words.
	if slices.Contains(wordless, message) {
		message = ""
	}
	f := route.Read(&connectwire.Error{Code: code, Message: message})
	if f.Err.Code == agent.InvalidValue && !f.Err.FromUpstream {
		f.Err.Message = "Cursor refused the request and did not say why. Another model or a shorter conversation may help."
	}
	f.Err.Err = errors.Join(cause, f.Err.Err)
	return f
}

// byStatus is the failure that upstream's refusal by an HTTP status comes to. Its words are lost.
func byStatus(text string, cause error) *cursorerr.Failure {
	code, _ := strconv.Atoi(text)
	f := route.ReadResponse(&http.Response{StatusCode: code, Status: text}, nil)
	f.Err.Err = errors.Join(cause, f.Err.Err)
	return f
}
