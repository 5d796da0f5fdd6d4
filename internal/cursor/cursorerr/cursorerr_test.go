package cursorerr

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

var route = Route{Endpoint: "THE_ENDPOINT", Version: "THE_VERSION", NotFound: agent.ModelNotFound}

// upstreamError is an error as upstream sends it, with a detail when there is anything to put into it.
func upstreamError(code, message string, number int32, d *pb.CustomErrorDetails) *connectwire.Error {
	e := &connectwire.Error{Code: code, Message: message}
	if number != 0 || d != nil {
		value, err := proto.Marshal(&pb.ErrorDetails{Error: number, Details: d})
		if err != nil {
			panic(err)
		}
		e.Details = []connectwire.Detail{{Type: detailType, Value: value}}
	}
	return e
}

// inJSON is an error whose detail comes as JSON alone.
func inJSON(code, debug string) *connectwire.Error {
	return &connectwire.Error{Code: code, Message: "Error", Details: []connectwire.Detail{{Debug: json.RawMessage(debug)}}}
}

// may is what may be done about a failure.
func may(f *Failure) string {
	var what []string
	for _, c := range []struct {
		is   bool
		name string
	}{{f.Retryable, "again"}, {f.BadToken, "token"}, {f.LostConversation, "lost"}, {f.Err.Final, "final"}} {
		if c.is {
			what = append(what, c.name)
		}
	}
	return strings.Join(what, " ")
}

const (
	badKey   = "The API key is not valid. Create one in the Cursor dashboard under Integrations."
	nothing  = "The upstream service failed."
	longTalk = "The conversation is too long for the model."
)

