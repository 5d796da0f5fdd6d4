package costtest

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
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

var callID = regexp.MustCompile(`"tool_calls":\[\{"index":0,"id":"([^"]+)"`)

// toolResult is what the request with a tool's result allocates, at the end of a conversation of that size.
func toolResult(t *testing.T, size, seed int) (objects, allocatedBytes uint64) {
	w := newWorld(t, func(_ []byte, in io.Reader, out *voice) {
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
	})
	said := append(conversation(size, seed), message{Role: "user", Content: "Look."})
	found := callID.FindSubmatch(w.ask(t, request(said...)))
	if found == nil {
		t.Fatal("no call came")
	}
	id := string(found[1])
	said = append(said, message{Role: "assistant", ToolCalls: []call{look(id, "{}")}}, message{Role: "tool", ToolCallID: id, Content: "the result"})
	body := request(said...)
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
