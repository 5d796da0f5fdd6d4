package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestASecretDoesNotPrint(t *testing.T) {
	secret := NewSecret("crsr_123")
	caller := Caller{Owner: "ann", CursorKey: secret}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "caller", caller, "key", secret)
	asJSON, err := json.Marshal(caller)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{
		fmt.Sprint(caller), fmt.Sprintf("%v %+v %#v %s %q", caller, caller, caller, secret, secret), fmt.Sprintf("%x", secret),
		string(asJSON), logged.String(),
	} {
		if strings.Contains(printed, "crsr_123") || strings.Contains(printed, fmt.Sprintf("%x", "crsr_123")) {
			t.Errorf("the secret is in %q", printed)
		}
	}
	if secret.Reveal() != "crsr_123" {
		t.Error("Reveal lost it")
	}
}

func TestCallIDsAreShortAndDifferent(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := NewCallID()
		if len(id) != 29 || !strings.HasPrefix(id, "call_") || seen[id] {
			t.Fatalf("bad id %q", id)
		}
		seen[id] = true
	}
}

func TestUUIDsSayTheirVersion(t *testing.T) {
	if id := NewUUID(); len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || id == NewUUID() {
		t.Errorf("a random one: %q", id)
	}
	hash := [32]byte{0: 0xff, 6: 0xff, 8: 0xff, 15: 0xff, 16: 0xff}
	if got, want := UUIDFrom(hash), "ff000000-0000-8f00-bf00-0000000000ff"; got != want {
		t.Errorf("one of a hash: %q, want %q", got, want)
	}
}

func TestEveryCodeHasANameAndASentence(t *testing.T) {
	for _, c := range Codes() {
		if c.String() == "unknown" || (&Error{Code: c}).UserMessage() == "" {
			t.Errorf("code %d: %q, %q", c, c, (&Error{Code: c}).UserMessage())
		}
	}
}

func TestAnUnknownErrorTellsTheUserNothing(t *testing.T) {
	e := AsError(errors.New("open /secret/path: no such file"))
	if e.Code != Internal || strings.Contains(e.UserMessage(), "secret") || !strings.Contains(e.Error(), "secret") {
		t.Errorf("%v: %q", e, e.UserMessage())
	}
	wrapped := fmt.Errorf("while starting: %w", Errorf(RateLimited, "slow down"))
	if CodeOf(wrapped) != RateLimited || CodeOf(nil) != 0 {
		t.Error("CodeOf does not look inside")
	}
}

func TestOffered(t *testing.T) {
	tools := []Tool{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	for _, tc := range []struct {
		choice ToolChoice
		want   string
	}{
		{ToolChoice{}, "abc"},
		{ToolChoice{Mode: ToolsNone}, ""},
		{ToolChoice{Mode: ToolsRequired}, "abc"},
		{ToolChoice{Mode: ToolsRequired, Names: []string{"c"}}, "c"},
		{ToolChoice{Names: []string{"c", "a", "x"}}, "ac"},
	} {
		got := ""
		for _, tool := range (&Request{Tools: tools, ToolChoice: tc.choice}).Offered() {
			got += tool.Name
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%+v: %s", tc.choice, diff)
		}
	}
}
