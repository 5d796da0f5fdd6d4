package localagent

import (
	"context"
	"errors"
	"io"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
)

func TestHowStreamsEndBadly(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		code agent.Code
		what string // of: again, token, lost
		text string
	}{
		{"what upstream says", &connectwire.Error{Code: "internal", Message: "m"}, agent.Upstream, "again", "m"},
		{"a missing blob", &connectwire.Error{Code: "not_found", Message: "Blob not found"}, agent.Upstream, "lost", "Blob not found"},
		{"what was read before, and its cause", &agent.Error{Code: agent.QuotaExceeded, Message: "m", Err: &connectwire.Error{Code: "internal"}}, agent.QuotaExceeded, "", "m"},
		{"the stream ends without an end", io.ErrUnexpectedEOF, agent.Upstream, "again", "The connection to Cursor ended before the answer did."},
		{"the stream ends well, too early", io.EOF, agent.Upstream, "again", "The connection to Cursor ended before the answer did."},
		{"the connection breaks", errors.New("reset"), agent.Upstream, "again", "The connection to Cursor broke."},
		{"garbage", &connectwire.FormatError{Reason: "x"}, agent.Upstream, "again", "Cursor's answer can't be understood."},
		{"too much of it at once", &connectwire.FormatError{TooLarge: true}, agent.Upstream, "", "Cursor sent more at once than can be taken."},
		{"the client left", context.Canceled, agent.Canceled, "", "The client went away."},
		{"our own error", agent.Errorf(agent.InvalidKey, "bad"), agent.InvalidKey, "", "bad"},
		{"our own passing error", agent.Errorf(agent.Upstream, "m"), agent.Upstream, "again", "m"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := failed(tt.err)
			what := ""
			for name, is := range map[string]bool{"again": f.Retryable, "token": f.BadToken, "lost": f.LostConversation} {
				if is {
					what += name
				}
			}
			if f.Err.Code != tt.code || what != tt.what || f.Err.UserMessage() != tt.text {
				t.Errorf("got %v, %q, %q; want %v, %q, %q", f.Err.Code, what, f.Err.UserMessage(), tt.code, tt.what, tt.text)
			}
		})
	}
}
