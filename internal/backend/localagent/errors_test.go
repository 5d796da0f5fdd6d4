package localagent

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/connectwire"
	"composer-api/internal/cursorpb"
)

func said(code, message string, number int32, d *cursorpb.CustomErrorDetails) *connectwire.Error {
	e := &connectwire.Error{Code: code, Message: message}
	if number != 0 || d != nil {
		e.Details = []connectwire.Detail{{Type: detailType, Value: encode(&cursorpb.ErrorDetails{Error: number, Details: d})}}
	}
	return e
}

func TestFailuresOfUpstream(t *testing.T) {
	busy := &cursorpb.CustomErrorDetails{Title: "Busy", Detail: "Try later."}
	for _, tt := range []struct {
		name string
		err  error
		code agent.Code
		what string // of: again, token, lost
		text string
	}{
		{"a Connect code alone", said("permission_denied", "no", 0, nil), agent.PermissionDenied, "", "no"},
		{"an unknown code", said("whatever", "oops", 0, nil), agent.Upstream, "", "oops"},
		{"no code at all", said("", "", 0, nil), agent.Upstream, "", "The upstream service failed."},
		{"not authenticated", said("unauthenticated", "expired", 0, nil), agent.InvalidKey, "token", "expired"},
		{"the number goes before the code", said("internal", "m", 50, busy), agent.RateLimited, "", "Busy: Try later."},
		{"a bad key is not the token's fault", said("unauthenticated", "m", 42, nil), agent.InvalidKey, "", "m"},
		{"a passing failure", said("internal", "m", 57, nil), agent.Upstream, "again", "m"},
		{"which upstream says is final", said("internal", "m", 57, &cursorpb.CustomErrorDetails{IsRetryable: proto.Bool(false)}), agent.Upstream, "", "m"},
		{"a final one that upstream says is passing", said("unknown", "m", 0, &cursorpb.CustomErrorDetails{IsRetryable: proto.Bool(true)}), agent.Upstream, "again", "m"},
		{"a limit stays one", said("resource_exhausted", "m", 10, &cursorpb.CustomErrorDetails{IsRetryable: proto.Bool(true)}), agent.QuotaExceeded, "", "m"},
		{"a title with its own stop", said("", "", 44, &cursorpb.CustomErrorDetails{Title: "Pay!", Detail: "Add a card."}), agent.PaymentRequired, "", "Pay! Add a card."},
		{"a title alone", said("", "m", 43, &cursorpb.CustomErrorDetails{Title: "Too long"}), agent.ContextTooLong, "", "Too long"},
		{"a newer client", said("failed_precondition", "m", 30, &cursorpb.CustomErrorDetails{Title: "Update required"}), agent.PermissionDenied, "", "Cursor asks for a newer client: set CURSOR_SDK_CLIENT_VERSION. Update required"},
		{"a number that nobody knows", said("unavailable", "m", 999, nil), agent.Overloaded, "again", "m"},
		{"something is not there", said("not_found", "Blob not found", 0, nil), agent.Upstream, "lost", "Blob not found"},
		{"a detail that can't be read", &connectwire.Error{Code: "internal", Message: "m", Details: []connectwire.Detail{{Type: detailType, Value: []byte{0xff}}, {Type: "other"}}}, agent.Upstream, "again", "m"},
		{"the stream ends without an end", io.ErrUnexpectedEOF, agent.Upstream, "again", "The connection to Cursor ended before the answer did."},
		{"the stream ends well, too early", io.EOF, agent.Upstream, "again", "The connection to Cursor ended before the answer did."},
		{"the connection breaks", errors.New("reset"), agent.Upstream, "again", "The connection to Cursor broke."},
		{"garbage", &connectwire.FormatError{Reason: "x"}, agent.Upstream, "again", "Cursor's answer can't be understood."},
		{"the client left", context.Canceled, agent.Canceled, "", "The client went away."},
		{"our own error", agent.Errorf(agent.InvalidKey, "bad"), agent.InvalidKey, "", "bad"},
		{"our own passing error", agent.Errorf(agent.Upstream, "m"), agent.Upstream, "again", "m"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := failed(tt.err)
			what := ""
			for name, is := range map[string]bool{"again": f.again, "token": f.token, "lost": f.lost} {
				if is {
					what += name
				}
			}
			if f.err.Code != tt.code || what != tt.what || f.err.UserMessage() != tt.text {
				t.Errorf("got %v, %q, %q; want %v, %q, %q", f.err.Code, what, f.err.UserMessage(), tt.code, tt.what, tt.text)
			}
		})
	}
}

func TestEveryNumberOfTheProtocolNotesIsInTheTable(t *testing.T) {
	for _, n := range []int32{
		1, 42, 2, 12, 38, 7, 8, 9, 10, 22, 34, 41, 50, 51, 44, 45, 5, 58, 60, 61, 20, 43, 31, 25, 57, 59, 54, 65,
	} {
		if _, ok := details[n]; !ok {
			t.Errorf("%d is missing", n)
		}
	}
}
