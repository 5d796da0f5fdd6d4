package sdkv1

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
)

// A Client calls one bridge. It may be used concurrently. It sets no time limit of its own:
// each caller bounds its calls by ctx.
type Client struct {
	url string // without a slash at its end
	// token is the bridge's own, not the caller's key.
	token agent.Secret
	http  *http.Client
}

// NewClient makes a client of the bridge at url, which asks for token. http must not follow a proxy: the bridge is on
// the loopback.
func NewClient(url string, token agent.Secret, client *http.Client) *Client {
	return &Client{url: strings.TrimSuffix(url, "/"), token: token, http: client}
}

// Close lets go of connections that nobody uses. Those in use are not touched.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// maxAnswer bounds the answer to a unary call, in bytes.
const maxAnswer = 1 << 20

// The methods, with the services that they belong to.
const (
	// Paths below /sdk.v1. on the bridge.
	methodPing            = "SdkBridgeControlService/Ping"
	methodGetVersion      = "SdkBridgeControlService/GetVersion"
	methodSetToolCallback = "SdkBridgeControlService/SetToolCallback"
	methodCreateAgent     = "SdkAgentService/CreateAgent"
	methodResumeAgent     = "SdkAgentService/ResumeAgent"
	methodDeleteAgent     = "SdkAgentService/DeleteAgent"
	methodSend            = "SdkAgentService/Send"
	methodCancelRun       = "SdkAgentService/CancelRun"
)

// Ping asks for a sign of life. A bridge that is busy answers late; see the limits in sdkbridge.
func (c *Client) Ping(ctx context.Context) error {
	return c.call(ctx, methodPing, struct{}{}, nil)
}

// A Version is what a bridge says about itself.
type Version struct {
	// Bridge is the version of the package cursor-sdk.
	Bridge   string `json:"bridgeVersion"`
	Protocol string `json:"protocolVersion"` // "sdk.v1"
}

// Version asks for the versions.
func (c *Client) Version(ctx context.Context) (Version, error) {
	var v Version
	err := c.call(ctx, methodGetVersion, struct{}{}, &v)
	return v, err
}

// SetToolCallback tells the bridge where custom tools are run, for all its agents. It must be
// called before an agent with custom tools is created.
func (c *Client) SetToolCallback(ctx context.Context, url string, token agent.Secret) error {
	return c.call(ctx, methodSetToolCallback, struct {
		URL       string `json:"url"`
		AuthToken string `json:"authToken"`
	}{url, token.Reveal()}, nil)
}

// CreateAgent makes an agent and returns its id. Errors are *connectwire.Error when the bridge has answered.
//
// The id is the one in options, if there is one; the caller compares.
func (c *Client) CreateAgent(ctx context.Context, options AgentOptions) (id string, err error) {
	var answer struct {
		AgentID string `json:"agentId"`
	}
	err = c.call(ctx, methodCreateAgent, struct {
		Options AgentOptions `json:"options"`
	}{options}, &answer)
	return answer.AgentID, err
}

// ResumeAgent makes an agent known to this bridge that another one has created in the same home. The options are those that
// it was created with: the bridge keeps what was said, and nothing else. An unknown agent is the Connect code not_found.
func (c *Client) ResumeAgent(ctx context.Context, id string, options AgentOptions) error {
	options.AgentID = "" // it stands outside
	return c.call(ctx, methodResumeAgent, struct {
		AgentID string       `json:"agentId"`
		Options AgentOptions `json:"options"`
	}{id, options}, nil)
}

// DeleteAgent forgets an agent and what it has on disk. (CloseAgent, which keeps the disk, leaks three descriptors an
// agent in bridge 1.0.0.)
func (c *Client) DeleteAgent(ctx context.Context, id, cwd string, key agent.Secret) error {
	type operation struct {
		Cwd    string `json:"cwd"`
		APIKey string `json:"apiKey"`
	}
	return c.call(ctx, methodDeleteAgent, struct {
		AgentID string    `json:"agentId"`
		Options operation `json:"options"`
	}{id, operation{cwd, key.Reveal()}}, nil)
}

