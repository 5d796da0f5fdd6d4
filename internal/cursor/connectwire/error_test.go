package connectwire

import (
	"bytes"
	"errors"
	"testing"
)

func TestErrorCarriesTypedDetails(t *testing.T) {
	for name, value := range map[string]string{"unpadded": "CAEFAQ", "padded": "CAEFAQ=="} {
		r := NewReader(bytes.NewReader(stream(`end:{"error":{"code":"resource_exhausted","message":"m","details":[5,{"type":"type.googleapis.com/aiserver.v1.ErrorDetails","value":"`+value+`","debug":{"a":1}}]}}`)), 0)
		_, err := r.Next()
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: got %v", name, err)
		}
		if len(e.Details) != 1 || e.Details[0].Type != "aiserver.v1.ErrorDetails" ||
			string(e.Details[0].Value) != "\x08\x01\x05\x01" || string(e.Details[0].Debug) != `{"a":1}` {
			t.Errorf("%s: got %+v", name, e.Details)
		}
	}
}

func TestParseErrorReadsRefusedCalls(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   string
	}{
		{401, `{"code":"unauthenticated","message":"who?"}`, "unauthenticated: who?"},
		{200, `{"code":"not_found","message":"no"}`, "not_found: no"},
		{401, `<html>`, "unauthenticated"},
		{403, ``, "permission_denied"},
		{404, `{}`, "unimplemented"},
		{429, `slow down`, "resource_exhausted"},
		{500, `{"message":"oops"}`, "internal: oops"},
		{502, ``, "unavailable"},
		{418, ``, "unknown"},
	} {
		if got := ParseError(tt.status, []byte(tt.body)).Error(); got != tt.want {
			t.Errorf("%d %s: got %q, want %q", tt.status, tt.body, got, tt.want)
		}
	}
}
