package messages_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/api/apitest"
	"composer-api/internal/api/known"
	"composer-api/internal/api/messages"
	"composer-api/internal/sse"
)

// newEncoder makes an encoder for a request with these members, whose run was accepted.
func newEncoder(t testing.TB, w http.ResponseWriter, members string) *messages.Encoder {
	t.Helper()
	req, err := messages.Decode([]byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]`+members+`}`), known.Sender{})
	if err != nil {
		t.Fatal(err)
	}
	e := messages.NewEncoder(w, req, messages.Options{ID: "msg_1", Sign: hex.EncodeToString})
	if err := e.Accept(agent.Accepted{Upstream: "demo", Resume: agent.ResumeNew, Model: agent.Model{ID: "m", Name: "m-fast"}}); err != nil {
		t.Fatal(err)
	}
	return e
}

const streaming, thinking = `,"stream":true`, `,"thinking":{"type":"enabled","budget_tokens":1024}`

func TestTextEventAllocatesNothing(t *testing.T) {
	e := newEncoder(t, apitest.Discard{Headers: http.Header{}}, streaming+thinking)
	defer e.Close()
	for _, kind := range []agent.Kind{agent.Text, agent.Reasoning} {
		ev := agent.Event{Kind: kind, Text: []byte("some \"text\", as it comes")}
		if n := testing.AllocsPerRun(1000, func() {
			e.Event(&ev)
			e.Flush()
		}); n != 0 {
			t.Errorf("kind %d: %v allocations", kind, n)
		}
	}
}

func BenchmarkTextEvent(b *testing.B) {
	e := newEncoder(b, apitest.Discard{Headers: http.Header{}}, streaming)
	defer e.Close()
	ev := agent.Event{Kind: agent.Text, Text: []byte("some \"text\", as it comes")}
	b.ReportAllocs()
	for b.Loop() {
		e.Event(&ev)
		e.Flush()
	}
}

func TestStreamBeginsWhenAccepted(t *testing.T) {
	rec := httptest.NewRecorder()
	e := newEncoder(t, rec, streaming)
	defer e.Close()
	e.Flush()
	if !rec.Flushed || !strings.HasPrefix(rec.Body.String(), "event: message_start\n") {
		t.Errorf("flushed %v: %s", rec.Flushed, rec.Body)
	}
}

// Claude Code counts on events: it takes comments for silence.
func TestStreamThatThinksIsKeptAliveByPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := httptest.NewRecorder()
		e := newEncoder(t, rec, streaming)
		e.Flush()
		time.Sleep(30 * time.Second)
		e.Close()
		time.Sleep(time.Hour)
		const ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n"
		// One at the start and two by the timer. The recorder has no lock, so it is read only after Close.
		if got := rec.Body.String(); !strings.HasSuffix(got, ping+ping+ping) || strings.Count(got, ping) != 3 {
			t.Errorf("got %q", got)
		}
	})
}

func TestFailureAfterTheEndAddsNothing(t *testing.T) {
	for _, members := range []string{streaming, ""} {
		rec := httptest.NewRecorder()
		e := newEncoder(t, rec, members)
		e.Event(&agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}})
		if !e.Fail(agent.Errorf(agent.Upstream, "late")) {
			t.Error("the client counts as not told")
		}
		e.Close()
		if strings.Contains(rec.Body.String(), "late") {
			t.Error(rec.Body)
		}
	}
}

func TestFailureBeforeTheStreamIsLeftToTheCaller(t *testing.T) {
	rec := httptest.NewRecorder()
	for _, stream := range []bool{true, false} {
		e := messages.NewEncoder(rec, &messages.Request{Stream: stream}, messages.Options{})
		if e.Fail(agent.Errorf(agent.Upstream, "early")) {
			t.Errorf("stream %v: it says that the client was told", stream)
		}
		e.Close()
	}
	if rec.Flushed || rec.Body.Len() > 0 {
		t.Error(rec.Body)
	}
}

func TestClientThatIsGoneIsAnError(t *testing.T) {
	w := &gone{Discard: apitest.Discard{Headers: http.Header{}}}
	e := newEncoder(t, w, streaming)
	defer e.Close()
	w.err = errors.New("gone")
	e.Event(&agent.Event{Kind: agent.Text, Text: []byte("a")})
	if err := e.Flush(); !errors.Is(err, w.err) {
		t.Errorf("Flush: %v", err)
	}
	e.Fail(agent.Errorf(agent.Canceled, ""))
}

type gone struct {
	apitest.Discard
	err error
}

func (g *gone) Write(p []byte) (int, error) { return len(p), g.err }

// A message is an answer as a client has it in the end.
type message struct {
	ID, Type, Role, Model string
	Content               []block
	StopReason            string  `json:"stop_reason"`
	StopSequence          *string `json:"stop_sequence"`
	Usage                 map[string]any
}

type block struct {
	Type, Text, Thinking, Signature, ID, Name string
	Input                                     json.RawMessage
}

// fold makes the message of a stream, as the SDKs do, and checks on the way that the stream is well formed: the message
// begins once and ends once, indexes are dense, each block is closed before the next begins, a delta is of its block's
// kind, and every event's name is its type.
func fold(stream string) (message, error) {
	var m message
	var open *block
	var input string
	state := "" // of the message
	for e, err := range sse.Scan(strings.NewReader(stream)) {
		if err != nil {
			return m, err
		}
		var data struct {
			Type         string
			Index        int
			Message      *message
			ContentBlock *block `json:"content_block"`
			Delta        struct {
				Type, Text, Thinking, Signature string
				PartialJSON                     string  `json:"partial_json"`
				StopReason                      string  `json:"stop_reason"`
				StopSequence                    *string `json:"stop_sequence"`
			}
			Usage map[string]any
		}
		if err := json.Unmarshal([]byte(e.Data), &data); err != nil {
			return m, err
		}
		if data.Type != e.Type {
			return m, fmt.Errorf("event %q has the type %q", e.Type, data.Type)
		}
		if (state == "") != (data.Type == "message_start") || state == "stopped" || state == "ending" && data.Type != "message_stop" {
			return m, fmt.Errorf("%s comes when the message is %q", data.Type, state)
		}
		switch data.Type {
		case "message_start":
			m, state = *data.Message, "begun"
			if len(m.Content) > 0 || m.StopReason != "" {
				return m, fmt.Errorf("it begins with %+v", m)
			}
		case "ping":
		case "content_block_start":
			if open != nil || data.Index != len(m.Content) {
				return m, fmt.Errorf("block %d begins after %d, of which one is open: %v", data.Index, len(m.Content), open != nil)
			}
			m.Content = append(m.Content, *data.ContentBlock)
			open, input = &m.Content[data.Index], ""
		case "content_block_delta":
			if open == nil || data.Index != len(m.Content)-1 {
				return m, fmt.Errorf("a delta of block %d", data.Index)
			}
			kinds := map[string]string{"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking", "input_json_delta": "tool_use"}
			if kinds[data.Delta.Type] != open.Type {
				return m, fmt.Errorf("%s in a block of %s", data.Delta.Type, open.Type)
			}
			open.Text += data.Delta.Text
			open.Thinking += data.Delta.Thinking
			open.Signature += data.Delta.Signature
			input += data.Delta.PartialJSON
		case "content_block_stop":
			if open == nil || data.Index != len(m.Content)-1 {
				return m, fmt.Errorf("the end of block %d", data.Index)
			}
			if open.Type == "tool_use" {
				open.Input = json.RawMessage(input)
			}
			open = nil
		case "message_delta":
			if open != nil {
				return m, fmt.Errorf("the message ends in block %d", len(m.Content)-1)
			}
			m.StopReason, m.StopSequence, m.Usage, state = data.Delta.StopReason, data.Delta.StopSequence, data.Usage, "ending"
		case "message_stop":
			state = "stopped"
		default:
			return m, fmt.Errorf("an event of type %s", data.Type)
		}
	}
	if state != "stopped" {
		return m, fmt.Errorf("the stream ends when the message is %q", state)
	}
	return m, nil
}

// randomTurn is what a gateway may give to a sink.
func randomTurn(r *rand.Rand) []agent.Event {
	texts := []string{"a", "wörld ", "\"\\\n", "\u2028", "😀", "data: x\n\n", "</think>"}
	arguments := []string{`{}`, `{"a":"\"b\\"}`, `{"n":[1,{"x":null}],"s":"ů\u2028"}`}
	var events []agent.Event
	for range r.IntN(12) {
		switch r.IntN(5) {
		case 0:
			events = append(events, agent.Event{Kind: agent.Call, Call: &agent.ToolCall{ID: agent.NewCallID(), Name: "look", Arguments: json.RawMessage(arguments[r.IntN(len(arguments))])}})
		case 1, 2:
			events = append(events, agent.Event{Kind: agent.Reasoning, Text: []byte(texts[r.IntN(len(texts))])})
		default:
			events = append(events, agent.Event{Kind: agent.Text, Text: []byte(texts[r.IntN(len(texts))])})
		}
	}
	reasons := []agent.Done{{Reason: agent.Stop}, {Reason: agent.Stop, StopText: "\"END\""}, {Reason: agent.ToolCalls}, {Reason: agent.Length}}
	usage := agent.Usage{Input: r.Int64N(100), CacheRead: r.Int64N(100), CacheWrite: r.Int64N(2), Output: r.Int64N(100), Estimated: r.IntN(2) == 0}
	return append(events, agent.Event{Kind: agent.UsageKind, Usage: &usage}, agent.Event{Kind: agent.DoneKind, Done: &reasons[r.IntN(len(reasons))]})
}

func TestAStreamIsWellFormedAndTellsWhatAWholeAnswerTells(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for n := range 300 {
		events := randomTurn(r)
		shown := []string{thinking, ""}[n%2]
		answers := make([]string, 2)
		for i, members := range []string{streaming, ""} {
			rec := httptest.NewRecorder()
			e := newEncoder(t, rec, members+shown)
			for i := range events {
				ev := events[i]
				ev.Text = slices.Clone(ev.Text)
				if err := e.Event(&ev); err != nil {
					t.Fatal(err)
				}
				clear(ev.Text) // it is the encoder's during the call only
				if r.IntN(2) == 0 {
					e.Flush()
				}
			}
			e.Flush()
			e.Close()
			answers[i] = rec.Body.String()
		}
		folded, err := fold(answers[0])
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, answers[0])
		}
		var whole message
		if err := json.Unmarshal([]byte(answers[1]), &whole); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, answers[1])
		}
		if diff := cmp.Diff(whole, folded); diff != "" {
			t.Fatalf("seed %d: the stream differs from the whole answer:\n%s\n%s", seed, diff, answers[0])
		}
		if folded.Model != "m-fast" {
			t.Errorf("the answer is of %q", folded.Model)
		}
	}
}
