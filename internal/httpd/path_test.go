package httpd_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"composer-api/internal/httpd"
)

// An escaped slash must not lead out of an account's address.
func TestAnEscapedSlashStaysInItsSegment(t *testing.T) {
	for line, want := range map[string]int{
		"GET /u/..%2f/v1/models":            401, // the address of an account takes no direct key
		"GET /u/..%2f/v1/models/":           401,
		"GET /u/x%2f..%2f..%2f//v1/models":  401,
		"GET /v1//models/":                  200,
		"GET /v1//models/cursor%2Fcomposer": 200,
	} {
		if w := do(t, newServer(httpd.Config{}), exchange{line: line}); w.Code != want {
			t.Errorf("%s: status %d, want %d: %s", line, w.Code, want, w.Body)
		}
	}
}

// A path may hold a key that somebody has put there by mistake, and names of the client's.
func TestAPathInTheLogHoldsOurWordsAndIDsOnly(t *testing.T) {
	const secret = "hunter2hunter2"
	for _, tt := range []struct{ path, want string }{
		{"/v1/chat/completions", "path=/v1/chat/completions "},
		{"/v1/v1/chat/completions", "path=/v1/v1/chat/completions "},
		{"/openai/deployments/" + secret + "/embeddings", "path=/openai/deployments/***/embeddings "},
		{"/v1/models/" + secret + "/" + secret, "path=/v1/models/***/*** "},
		{"/v1/crsr_" + secret, "path=/v1/*** "},
		{"/sk-proj-" + secret + "/v1", "path=/***/v1 "},
		{"/v1/" + secret, "path=/v1/*** "},
		{"/v1/resp_" + secret + "." + secret, "path=/v1/*** "},
		{"/v1/models/resp_" + strings.Repeat("0", 28), "path=/v1/models/resp_" + strings.Repeat("0", 28) + " "},
		{"/u/acct_" + strings.Repeat("0", 24) + "/v1/models", "path=/u/acct_" + strings.Repeat("0", 24) + "/v1/models "},
		{"/" + strings.Repeat("a/", 1000) + secret, "/***/…"},
	} {
		var log bytes.Buffer
		s := newServer(httpd.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
		do(t, s, exchange{line: "GET " + tt.path})
		if got := log.String(); !strings.Contains(got, tt.want) || strings.Contains(got, secret) || len(got) > 600 {
			t.Errorf("%s is logged as %s", tt.path, got)
		}
	}
}

func TestAWrongAddressIsToldWhatWasMeant(t *testing.T) {
	s := newServer(httpd.Config{})
	for line, want := range map[string]string{
		"POST /v1/v1/chat/completions":                           "Did you mean /v1/chat/completions?",
		"GET /v1/v1/v1/models":                                   "Did you mean /v1/models?",
		"GET /opencode/v1/v1/models":                             "Did you mean /opencode/v1/models?",
		"GET /models":                                            "Did you mean /v1/models?",
		"POST /v1/embeddings":                                    "another provider for this",
		"GET /health":                                            "Did you mean /healthz?",
		"GET /v1/health":                                         "Did you mean /healthz?",
		"POST /embeddings":                                       "another provider for this",
		"POST /chat/completions":                                 "Did you mean /v1/chat/completions?",
		"POST /v1/chat/completions/chat/completions":             "Did you mean /v1/chat/completions?",
		"GET /v1/chat/completions/models":                        "Did you mean /v1/models?",
		"GET /chat/completions/v1/models":                        "Did you mean /v1/models?",
		"POST /api/v1/chat/completions":                          "Did you mean /v1/chat/completions?",
		"POST /openai/v1/chat/completions":                       "Did you mean /v1/chat/completions?",
		"GET /u/v1/models":                                       "Did you mean /v1/models?",
		"POST /openai/deployments/composer-2.5/chat/completions": "an address of Azure",
		"POST /v1beta/models/composer-2.5:generateContent":       "Gemini's API",
		"POST /v1/engines/composer-2.5/completions":              "Use /v1/completions",
		"POST /v1/files":                                         "inside of the request",
		"POST /v1/messages/batches":                              "one by one",
		"POST /v1/complete":                                      "/v1/messages",
		"POST /v1/threads/thread_1/runs":                         "Use /v1/responses",
		"POST /v1/containers":                                    "the client runs them",
		"POST /v1":                                               "as in /v1/chat/completions",
		"GET /u/acct_1/v1/":                                      "as in /u/acct_1/v1/chat/completions",
		"POST /api/chat":                                         "Ollama's API",
		"GET /v1/realtime":                                       "another provider for this",
	} {
		w := do(t, s, exchange{line: line})
		if e := errorOf(t, w.Body.Bytes()); w.Code != 404 || !strings.Contains(e.Message, want) {
			t.Errorf("%s: status %d, %q; want %q", line, w.Code, e.Message, want)
		}
	}
}

func TestAzuresKeyHeaderIsTaken(t *testing.T) {
	if w := do(t, newServer(httpd.Config{}), exchange{line: "GET /v1/models", header: map[string][]string{"Api-Key": {key}}}); w.Code != 200 {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}
