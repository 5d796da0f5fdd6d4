package published

import (
	"strings"
	"testing"
)

// msg is a valid document, into which the cases put their faults.
const msg = `{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hi","annotations":[],"logprobs":[]}]}`

func TestWhatIsPublishedIsValidAndNothingElse(t *testing.T) {
	requireDocument(t)
	for name, tc := range map[string]struct{ schema, doc, fault string }{
		"a message":              {"OutputMessage", msg, ""},
		"a message as an item":   {"OutputItem", msg, ""},
		"a missing member":       {"OutputMessage", strings.Replace(msg, `"status":"completed",`, "", 1), "missing property 'status'"},
		"a wrong value":          {"OutputMessage", strings.Replace(msg, `"completed"`, `"done"`, 1), "/status: value must be one of"},
		"an unknown member":      {"OutputMessage", strings.Replace(msg, `"id"`, `"x":1,"id"`, 1), "/x: false schema"},
		"one in a part":          {"OutputMessage", strings.Replace(msg, `"text":`, `"x":1,"text":`, 1), "/content/0/x: false schema"},
		"one in an item":         {"ResponseItemList", `{"object":"list","data":[` + strings.Replace(msg, `"id"`, `"x":1,"id"`, 1) + `],"first_id":"","last_id":"","has_more":false}`, "/data/0/x: false schema"},
		"an event":               {"ResponseStreamEvent", `{"type":"response.output_text.delta","item_id":"a","output_index":0,"content_index":0,"delta":"","sequence_number":0,"logprobs":[]}`, ""},
		"an unknown event":       {"ResponseStreamEvent", `{"type":"response.cancelled","sequence_number":0}`, "/type: value must be"},
		"an extension of ours":   {"CompletionUsage", `{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":0.5}`, ""},
		"no extension of ours":   {"CompletionUsage", `{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"price":0.5}`, "/price: false schema"},
		"a code that Codex has":  {"ResponseErrorCode", `"context_length_exceeded"`, ""},
		"a code that nobody has": {"ResponseErrorCode", `"server_restarted"`, "value must be one of"},
		"no JSON":                {"Response", `{`, "EOF"},
	} {
		err := Check(tc.schema, []byte(tc.doc))
		switch {
		case tc.fault == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)):
			t.Errorf("%s: %v, want %q", name, err, tc.fault)
		}
	}
}

func TestAPathThatIsNamedMustExist(t *testing.T) {
	t.Setenv(variable, t.TempDir()+"/nowhere.json")
	if _, err := find(); err == nil {
		t.Error("a document that isn't there was found")
	}
}

// requireDocument skips a test that is about nothing but the document where it isn't.
func requireDocument(t testing.TB) {
	t.Helper()
	s, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if s == nil {
		t.Skipf("OpenAI's OpenAPI document is not here: set %s, or put it at %s", variable, besides)
	}
}
