package auth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/reach"
)

// Config is what a Client needs.
type Config struct {
	// BackendBase is the base URL of the backend that exchanges keys for access tokens. Without one, Token fails.
	BackendBase string
	// APIBase is the base URL of Cursor's public API; "" means https://api.cursor.com.
	APIBase string
	// HTTP makes the requests; nil means one with the environment's proxy. Redirects are followed at the same address only, because
	// requests carry a key.
	HTTP *http.Client
	// Timeout bounds each request; 0 means 15 seconds.
	Timeout time.Duration
	// MaxKeys bounds how many keys' tokens are kept; over it, the one used longest ago is dropped. 0
	// means 10,000.
	MaxKeys int
	// MaxIdle is how long the token of a key that nobody uses is kept; 0 means two hours.
	MaxIdle time.Duration
}

// A Client exchanges keys and asks about them. It is safe for concurrent use.
//
// It starts goroutines only for exchanges, which end by Timeout. It has nothing to close.
type Client struct {
	// cfg has its defaults filled in and doesn't change.
	cfg Config

	// mu protects the map, and the fields of its entries.
	mu sync.Mutex
	// tokens are by the hash of the key: the key itself is kept nowhere.
	tokens map[keyHash]*entry
	swept  time.Time // when tokens that nobody uses were last dropped
}

// New makes a Client.
func New(cfg Config) *Client {
	cfg.APIBase = cmp.Or(cfg.APIBase, "https://api.cursor.com")
	careful := *cmp.Or(cfg.HTTP, http.DefaultClient)
	careful.CheckRedirect = sameAddress
	cfg.HTTP = &careful
	cfg.Timeout = cmp.Or(cfg.Timeout, 15*time.Second)
	cfg.MaxKeys = cmp.Or(cfg.MaxKeys, 10_000)
	cfg.MaxIdle = cmp.Or(cfg.MaxIdle, 2*time.Hour)
	return &Client{cfg: cfg, tokens: map[keyHash]*entry{}}
}

// mostRedirects is how many redirects one request follows.
const mostRedirects = 5

// sameAddress is what an http.Client asks before it follows a redirect. One that leads elsewhere is the answer itself. So is one
// that would turn the request into another.
func sameAddress(req *http.Request, via []*http.Request) error {
	first := via[0]
	if req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host || req.Method != first.Method || len(via) > mostRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}

// maxAnswer bounds how much of an answer is read, in bytes.
const maxAnswer = 8 << 20

// An address is where a request goes, and the variable that says so. It is only for errors that
// setting is named in.
type address struct{ base, setting string }

func (c *Client) public() address  { return address{c.cfg.APIBase, "CURSOR_API_BASE"} }
func (c *Client) backend() address { return address{c.cfg.BackendBase, "CURSOR_BACKEND_BASE_URL"} }

// call makes one request with the key as its bearer token and decodes the JSON answer into out. body is
// JSON; "" is none. Nothing is retried here. Errors are *agent.Error and never hold the key, even if the
// server's answer quotes it.
//
// ctx is bounded by Config.Timeout. What comes beyond maxAnswer is cut off, which makes it bad JSON.
func (c *Client) call(ctx context.Context, method string, to address, path string, key agent.Secret, body string, out any) error {
	if key.IsZero() {
		return &agent.Error{Code: agent.MissingKey}
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(to.base, "/")+path, strings.NewReader(body))
	if err != nil {
		return &agent.Error{Code: agent.NotConfigured, Message: "The URL of the Cursor backend is not valid.", Err: err}
	}
	req.Header.Set("Authorization", "Bearer "+key.Reveal())
	req.Header.Set("Accept", "application/json")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return transportError(ctx, req.URL, to.setting, err)
	}
	defer resp.Body.Close()
	if stopped := reach.Intercepted(req.URL, to.setting, resp); stopped != nil {
		return stopped
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil && ctx.Err() != nil:
		return givenUp(ctx, err)
	case err != nil:
		return &agent.Error{Code: agent.Upstream, Message: "Cursor's answer broke off.", Err: err}
	}
	// An https:// port that is asked in plain text answers with a status, too. Its own words would help nobody.
	if wrong := reach.WrongScheme(req.URL, to.setting, resp.StatusCode, answer); wrong != nil {
		return wrong
	}
	if resp.StatusCode != http.StatusOK {
		// A server may repeat the key in its error, and the error goes into logs.
		return statusError(resp, bytes.ReplaceAll(answer, []byte(key.Reveal()), []byte("[redacted]")))
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return &agent.Error{Code: agent.Upstream, Message: "Cursor's answer can't be understood.", Err: err}
	}
	return nil
}
