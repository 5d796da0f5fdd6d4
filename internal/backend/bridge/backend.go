package bridge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/backend/replay"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/reach"
)

// Config is what a Backend needs. URL and Auth are required.
//
// The variables in brackets are those of the environment that internal/config reads.
type Config struct {
	// URL is the bridge's base, with or without /sdk at its end (CURSOR_SDK_BRIDGE_URL). It is reached
	// over HTTP/1.1, or HTTP/2 by ALPN.
	URL string
	// Token is the bridge's own bearer token (CURSOR_SDK_BRIDGE_TOKEN); zero is none.
	Token agent.Secret
	// BackendBase, Endpoint and ClientVersion are sent with each request; "" leaves the choice to the
	// bridge.
	BackendBase, Endpoint, ClientVersion string
	// Auth exchanges the caller's key.
	Auth replay.Auth
	// Transport makes the requests; nil means net/http's default.
	Transport http.RoundTripper
	// Limits says how long the bridge may take. A zero Progress is retry.ProgressTimeout here.
	Limits replay.Limits
	// Log hears of retries; nil discards that.
	Log *slog.Logger
}

// A Backend sends requests to a bridge. It is safe for concurrent use. It owns nothing that needs closing.
type Backend struct {
	config Config
	// url is that of POST /sdk, made of Config.URL.
	url string
}

// New makes a Backend. It connects to nothing yet.
func New(config Config) *Backend {
	config.Limits.Progress = cmp.Or(config.Limits.Progress, retry.ProgressTimeout)
	if config.Transport == nil {
		config.Transport = http.DefaultTransport
	}
	config.Transport = replay.Renewable(config.Transport)
	return &Backend{config: config, url: endpoint(config.URL)}
}

// endpoint is the URL that is posted to. In the reference system the variable holds this whole URL; here
// the base is enough, too.
func endpoint(url string) string {
	url = strings.TrimRight(url, "/")
	if strings.HasSuffix(url, "/sdk") && !strings.HasSuffix(url, "//sdk") { // a host may be called sdk
		return url
	}
	return url + "/sdk"
}

// Name implements agent.Backend.
func (b *Backend) Name() string { return "bridge" }

// urlSetting is the variable that names the bridge.
const urlSetting = "CURSOR_SDK_BRIDGE_URL"

// Probe implements agent.Prober. Whether the bridge itself reaches Cursor, only a run can tell.
func (b *Backend) Probe(ctx context.Context) error {
	return reach.Probe(ctx, b.config.Transport, b.url, urlSetting)
}

// TakesSystemPrompt implements agent.SystemPrompter. The run request that is sent through the
// bridge has a field for it, as with package localagent.
func (b *Backend) TakesSystemPrompt() {}

// Start implements agent.Backend. No conversation can be continued through a bridge.
//
// An id for the conversation is made here, because every request of the run has to name the same.
func (b *Backend) Start(ctx context.Context, req *agent.Request) (agent.Run, error) {
	if req.Continue != nil {
		return nil, &agent.Error{Code: agent.ConversationLost}
	}
	if req.ConversationID == "" { // all requests of the run are one conversation
		named := *req
		named.ConversationID = agent.NewConversationID()
		req = &named
	}
	run, err := replay.Start(ctx, req, b.config.Limits, b.config.Log, b.ask)
	if err != nil {
		return nil, err
	}
	return run, nil
}

// body is what the bridge is sent. Source: the reference system's contract of POST /sdk.
type body struct {
	AccessToken        string `json:"accessToken"` // the exchanged one: the bridge never sees the caller's key
	RequestID          string `json:"requestId"`
	BackendBaseURL     string `json:"backendBaseUrl,omitempty"`
	LocalAgentEndpoint string `json:"localAgentEndpoint,omitempty"`
	ClientVersion      string `json:"clientVersion,omitempty"`
	// RunFrame is the first message of the run, framed, in base64.
	RunFrame string `json:"runFrame"`
}

// ask sends one request and returns its answer: a replay.Open. Each call is an attempt, with a token and a
// run id of its own. The bridge itself opens the stream to Cursor.
//
// The bridge answers with a status of its own before the stream begins: 200 and frames, or an
// error in JSON.
//
// Whoever opened the answer closes it. With an error nothing is left open.
func (b *Backend) ask(ctx context.Context, req *agent.Request) (replay.Answer, error) {
	access, err := replay.Authenticate(ctx, b.config.Auth, req.Caller.CursorKey)
	if err != nil {
		return nil, err
	}
	frame, runID := agentwire.EncodeRun(req)
	data, err := json.Marshal(body{
		AccessToken: access.Token().Reveal(), RequestID: runID, BackendBaseURL: b.config.BackendBase,
		LocalAgentEndpoint: b.config.Endpoint, ClientVersion: b.config.ClientVersion,
		RunFrame: base64.StdEncoding.EncodeToString(frame),
	})
	if err != nil {
		return nil, &agent.Error{Code: agent.Internal, Err: err}
	}
	httpReq, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, bytes.NewReader(data))
	if err != nil {
		return nil, &agent.Error{Code: agent.NotConfigured, Err: err, Message: "The bridge's address is not a valid URL. Check CURSOR_SDK_BRIDGE_URL."}
	}
	httpReq.Header.Set("Content-Type", "application/json")
	if !b.config.Token.IsZero() {
		httpReq.Header.Set("Authorization", "Bearer "+b.config.Token.Reveal())
	}
	// The bridge is the operator's own, so it may know of which trace this is; Cursor is told nothing of it.
	req.Origin.Trace.SetHeaders(httpReq.Header)
	x, err := replay.Send(ctx, b.config.Transport, httpReq, urlSetting, b.config.Limits)
	if err != nil {
		return nil, err
	}
	if x.Response.StatusCode != http.StatusOK {
		defer x.Close()
		data := x.Refusal()
		if wrong := reach.WrongScheme(httpReq.URL, urlSetting, x.Response.StatusCode, data); wrong != nil {
			return nil, wrong
		}
		return nil, refusal(x.Response, data, access)
	}
	return newAnswer(x, req, access), nil
}
