package chat

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/replay"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/reach"
)

// Config is what a Backend needs.
//
// internal/cli makes two: one as it is configured, and one with ForceAgent for the OpenCode
// routes.
type Config struct {
	// Name is the backend's name; "" means "chat".
	Name string
	// ForceAgent asks for Agent mode even when no tools are given, as /opencode/v1 does.
	ForceAgent bool

	// Endpoint is the URL of the chat endpoint; "" is none.
	Endpoint string
	// ClientVersion is the version that we report (CURSOR_CLIENT_VERSION); "" means
	// DefaultClientVersion.
	ClientVersion string
	// Headers are further headers that the operator's endpoint wants. They replace our own of the same
	// name, except those that carry the protocol and the token. See [ParseHeaders].
	Headers http.Header

	// Auth exchanges the caller's key. Required.
	Auth replay.Auth
	// Transport makes the requests; nil means one with the environment's proxy. See [replay.NewTransport].
	Transport http.RoundTripper
	// Limits says how long upstream may take. A zero Progress, the time without any text, is retry.ProgressTimeout here.
	Limits replay.Limits
	// Log hears of retries; nil discards that.
	Log *slog.Logger
}

// DefaultClientVersion is the version of Cursor's editor that we report, as the reference system does.
const DefaultClientVersion = "2.6.22"

// A Backend sends requests to the chat endpoint. It is safe for concurrent use and owns nothing that needs
// closing.
//
// It keeps nothing of a request: what is being asked belongs to the run (package replay), which Close ends.
type Backend struct {
	config Config
}

// New makes a Backend. An endpoint that isn't configured makes every Start fail, with a sentence that says so.
func New(config Config) *Backend {
	config.Name = cmp.Or(config.Name, "chat")
	config.ClientVersion = cmp.Or(config.ClientVersion, DefaultClientVersion)
	config.Limits.Progress = cmp.Or(config.Limits.Progress, retry.ProgressTimeout)
	if config.Transport == nil {
		config.Transport = replay.NewTransport(config.Endpoint, nil)
	}
	config.Transport = replay.Renewable(config.Transport)
	return &Backend{config: config}
}

// Name implements agent.Backend.
func (b *Backend) Name() string { return b.config.Name }

// backendSetting is the variable that names upstream.
const backendSetting = "CURSOR_BACKEND_BASE_URL"

// Probe implements agent.Prober.
func (b *Backend) Probe(ctx context.Context) error {
	return reach.Probe(ctx, b.config.Transport, b.config.Endpoint, backendSetting)
}

// ReadsMarkup implements agent.MarkupReader. Because of it, package control does not look for
// markers in this backend's text a second time.
func (b *Backend) ReadsMarkup() {}

// Start implements agent.Backend. No conversation can be continued here, because upstream keeps none.
//
// The id of the conversation is made once for a run, so that all of its exchanges have the
// same; see conversationID.
func (b *Backend) Start(ctx context.Context, req *agent.Request) (agent.Run, error) {
	switch {
	case req.Continue != nil:
		return nil, &agent.Error{Code: agent.ConversationLost}
	case b.config.Endpoint == "":
		return nil, agent.Errorf(agent.NotConfigured, "The chat upstream is not configured. Set CURSOR_BACKEND_BASE_URL and CURSOR_CHAT_ENDPOINT.")
	}
	id := conversationID(req)
	run, err := replay.Start(ctx, req, b.config.Limits, b.config.Log, func(ctx context.Context, req *agent.Request) (replay.Answer, error) {
		return b.ask(ctx, req, id)
	})
	if err != nil {
		return nil, err
	}
	return run, nil
}

