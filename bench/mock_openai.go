package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

// serveChat answers one chat completion: for the servers that only pass bytes on, and for peers.
func (m *mock) serveChat(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		errorf(w, "the body: %v", err)
		return
	}
	p, err := findPlan(body)
	if err != nil {
		errorf(w, "%v", err)
		return
	}
	// All clients of the bench write it without a space.
	if !bytes.Contains(body, []byte(`"stream":true`)) {
		var text []byte
		for i := range p.events {
			text = appendWord(text, i, time.Now())
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, wholeAnswer, text, p.events)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	http.NewResponseController(w).Flush()
	if err := speak(r.Context(), w, chatVoice{}, p, 0); err != nil {
		m.gone(p)
	}
}

// The chunks of a streamed answer, and an answer that isn't streamed. The floor uses them, too.
const (
	chunkHead   = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1,"model":"composer-2.5","choices":[{"index":0,"delta":{"content":"`
	chunkTail   = "\"},\"finish_reason\":null}]}\n\n"
	chunkEnd    = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1,"model":"composer-2.5","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
	wholeAnswer = `{"id":"chatcmpl-bench","object":"chat.completion","created":1,"model":"composer-2.5","choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":%d}}`
)

// chatVoice speaks OpenAI's API for chat completions.
type chatVoice struct{}

// word appends a chunk with one word.
func (chatVoice) word(b []byte, i int, now time.Time) []byte {
	b = append(b, chunkHead...)
	b = appendWord(b, i, now)
	return append(b, chunkTail...)
}

// end appends the last chunk and the mark behind it.
func (chatVoice) end(b []byte, _ int) []byte { return append(b, chunkEnd...) }