func TestWhatErrorsMean(t *testing.T) {
	busy := &pb.CustomErrorDetails{Title: "Busy", Detail: "Try later."}
	for _, tt := range []struct {
		name string
		err  *connectwire.Error
		code agent.Code
		may  string
		text string
	}{
		{"a Connect code alone", upstreamError("permission_denied", "no", 0, nil), agent.PermissionDenied, "", "no"},
		{"an unknown code", upstreamError("whatever", "oops", 0, nil), agent.Upstream, "", "oops"},
		{"no code at all", upstreamError("", "", 0, nil), agent.Upstream, "", nothing},
		{"not authenticated", upstreamError("unauthenticated", "expired", 0, nil), agent.InvalidKey, "token", badKey},
		{"not authenticated, in words for people", upstreamError("unauthenticated", "Error", 2, busy), agent.InvalidKey, "token", "Busy: Try later."},
		{"the number goes before the code", upstreamError("internal", "m", 50, busy), agent.RateLimited, "", "Busy: Try later."},
		{"a bad key is not the token's fault", upstreamError("unauthenticated", "m", 42, nil), agent.InvalidKey, "", badKey},
		{"a passing failure", upstreamError("internal", "m", 57, nil), agent.Upstream, "again", "m"},
		{"which upstream says is final", upstreamError("internal", "m", 57, &pb.CustomErrorDetails{IsRetryable: proto.Bool(false)}), agent.Upstream, "final", "m"},
		{"a final one that upstream says is passing", upstreamError("unknown", "m", 0, &pb.CustomErrorDetails{IsRetryable: proto.Bool(true)}), agent.Upstream, "again", "m"},
		{"a limit stays one", upstreamError("resource_exhausted", "m", 10, &pb.CustomErrorDetails{IsRetryable: proto.Bool(true)}), agent.QuotaExceeded, "", "m"},
		{"a title with its own stop", upstreamError("", "", 44, &pb.CustomErrorDetails{Title: "Pay!", Detail: "Add a card."}), agent.PaymentRequired, "", "Pay! Add a card."},
		{"a title alone", upstreamError("", "m", 43, &pb.CustomErrorDetails{Title: "Too long"}), agent.ContextTooLong, "", "Too long"},
		{"a detail that repeats its title", upstreamError("", "m", 43, &pb.CustomErrorDetails{Title: "Too long", Detail: "Too long by 5."}), agent.ContextTooLong, "", "Too long by 5."},
		{"a newer client", upstreamError("failed_precondition", "m", 30, &pb.CustomErrorDetails{Title: "Update required"}), agent.PermissionDenied, "", "Cursor asks for a newer client: set THE_VERSION. Update required"},
		{"a wrong endpoint", upstreamError("unimplemented", "", 0, nil), agent.NotConfigured, "", "Cursor has no such endpoint: check THE_ENDPOINT."},
		{"a number that nobody knows", upstreamError("unavailable", "m", 999, nil), agent.Overloaded, "again", "m"},
		{"something is not there", upstreamError("not_found", "No such model", 0, nil), agent.ModelNotFound, "lost final", "No such model"},
		{"the state rules it out", upstreamError("failed_precondition", "m", 0, nil), agent.Upstream, "lost final", "m"},
		{"upstream has ended it on purpose", upstreamError("canceled", "m", 0, nil), agent.Upstream, "final", "m"},
		{"the number of a passing failure goes before a final code", upstreamError("failed_precondition", "m", 57, nil), agent.Upstream, "again", "m"},
		{"a final code that upstream says is passing", upstreamError("canceled", "m", 0, &pb.CustomErrorDetails{IsRetryable: proto.Bool(true)}), agent.Upstream, "again", "m"},
		{"a limit is never final", upstreamError("resource_exhausted", "m", 50, &pb.CustomErrorDetails{IsRetryable: proto.Bool(false)}), agent.RateLimited, "", "m"},
		{"a detail that can't be read", &connectwire.Error{Code: "internal", Message: "m", Details: []connectwire.Detail{{Type: detailType, Value: []byte{0xff}}, {Type: "other"}}}, agent.Upstream, "again", "m"},
		{"a detail in JSON", inJSON("resource_exhausted", `{"details":{"title":"Slow down","detail":"Try later."}}`), agent.RateLimited, "", "Slow down: Try later."},
		{"a title alone in JSON", inJSON("internal", `{"details":{"title":"Oh no."}}`), agent.Upstream, "again", "Oh no."},
		{"JSON that can't be read", inJSON("internal", `{"details":5}`), agent.Upstream, "again", nothing},
		{"a number without words", upstreamError("invalid_argument", "Error", 20, nil), agent.ContextTooLong, "", longTalk},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := route.Read(tt.err)
			if f.Err.Code != tt.code || may(f) != tt.may || f.Err.UserMessage() != tt.text {
				t.Errorf("got %v, %q, %q; want %v, %q, %q", f.Err.Code, may(f), f.Err.UserMessage(), tt.code, tt.may, tt.text)
			}
			if ours := tt.text == badKey || tt.text == nothing || tt.text == longTalk || strings.HasSuffix(tt.text, "THE_ENDPOINT."); f.Err.FromUpstream == ours {
				t.Errorf("%q is from upstream: %v", tt.text, f.Err.FromUpstream)
			}
			if !errors.Is(f, tt.err) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestWhatRefusalsMean(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		code   agent.Code
		may    string
	}{
		{401, "<html>", agent.InvalidKey, "token"},
		{402, "<html>", agent.PaymentRequired, ""},
		{403, "<html>", agent.PermissionDenied, ""},
		{404, "<html>", agent.NotConfigured, ""},
		{408, "<html>", agent.UpstreamTimeout, "again"},
		{413, "<html>", agent.ContextTooLong, "lost"},
		{418, "<html>", agent.Upstream, ""},
		{429, "<html>", agent.RateLimited, ""},
		{500, "<html>", agent.Upstream, "again"},
		{502, "<html>", agent.Overloaded, "again"},
		{503, "<html>", agent.Overloaded, "again"},
		{504, "<html>", agent.UpstreamTimeout, "again"},
		{520, "<html>", agent.Upstream, "again"},
		{404, `{"code":"not_found","message":"No such model"}`, agent.ModelNotFound, "lost final"},
		{412, `{"code":"failed_precondition"}`, agent.Upstream, "lost final"},
		// The detail is ErrorDetails{error: 10}.
		{402, `{"code":"resource_exhausted","details":[{"type":"aiserver.v1.ErrorDetails","value":"CAo"}]}`, agent.QuotaExceeded, ""},
	} {
		resp := &http.Response{StatusCode: tt.status, Status: http.StatusText(tt.status), Header: http.Header{"Retry-After": {"7"}}}
		f := route.ReadResponse(resp, []byte(tt.body))
		if f.Err.Code != tt.code || may(f) != tt.may || f.Err.RetryAfter != 7*time.Second {
			t.Errorf("%d %s: %v, %q after %v, want %v, %q", tt.status, tt.body, f.Err.Code, may(f), f.Err.RetryAfter, tt.code, tt.may)
		}
	}
}

func TestEveryNumberOfTheProtocolNotesIsInTheTable(t *testing.T) {
	for _, n := range []int32{
		1, 42, 2, 12, 38, 7, 8, 9, 10, 22, 34, 41, 50, 51, 44, 45, 5, 58, 60, 61, 20, 43, 31, 25, 57, 59, 54, 65,
	} {
		if _, ok := numbers[n]; !ok {
			t.Errorf("%d is missing", n)
		}
	}
}

// FuzzRead checks that whatever upstream says becomes an error that can be shown.
func FuzzRead(f *testing.F) {
	f.Add("internal", "m", []byte("\x08\x0a"), `{"details":{"title":"Slow down","detail":"Try later."}}`)
	f.Add("not_found", "", []byte("\x12\x02\x20\x01"), `{"details":null}`)
	f.Add("", "", []byte{0xff}, "")
	f.Fuzz(func(t *testing.T, code, message string, value []byte, debug string) {
		e := &connectwire.Error{Code: code, Message: message, Details: []connectwire.Detail{{Type: detailType, Value: value, Debug: json.RawMessage(debug)}}}
		got := route.Read(e)
		if got.Err.Code.String() == "unknown" || got.Err.UserMessage() == "" || got.Error() == "" {
			t.Errorf("%v: %+v", e, got)
		}
		if got.Retryable && !MayPass(got.Err.Code) {
			t.Errorf("%v may be tried again", got)
		}
	})
}
