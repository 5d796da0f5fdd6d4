package costtest

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// oneWord is an upstream that answers every run with one word.
func oneWord(_ []byte, _ io.Reader, out *voice) {
	out.words(1)
	out.end()
}

// A prompt that is twice as long may cost twice as much: the first of a conversation, and one with a tool's result.
func TestWorkIsLinearInThePrompt(t *testing.T) {
	for name, cost := range map[string]func(t *testing.T, size, seed int) (objects, bytes uint64){
		"first prompt": firstPrompt, "tool result": toolResult,
	} {
		t.Run(name, func(t *testing.T) {
			cost(t, 64<<10, 1) // what is made once
			smallObjects, smallBytes := cost(t, 512<<10, 2)
			objects, bytes := cost(t, 1<<20, 3)
			t.Logf("512 KiB: %d allocations, %d bytes; 1 MiB: %d, %d", smallObjects, smallBytes, objects, bytes)
			if ratio := float64(bytes) / float64(smallBytes); ratio > 2.4 {
				t.Errorf("a prompt of twice the size allocates %.1f times as many bytes", ratio)
			}
			// There are as many messages, so the number doesn't follow the size.
			if ratio := float64(objects) / float64(smallObjects); ratio > 1.3 {
				t.Errorf("a prompt of twice the size makes %.1f times as many allocations", ratio)
			}
		})
	}
}

// firstPrompt is what a new conversation of that size allocates.
func firstPrompt(t *testing.T, size, seed int) (objects, bytes uint64) {
	w := newWorld(t, oneWord)
	w.ask(t, request(message{Role: "user", Content: "Hello."}))
	body := request(append(conversation(size, seed), message{Role: "user", Content: "Go on."})...)
	return allocated(func() { w.ask(t, body) })
}

// A transcript that was sent before is neither decoded nor copied: what is allocated is the body, and little more.
func TestAToolResultCostsWhatIsNew(t *testing.T) {
	const size = 1 << 20
	toolResult(t, 64<<10, 1) // what is made once
	if _, bytes := toolResult(t, size, 2); bytes > 2*size {
		t.Errorf("%d bytes are allocated for a result behind %d", bytes, size)
	}
}

// The same holds for the other surfaces, here where no turn is carried out.
func TestWhatWasSentBeforeIsNotDecodedAgain(t *testing.T) {
	const size = 1 << 20
	text := strings.Repeat("a word \n", size/200/9)
	list := func(element string) string {
		return strings.TrimSuffix(strings.Repeat(fmt.Sprintf(element, "user", text)+","+fmt.Sprintf(element, "assistant", text)+",", 100), ",")
	}
	w := newWorld(t, oneWord)
	for path, body := range map[string]string{
		"/v1/messages/count_tokens":  `{"model":"composer-2.5","messages":[` + list(`{"role":%q,"content":%q}`) + `]}`,
		"/v1/responses/input_tokens": `{"model":"composer-2.5","input":[` + list(`{"role":%q,"content":[{"type":"input_text","text":%q}]}`) + `]}`,
	} {
		raw := []byte(body)
		ask := func() { post(t, w.client, "http://localhost"+path, raw) }
		_, first := allocated(ask)
		_, again := allocated(ask)
		t.Logf("%s: %d bytes of %d, then %d", path, first, len(body), again)
		if int(again) > len(body)*7/4 {
			t.Errorf("%s: %d bytes are allocated for a body of %d that was sent before", path, again, len(body))
		}
	}
}

var callID = regexp.MustCompile(`"tool_calls":\[\{"index":0,"id":"([^"]+)"`)

// untilTheResult is an upstream that makes a call, and says a word when it has the result.
func untilTheResult(_ []byte, in io.Reader, out *voice) {
	out.call()
	for {
		answer := readEnvelope(in)
		if answer == nil {
			return
		}
		if bytes.Contains(answer, []byte("the result")) {
			oneWord(nil, nil, out)
			return
		}
	}
}

// parkedResult is the request with the result for a run that waits for it, behind what was said.
func parkedResult(t testing.TB, w *world, said []message) (body []byte) {
	found := callID.FindSubmatch(w.ask(t, request(said...)))
	if found == nil {
		t.Fatal("no call came")
	}
	id := string(found[1])
	return request(append(slices.Clip(said), message{Role: "assistant", ToolCalls: []call{look(id, "{}")}}, message{Role: "tool", ToolCallID: id, Content: "the result"})...)
}

// toolResult is what the request with a tool's result allocates, at the end of a conversation of that size.
func toolResult(t *testing.T, size, seed int) (objects, allocatedBytes uint64) {
	w := newWorld(t, untilTheResult)
	body := parkedResult(t, w, append(conversation(size, seed), message{Role: "user", Content: "Look."}))
	var answer []byte
	objects, allocatedBytes = allocated(func() { answer = w.ask(t, body) })
	if !bytes.Contains(answer, []byte(`"content":"word "`)) {
		t.Fatalf("the parked run did not go on: %s", answer)
	}
	return objects, allocatedBytes
}

// BenchmarkPrompt is a prompt of 1 MiB in 200 messages that no request has had before.
func BenchmarkPrompt(b *testing.B) {
	w := newWorld(b, oneWord)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		body := request(append(conversation(1<<20, i), message{Role: "user", Content: "Go on."})...)
		b.StartTimer()
		b.SetBytes(int64(len(body)))
		w.ask(b, body)
	}
}

// BenchmarkEvent is one word, from upstream's write to the client.
func BenchmarkEvent(b *testing.B) {
	w := newWorld(b, asManyWords)
	b.ReportAllocs()
	const most = 100_000
	for left := b.N; left > 0; left -= most {
		w.ask(b, request(message{Role: "user", Content: fmt.Sprintf("say %d words", min(left, most))}))
	}
}

// BenchmarkToolResult is a tool's result behind a transcript of 1 MiB, for a run that waits for it.
func BenchmarkToolResult(b *testing.B) {
	w := newWorld(b, untilTheResult)
	said := append(conversation(1<<20, 1), message{Role: "user", Content: "Look."})
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		body := parkedResult(b, w, said)
		b.StartTimer()
		b.SetBytes(int64(len(body)))
		w.ask(b, body)
	}
}
