package cursorerr

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// How much of the body of a refusal is read, in bytes, and for how long: its status says most, so nobody is to wait for words that may
// never come. Whoever reads one keeps the part that has come.
const (
	MaxRefusal     = 64 << 10
	RefusalTimeout = 2 * time.Second
)

// A Route is an endpoint of Cursor's backend, as far as its errors differ from those of other endpoints.
//
// Each backend has one: localagent and bridge use LocalAgent, chat and sdkbridge one of their own.
type Route struct {
	Endpoint string     // the setting that names it, for hints: "CURSOR_CHAT_ENDPOINT"
	Version  string     // the setting of the client version that it is told
	NotFound agent.Code // what is not there when it says not_found
}

// LocalAgent is the route of the local-agent protocol. There "not_found" is not about the model, but about
// a conversation or a blob.
func LocalAgent() Route {
	return Route{Endpoint: "CURSOR_LOCAL_AGENT_ENDPOINT", Version: "CURSOR_SDK_CLIENT_VERSION", NotFound: agent.Upstream}
}

// A Failure is how an exchange with upstream failed: the error for the client, and what may be done about
// it. More than one of the fields may be set.
//
// It goes from the place where an error is met to package retry, which decides what follows;
// only Err goes on to the client.
type Failure struct {
	// Err is never nil.
	Err              *agent.Error
	Retryable        bool // the same request may succeed a moment later
	BadToken         bool // the access token was not taken; it should be dropped, and a new one may do
	LostConversation bool // would mean a lost conversation if one was being continued
	// OwnTimeout says that it was we who gave up waiting, so that the client has waited as long as we have.
	OwnTimeout bool
}

// Error implements error, so that a Failure can be returned as one.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns Err, so that errors.As finds the *agent.Error.
func (f *Failure) Unwrap() error { return f.Err }

// Read reads the error with which upstream ended a stream.
//
// The result is the caller's: it may add to Err (a cause, a time to wait) before it passes it on.
func (r Route) Read(e *connectwire.Error) *Failure {
	m, known := connectCodes[e.Code]
	switch {
	case e.Code == "not_found":
		m = meaning{code: r.NotFound, final: true}
	case !known:
		m = unknown
	}
	return r.failure(m, e)
}

// ReadResponse reads an answer whose status is a refusal. body is as much of its body as matters; the
// response's own is not read, and the caller closes it.
//
//	the answer                                   decided by
//	402, 408, 413, 504                           statuses
//	a 5xx above 500 whose code is unknown        temporary
//	everything else                              Read, by the body's code or the one made from the status
func (r Route) ReadResponse(resp *http.Response, body []byte) *Failure {
	e := connectwire.ParseError(resp.StatusCode, body)
	f := r.Read(e)
	// A status of our own table comes first. A 5xx that no Connect server sent is from a proxy between
	// us and upstream, which may be over in a moment.
	if m, more := statuses[resp.StatusCode]; more {
		f = r.failure(m, e)
	} else if resp.StatusCode > http.StatusInternalServerError && e.Code == "unknown" { // of somebody between us
		f = r.failure(temporary, e)
	}
	f.Err.RetryAfter = auth.RetryAfter(resp.Header, time.Now())
	f.Err.Err = fmt.Errorf("%s: %w", resp.Status, e)
	return f
}

// failure makes the Failure for upstream's error e, whose code or status means m. The details, if there
// are any, are more precise: a number of Cursor's own takes the place of the code, and is_retryable that
// of our opinion about a retry.
//
// Several details are rare. The last known number counts, and the first sentence.
func (r Route) failure(m meaning, e *connectwire.Error) *Failure {
	f := &Failure{LostConversation: lostCodes[e.Code]}
	var words string
	var retryable *bool
	for i := range e.Details {
		d := readDetail(&e.Details[i])
		if better, ok := numbers[d.number]; ok {
			m, f.LostConversation = better, false
		}
		words = cmp.Or(words, sentence(d.title, d.detail))
		retryable = cmp.Or(retryable, d.retryable)
	}
	f.BadToken, f.Retryable = m.badToken, m.retryable
	// is_retryable is obeyed only where a retry can help at all: a bad key or a limit stays what it is.
	if retryable != nil {
		f.Retryable = *retryable && MayPass(m.code)
		m.final = m.final || !*retryable && MayPass(m.code) // a limit passes with time, whatever upstream says of a retry
	}
	if m.code != agent.InvalidKey && e.Message != emptyMessage { // our own sentence about keys says what to do
		words = cmp.Or(words, e.Message)
	}
	f.Err = &agent.Error{Code: m.code, Message: words, FromUpstream: words != "", Final: m.final && !f.Retryable, Err: e}
	if m.hint != nil {
		f.Err.Message = strings.TrimSpace(m.hint(r) + " " + words)
	}
	return f
}

// emptyMessage is the message that upstream puts where all there is to say is in the details. When they
// hold no sentence either, our own for the code says more.
const emptyMessage = "Error"

// A detail is what upstream reports beside a Connect code: aiserver.v1.ErrorDetails{error, details{title,
// detail, is_retryable}}.
type detail struct {
	// number is of upstream's enum of errors; 0 says nothing. title and detail are texts for a user.
	number        int32
	title, detail string
	retryable     *bool // nil: it doesn't say
}

// detailType is the type of the message that holds it.
const detailType = "aiserver.v1.ErrorDetails"

// readDetail reads a detail from its bytes, and its sentence also from its JSON (debug), which is all that
// some servers send. A detail of another type is empty.
//
// The bytes and the JSON say the same; the bytes are preferred, because JSON is for people and
// may be left out.
func readDetail(d *connectwire.Detail) detail {
	var read detail
	var e pb.ErrorDetails
	if d.Type == detailType && proto.Unmarshal(d.Value, &e) == nil {
		read = detail{e.GetError(), e.GetDetails().GetTitle(), e.GetDetails().GetDetail(), nil}
		if e.GetDetails() != nil {
			read.retryable = e.GetDetails().IsRetryable
		}
	}
	var debug struct {
		Details struct {
			Title  string `json:"title"`
			Detail string `json:"detail"`
		} `json:"details"`
	}
	if read.title == "" && read.detail == "" && json.Unmarshal(d.Debug, &debug) == nil {
		read.title, read.detail = debug.Details.Title, debug.Details.Detail
	}
	return read
}

// WithoutSecrets returns a copy of err, without its message or its cause if upstream has
// repeated one of the secrets there. err itself is not changed. A server that quotes the
// request would otherwise put a key into our log or the client's answer.
func WithoutSecrets(err *agent.Error, secrets ...agent.Secret) *agent.Error {
	clean := *err
	if clean.Err != nil && holdsOne(clean.Err.Error(), secrets) {
		clean.Err = nil
	}
	if holdsOne(clean.Message, secrets) {
		clean.Message, clean.FromUpstream = "", false
	}
	return &clean
}

// holdsOne reports whether s contains one of the secrets.
func holdsOne(s string, secrets []agent.Secret) bool {
	return slices.ContainsFunc(secrets, func(secret agent.Secret) bool {
		return !secret.IsZero() && strings.Contains(s, secret.Reveal())
	})
}

// sentence joins a title and a detail, either of which may be missing or repeat the other.
func sentence(title, detail string) string {
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