// ask sends one request and returns its answer: a replay.Open. Each call is an attempt, with a token and a
// message id of its own. Errors are *agent.Error, or *cursorerr.Failure when another attempt may help; then nothing is left open.
//
//  1. render, measure   the request's own faults, before anything is sent
//  2. Authenticate      the access token for the caller's key
//  3. Send              the request; its headers, or a failure
//  4. newAnswer         reads the body
//
// An answer that is returned is the caller's to close.
func (b *Backend) ask(ctx context.Context, req *agent.Request, conversationID string) (replay.Answer, error) {
	// In Ask mode upstream offers the model no tools, which is what a request without tools wants.
	mode := askMode
	if b.config.ForceAgent || len(req.Offered()) > 0 {
		mode = agentMode
	}
	prompt := render(req, mode)
	images, err := measure(prompt.images)
	if err != nil {
		return nil, err
	}
	access, err := replay.Authenticate(ctx, b.config.Auth, req.Caller.CursorKey)
	if err != nil {
		return nil, err
	}
	message := encodeRequest(&request{
		text: prompt.text, images: images, model: modelName(req.Model), mode: mode,
		conversationID: conversationID, messageID: agent.NewUUID(), now: time.Now(),
	})
	httpReq, err := b.post(ctx, connectwire.Append(nil, 0, message), access.Token(), conversationID)
	if err != nil {
		return nil, err
	}
	x, err := replay.Send(ctx, b.config.Transport, httpReq, backendSetting, b.config.Limits)
	if err != nil {
		return nil, err
	}
	if x.Response.StatusCode != http.StatusOK {
		defer x.Close()
		return nil, access.Refused(route.ReadResponse(x.Response, x.Refusal()))
	}
	a := newAnswer(x, req, access)
	a.count.Prompt(prompt.text, len(images))
	return a, nil
}

// post makes the HTTP request. The operator's headers replace ours of the same name, but not those that
// carry the protocol and the token:
//
//	POST {endpoint}
//	Authorization: Bearer {access token}
//	Content-Type: application/connect+proto
//	Connect-Protocol-Version: 1
//	X-Cursor-Client-Version, -Client-Type, -Timezone, X-Request-Id, X-Session-Id
//
//	one Connect envelope with the request's message
func (b *Backend) post(ctx context.Context, body []byte, token agent.Secret, conversationID string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.config.Endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, &agent.Error{Code: agent.NotConfigured, Err: err,
			Message: "The address of the chat upstream is not a valid URL. Check CURSOR_BACKEND_BASE_URL and CURSOR_CHAT_ENDPOINT."}
	}
	for name, value := range map[string]string{
		"X-Cursor-Client-Version": b.config.ClientVersion,
		// The value that the local-agent protocol is known to use. For an endpoint that wants another, the
		// operator configures a header.
		"X-Cursor-Client-Type": "sdk",
		"X-Cursor-Timezone":    "UTC",
		"X-Request-Id":         agent.NewUUID(),
		"X-Session-Id":         conversationID,
	} {
		req.Header.Set(name, value)
	}
	for name, values := range b.config.Headers {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Content-Type", connectwire.ContentType)
	req.Header.Set("Connect-Protocol-Version", "1")
	req.Header.Set("Connect-Accept-Encoding", "gzip")
	return req, nil
}

// modelName is the model as this endpoint names it: "composer-2.5", or "composer-2.5-fast" for the fast
// tier. Other parameters can't be expressed.
func modelName(m agent.Model) string {
	for _, p := range m.Params {
		if p.ID == "fast" && p.Value == "true" {
			return m.ID + "-fast"
		}
	}
	return m.ID
}

// ParseHeaders reads the lines of COMPOSER_CHAT_HEADERS, each "Name: value". Empty lines are skipped, and a
// name may come more than once. Errors name the line, not its value, which may be a secret.
func ParseHeaders(lines string) (http.Header, error) {
	headers := http.Header{}
	n := 0
	for line := range strings.Lines(lines) {
		n++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !isHeaderName(name) || strings.ContainsFunc(value, isControl) {
			return nil, agent.Errorf(agent.NotConfigured, "Line %d of COMPOSER_CHAT_HEADERS is not 'Name: value'.", n)
		}
		headers.Add(name, value)
	}
	return headers, nil
}

// isHeaderName reports whether name is a token of RFC 9110.
func isHeaderName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

// isControl reports whether r may not be in a header's value.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