// CancelRun ends a run. Its stream then ends with StatusCancelled; a call of a tool that is being held is not ended by
// it. Cancelling a run that is over is no error.
func (c *Client) CancelRun(ctx context.Context, runID, agentID string) error {
	return c.call(ctx, methodCancelRun, struct {
		RunID   string `json:"runId"`
		AgentID string `json:"agentId"`
	}{runID, agentID}, nil)
}

// A Stream is the stream of a run. One goroutine reads it, for the run's whole life: a second reader would see neither
// deltas nor the result. Dropping it does not end the run, see [Client.CancelRun].
type Stream struct {
	// body is closed by Close; reader reads it.
	body   io.ReadCloser
	reader *connectwire.Reader
}

// Send says message to an agent, which begins a run. One run at a time is possible for an agent. The stream lives until
// ctx ends; the caller closes it.
//
// enableDeltas asks for text as it is written; without it there is only a result at the end.
func (c *Client) Send(ctx context.Context, agentID string, message UserMessage) (*Stream, error) {
	type options struct {
		EnableDeltas bool `json:"enableDeltas"`
	}
	payload, err := encode(struct {
		AgentID string      `json:"agentId"`
		Message UserMessage `json:"message"`
		Options options     `json:"options"`
	}{agentID, message, options{EnableDeltas: true}})
	if err != nil {
		return nil, err
	}
	// Header and message are two readers, so that a message with large images is not copied behind
	// its header.
	header := make([]byte, connectwire.HeaderLen)
	connectwire.PutHeader(header, 0, len(payload))
	body := io.MultiReader(bytes.NewReader(header), bytes.NewReader(payload))
	resp, err := c.post(ctx, methodSend, "application/connect+json", body, int64(len(header)+len(payload)))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp)
	}
	return NewStream(resp.Body), nil
}

// NewStream reads the stream that is in body.
func NewStream(body io.ReadCloser) *Stream {
	return &Stream{body: body, reader: connectwire.NewReader(body, 0)}
}

// Next reads the next message into m, whose content before is lost. A field that is of another type than the contract says
// is left out, and costs no more than itself: what a newer bridge adds must not end a run. The end of the stream is an
// error: io.EOF after a good end, *connectwire.Error after one that the bridge reports.
func (s *Stream) Next(m *Message) error {
	payload, err := s.reader.Next()
	if err != nil {
		return err
	}
	*m = Message{}
	// encoding/json goes on after a field of a wrong type, and reports the first of them at the
	// end.
	var mismatch *json.UnmarshalTypeError // the rest was decoded
	if err := json.Unmarshal(payload, m); err != nil && !errors.As(err, &mismatch) {
		return fmt.Errorf("sdk.v1: a message of a run can't be read: %w", err)
	}
	return nil
}

// Close lets go of the stream. It may be called at any time and unblocks Next.
func (s *Stream) Close() error { return s.body.Close() }

// call makes a unary call. answer may be nil. Errors are *connectwire.Error when the bridge has
// answered with one, else those of the connection, of ctx or of decoding.
func (c *Client) call(ctx context.Context, method string, request, answer any) error {
	body, err := encode(request)
	if err != nil {
		return err
	}
	resp, err := c.post(ctx, method, "application/json", bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(data, answer)
}

// post makes a request. The response's body is the caller's to close.
func (c *Client) post(ctx context.Context, method, contentType string, body io.Reader, length int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/sdk.v1."+method, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Connect-Protocol-Version", "1")
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	return c.http.Do(req)
}

// refusal reads the error of a response that is not a 200, and closes it.
func refusal(resp *http.Response) error {
	defer resp.Body.Close()
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return connectwire.ParseError(resp.StatusCode, data)
}

// encode writes JSON without the escapes that are for HTML pages alone.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
