package chat_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/api/chat"
	"composer-api/internal/api/known"
	"composer-api/internal/sse"
)

// A chunk is what clients look at of a chat completion's chunk. Pointers tell what is absent from what is empty.
type chunk struct {
	ID, Object, Model string
	Choices           []struct {
		Index *int
		Delta struct {
			Role      *string
			Content   *string
			Reasoning *string     `json:"reasoning_content"`
			ToolCalls []callDelta `json:"tool_calls"`
		}
		FinishReason *string `json:"finish_reason"`
	}
	Usage json.RawMessage
	Error json.RawMessage
}

type callDelta struct {
	Index    *int
	ID, Type *string
	Function *struct{ Name, Arguments *string }
	Custom   *struct{ Name, Input *string }
}

// A message is the answer, as a document has it and as a client puts it together from a stream.
type message struct {
	Role      string
	Content   string
	Reasoning string `json:"reasoning_content"`
	ToolCalls []call `json:"tool_calls"`
}

type call struct {
	ID, Type string
	Function *struct{ Name, Arguments string }
	Custom   *struct{ Name, Input string }
}

// Whatever a backend yields, and wherever it fails, a stream keeps the rules without which some client breaks, and adds
// up to the document that the same events give without streaming. The rules stand in checkStream.
func TestEveryStreamKeepsTheRules(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 200 {
		usage := i%2 == 0
		events := randomTurn(r)
		var failure *agent.Error
		if i%5 == 0 {
			events = events[:r.IntN(len(events))]
			failure = agent.Errorf(agent.Upstream, "It broke.")
		}
		got, reason := checkStream(t, playTurn(t, true, usage, events, failure), usage, failure != nil)
		if failure == nil {
			want, wantReason := readDocument(t, playTurn(t, false, usage, events, nil))
			if diff := cmp.Diff(want, got); diff != "" || reason != wantReason {
				t.Errorf("ended with %q, want %q; the stream adds up to something else (-document +stream):\n%s", reason, wantReason, diff)
			}
		}
		if t.Failed() {
			t.Fatalf("in turn %d: %+v", i, events)
		}
	}
}

// randomTurn is a turn that a backend might yield.
func randomTurn(r *rand.Rand) []agent.Event {
	words := []string{"a", "Hello ", "\n", "\"quoted\"\\", "é", "🙂", "\u2028", "data: [DONE]\n\n"}
	calls := []agent.ToolCall{
		{ID: "call_1", Name: "read", Arguments: []byte(`{"path":"a\n\"b\""}`)},
		{ID: "call_2", Name: "read", Arguments: []byte(`{}`)},
		{ID: "call_3", Name: "patch", Arguments: []byte(`{"input":"*** Begin\n"}`)},
		{ID: "call_4", Name: "patch", Arguments: []byte(`{"input":""}`)},
	}
	var events []agent.Event
	reason := []agent.Reason{agent.Stop, agent.Length}[r.IntN(2)]
	for range r.IntN(20) {
		switch n := r.IntN(5); n {
		case 0:
			events = append(events, agent.Event{Kind: agent.Call, Call: &calls[r.IntN(len(calls))]})
			reason = agent.ToolCalls
		case 1:
			events = append(events, agent.Event{Kind: agent.Reasoning, Text: []byte(words[r.IntN(len(words))])})
		default:
			events = append(events, agent.Event{Kind: agent.Text, Text: []byte(words[r.IntN(len(words))])})
		}
	}
	return append(events,
		agent.Event{Kind: agent.UsageKind, Usage: &agent.Usage{Input: 10, CacheRead: r.Int64N(9), Output: 7}},
		agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: reason}})
}

