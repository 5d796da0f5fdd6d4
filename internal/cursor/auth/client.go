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
	// HTTP makes the requests; nil means one with the environment's proxy. It should not follow redirects with
	// credentials to other hosts; net/http's does not.
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
	cfg Config

	// mu protects the map, and the fields of its entries.
	mu     sync.Mutex
	tokens map[keyHash]*entry
	swept  time.Time // when tokens that nobody uses were last dropped
}

// New makes a Client.
func New(cfg Config) *Client {
	cfg.APIBase = cmp.Or(cfg.APIBase, "https://api.cursor.com")
	cfg.HTTP = cmp.Or(cfg.HTTP, http.DefaultClient)
	cfg.Timeout = cmp.Or(cfg.Timeout, 15*time.Second)
	cfg.MaxKeys = cmp.Or(cfg.MaxKeys, 10_000)
	cfg.MaxIdle = cmp.Or(cfg.MaxIdle, 2*time.Hour)
	return &Client{cfg: cfg, tokens: map[keyHash]*entry{}}
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
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return transportError(ctx, req.URL, to.setting, err)
	}
	if wrong := reach.WrongScheme(req.URL, to.setting, resp.StatusCode, answer); wrong != nil {
		return wrong
	}
	if resp.StatusCode != http.StatusOK {
		return statusError(resp, bytes.ReplaceAll(answer, []byte(key.Reveal()), []byte("[redacted]")))
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return &agent.Error{Code: agent.Upstream, Message: "Cursor's answer can't be understood.", Err: err}
	}
	return nil
}
