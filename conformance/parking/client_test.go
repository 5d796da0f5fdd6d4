package parking

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// A chat is one conversation of a client that keeps its transcript.
type chat struct {
	t        testing.TB
	gateway  *harness.Gateway
	key      string
	messages []message
}

type message struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type toolCall struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Function function `json:"function"`
}

type function struct {
	Name        string `json:"name"`
	Arguments   string `json:"arguments,omitempty"`
	Description string `json:"description,omitempty"`
}

type request struct {
	Model    string     `json:"model"`
	Messages []message  `json:"messages"`
	Tools    []toolCall `json:"tools"` // with a type and a function: the same shape
	Stream   bool       `json:"stream"`
}

// An answer is what came back.
type answer struct {
	Status  int
	Resume  string // what the turn continued, by the gateway's own word
	Content string
	Calls   []toolCall
	Error   string // code of the error
}

// ids are the calls' ids.
func (a *answer) ids() []string {
	var ids []string
	for _, c := range a.Calls {
		ids = append(ids, c.ID)
	}
	return ids
}

func newChat(t testing.TB, gateway *harness.Gateway) *chat {
	return &chat{t: t, gateway: gateway, key: harness.Key}
}

// fork is another client with the same transcript.
func (c *chat) fork() *chat {
	other := *c
	other.messages = slices.Clone(c.messages)
	return &other
}

// user adds what the user says.
func (c *chat) user(text string) *chat {
	c.messages = append(c.messages, message{Role: "user", Content: text})
	return c
}

// result adds a tool's result.
func (c *chat) result(callID, text string) *chat {
	c.messages = append(c.messages, message{Role: "tool", ToolCallID: callID, Content: text})
	return c
}

func (c *chat) request(ctx context.Context, stream bool) *http.Request {
	body, err := json.Marshal(request{
		Model: "composer-2.5", Messages: c.messages, Stream: stream,
		Tools: []toolCall{{Type: "function", Function: function{Name: "look", Description: "Looks."}}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.gateway.BaseURL()+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	r.Header.Set("Content-Type", "application/json")
	return r
}

// try sends the conversation, takes the answer into it, and returns it whatever its status.
func (c *chat) try() (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	resp, err := http.DefaultClient.Do(c.request(ctx, false))
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	var body struct {
		Choices []struct{ Message message }
		Error   struct{ Code string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return answer{}, err
	}
	a := answer{Status: resp.StatusCode, Resume: resp.Header.Get("x-composer-resume"), Error: body.Error.Code}
	if len(body.Choices) > 0 {
		m := body.Choices[0].Message
		a.Content, a.Calls = m.Content, m.ToolCalls
		c.messages = append(c.messages, m)
	}
	return a, nil
}

// send is try for a request that must succeed.
func (c *chat) send() answer {
	c.t.Helper()
	a, err := c.try()
	if err != nil || a.Status != http.StatusOK {
		c.t.Fatalf("%d %s (%v)", a.Status, a.Error, err)
	}
	return a
}

// want fails the test unless the answer continued what resume says and has this content.
func (a *answer) want(t testing.TB, resume, content string) {
	t.Helper()
	if a.Resume != resume || a.Content != content {
		t.Errorf("the answer is %q (%s), want %q (%s)", a.Content, a.Resume, content, resume)
	}
}

// stream sends the conversation and returns the body of the answer, to be read piece by piece. leave is how the client
// goes away.
func (c *chat) stream() (body io.Reader, leave func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	// A connection of its own, so that leaving closes it.
	client := &http.Client{Transport: &http.Transport{}}
	resp, err := client.Do(c.request(ctx, true))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("status %d", resp.StatusCode)
	}
	return resp.Body, cancel
}

// readUntil reads until text has come, and returns all that came. It fails the test when the stream ends before.
func readUntil(t testing.TB, body io.Reader, text string) string {
	t.Helper()
	var got []byte
	buffer := make([]byte, 4096)
	for !bytes.Contains(got, []byte(text)) {
		n, err := body.Read(buffer)
		got = append(got, buffer[:n]...)
		if err != nil && !bytes.Contains(got, []byte(text)) {
			t.Fatalf("%v before %q; only\n%s", err, text, got)
		}
	}
	return string(got)
}