// playTurn sends events to an encoder as a gateway does, and returns what the client gets.
func playTurn(t *testing.T, stream, usage bool, events []agent.Event, failure *agent.Error) string {
	t.Helper()
	body := `{"model":"m","messages":[{"role":"user","content":"Hi"}],
		"tools":[{"type":"function","function":{"name":"read"}},{"type":"custom","custom":{"name":"patch"}}]`
	if stream {
		body += `,"stream":true`
		if usage {
			body += `,"stream_options":{"include_usage":true}`
		}
	}
	req, err := chat.Decode([]byte(body+"}"), known.Sender{})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	e := chat.NewEncoder(w, req, chat.Options{ID: "chatcmpl-1", Created: time.Unix(1, 0)})
	defer e.Close()
	if err := e.Accept(agent.Accepted{Model: agent.Model{ID: "m"}}); err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if err := e.Event(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	if failure != nil && !e.Fail(failure) {
		t.Fatal("the client was not told")
	}
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	return w.Body.String()
}

// checkStream reads a stream the way the strictest clients do.
func checkStream(t *testing.T, body string, usage, fails bool) (answer message, reason string) {
	t.Helper()
	var chunks []chunk
	done := false
	for e, err := range sse.Scan(strings.NewReader(body)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type != "" {
			t.Errorf("an event is named %q: there are no such events", e.Type)
		}
		if done {
			t.Errorf("%q comes after the end", e.Data)
		}
		if done = e.Data == "[DONE]"; done {
			continue
		}
		var c chunk
		if err := json.Unmarshal([]byte(e.Data), &c); err != nil {
			t.Fatalf("%s: %v", e.Data, err)
		}
		chunks = append(chunks, c)
	}
	if done == fails {
		t.Errorf("the stream ends with [DONE]: %t; the turn failed: %t", done, fails)
	}
	if fails {
		if last := chunks[len(chunks)-1]; last.Error == nil || last.Choices != nil {
			t.Error("the last chunk is no error")
		}
		chunks = chunks[:len(chunks)-1]
	} else if usage {
		last := chunks[len(chunks)-1]
		if last.Choices == nil || len(last.Choices) > 0 || len(last.Usage) < len("null")+1 {
			t.Errorf("the last chunk is no usage: %+v", last)
		}
		chunks = chunks[:len(chunks)-1]
	}
	for i, c := range chunks {
		if c.ID != "chatcmpl-1" || c.Object != "chat.completion.chunk" || c.Model != "m" || len(c.Choices) != 1 || c.Choices[0].Index == nil || *c.Choices[0].Index != 0 {
			t.Errorf("chunk %d is %+v", i, c)
		}
		if string(c.Usage) != map[bool]string{true: "null", false: ""}[usage] {
			t.Errorf("chunk %d has the usage %s", i, c.Usage)
		}
		choice := c.Choices[0]
		if (choice.Delta.Role != nil) != (i == 0) {
			t.Errorf("chunk %d: only the first one has a role", i)
		}
		if last := !fails && i == len(chunks)-1; (choice.FinishReason != nil) != last {
			t.Errorf("chunk %d of %d: only the last one has a finish reason", i, len(chunks))
		} else if last {
			reason = *choice.FinishReason
			if d := choice.Delta; d.Content != nil || d.Reasoning != nil || d.ToolCalls != nil {
				t.Errorf("the delta of the last chunk is %+v", d)
			}
		}
		if choice.Delta.Role != nil {
			answer.Role = *choice.Delta.Role
		}
		answer.Content += deref(choice.Delta.Content)
		answer.Reasoning += deref(choice.Delta.Reasoning)
		for _, d := range choice.Delta.ToolCalls {
			answer.add(t, d)
		}
	}
	return answer, reason
}

// add adds a piece of a call. The first piece of one says what it is; a later one must not say it again, not even as
// an empty text, because openai-node appends it.
func (m *message) add(t *testing.T, d callDelta) {
	t.Helper()
	if d.Index == nil || *d.Index < 0 || *d.Index > len(m.ToolCalls) || d.Function == nil == (d.Custom == nil) {
		t.Fatalf("a call's index is missing or leaves a gap, or the call is not of one kind: %+v", d)
	}
	first := *d.Index == len(m.ToolCalls)
	if first {
		m.ToolCalls = append(m.ToolCalls, call{ID: deref(d.ID), Type: deref(d.Type)})
	}
	if (d.ID != nil) != first || (d.Type != nil) != first {
		t.Errorf("id or type: missing at first or repeated: %+v", d)
	}
	c := &m.ToolCalls[*d.Index]
	name, text := new(string), new(string)
	var gotName, gotText *string
	if d.Function != nil {
		if c.Function == nil {
			c.Function = &struct{ Name, Arguments string }{}
		}
		name, text, gotName, gotText = &c.Function.Name, &c.Function.Arguments, d.Function.Name, d.Function.Arguments
	} else {
		if c.Custom == nil {
			c.Custom = &struct{ Name, Input string }{}
		}
		name, text, gotName, gotText = &c.Custom.Name, &c.Custom.Input, d.Custom.Name, d.Custom.Input
	}
	if (gotName != nil) != first || gotText == nil {
		t.Errorf("a name is missing at first or repeated, or there is no text: %+v", d)
	}
	*name += deref(gotName)
	*text += deref(gotText)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// readDocument reads a whole answer.
func readDocument(t *testing.T, body string) (answer message, reason string) {
	t.Helper()
	var doc struct {
		Choices []struct {
			Message      message
			FinishReason string `json:"finish_reason"`
		}
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil || len(doc.Choices) != 1 {
		t.Fatalf("%v: %s", err, body)
	}
	return doc.Choices[0].Message, doc.Choices[0].FinishReason
}
