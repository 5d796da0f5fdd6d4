package sdkv1

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
)

// The messages of a turn as the bridge of cursor-sdk 1.1.0 was seen to send them.
const turn = `{"sdkMessage":{"type":"status","message":{"run_id":"run-1","status":"RUNNING"}},"offset":"1"}
{}
{"interactionUpdate":{"type":"text-delta","update":{"text":"hello"}}}
{"sdkMessage":{"type":"assistant","message":{"message":{"role":"assistant","content":[{"type":"text","text":"hello"}]}}}}
{"interactionUpdate":{"type":"tool-requests-listed","update":{"callCount":2}}}
{"somethingNew":{"a":1}}
{"result":{"runId":"run-1","result":{"status":"RUN_LIFECYCLE_STATUS_FINISHED","usage":{"inputTokens":"11","outputTokens":22,"totalTokens":"99"}}}}
{"done":{}}`

func envelopes(lines string) []byte {
	var b []byte
	for line := range strings.SplitSeq(lines, "\n") {
		b = connectwire.Append(b, 0, []byte(line))
	}
	return connectwire.Append(b, 2, []byte("{}"))
}

// fakeBridge answers every call with status and body, and notes what was asked.
func fakeBridge(t *testing.T, status int, body []byte) (c *Client, asked *http.Request, sent *bytes.Buffer) {
	t.Helper()
	asked, sent = new(http.Request), new(bytes.Buffer)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = *r
		io.Copy(sent, r.Body)
		w.WriteHeader(status)
		w.Write(body)
	}))
	t.Cleanup(server.Close)
	return NewClient(server.URL+"/", agent.NewSecret("token"), server.Client()), asked, sent
}

func TestAStreamIsReadToItsEnd(t *testing.T) {
	c, asked, sent := fakeBridge(t, 200, envelopes(turn))
	s, err := c.Send(t.Context(), "agent-1", UserMessage{Text: "<hi> & bye", Images: []Image{{ImageData{Data: []byte{1, 2}, MimeType: "image/png"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if asked.URL.Path != "/sdk.v1.SdkAgentService/Send" || asked.Header.Get("Authorization") != "Bearer token" || asked.Header.Get("Content-Type") != "application/connect+json" {
		t.Errorf("asked %s with %v", asked.URL, asked.Header)
	}
	want := `{"agentId":"agent-1","message":{"text":"<hi> & bye","images":[{"data":{"data":"AQI=","mimeType":"image/png"}}]},"options":{"enableDeltas":true}}`
	if got := strings.TrimSpace(sent.String()[connectwire.HeaderLen:]); got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	var text, runID string
	var calls int
	var result *StreamResult
	var m Message
	for err = s.Next(&m); err == nil; err = s.Next(&m) {
		if m.SDKMessage != nil && m.SDKMessage.Message.RunID != "" {
			runID = m.SDKMessage.Message.RunID
		}
		if u := m.InteractionUpdate; u != nil {
			text += u.Update.Text
			calls += u.Update.CallCount
		}
		if m.Result != nil {
			result = m.Result
		}
	}
	if !errors.Is(err, io.EOF) || text != "hello" || runID != "run-1" || calls != 2 {
		t.Errorf("%v; text %q, run %q, %d calls", err, text, runID, calls)
	}
	if diff := cmp.Diff(&TokenUsage{Input: 11, Output: 22}, result.Result.Usage); diff != "" {
		t.Error(diff)
	}
}

func TestARefusedCallIsTheBridgesError(t *testing.T) {
	c, _, _ := fakeBridge(t, 404, []byte(`{"code":"not_found","message":"Unknown agent: a"}`))
	err := c.CancelRun(t.Context(), "r", "a")
	var said *connectwire.Error
	if !errors.As(err, &said) || said.Code != "not_found" || said.Message != "Unknown agent: a" {
		t.Errorf("got %v", err)
	}
}

func TestTheKeyIsInTheRequestAndNowhereElse(t *testing.T) {
	options := AgentOptions{APIKey: agent.NewSecret("crsr_1"), Tools: ToolList{Names: []string{}}}
	c, _, sent := fakeBridge(t, 200, []byte(`{"agentId":"agent-1"}`))
	if id, err := c.CreateAgent(t.Context(), options); err != nil || id != "agent-1" {
		t.Fatal(id, err)
	}
	if !strings.Contains(sent.String(), `"apiKey":"crsr_1"`) || !strings.Contains(sent.String(), `"tools":{"names":[]}`) {
		t.Errorf("sent %s", sent)
	}
}

// FuzzMessage checks that whatever the bridge sends is taken or refused, and never harms.
func FuzzMessage(f *testing.F) {
	for line := range strings.SplitSeq(turn, "\n") {
		f.Add([]byte(line))
	}
	f.Add([]byte(`{"result":{"result":{"usage":{"inputTokens":"-5","outputTokens":"1e99"}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Message
		if json.Unmarshal(data, &m) != nil || m.Result == nil || m.Result.Result.Usage == nil {
			return
		}
		if u := m.Result.Result.Usage; u.Input < 0 || u.Output < 0 || u.CacheRead < 0 || u.CacheWrite < 0 || u.Reasoning < 0 {
			t.Errorf("negative usage: %+v", u)
		}
	})
}
