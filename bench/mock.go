package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A mock is the upstream of all servers. It speaks the local-agent protocol (mock_connect.go) and OpenAI's API
// (mock_openai.go) on one port, and does what the plan in the prompt says. It answers from bytes that are nearly ready, so
// that the server before it is what limits.
type mock struct {
	// mu guards left.
	mu   sync.Mutex
	left map[int]chan int64 // by the plan's id: when the mock noticed that its client had left, Unix time in ns
}

// agentPath is where the mock serves the local-agent protocol.
const agentPath = "/agent/run"

// maxStreams is how many streams the mock allows on a connection. Real servers allow about as many.
const maxStreams = 128

// serveMock serves until ctx ends. frame is the largest HTTP/2 frame that it accepts, in bytes: the sending side of net/http's client
// keeps a buffer of that size for each request body.
func serveMock(ctx context.Context, address string, frame int) error {
	m := &mock{left: make(map[int]chan int64)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+agentPath, m.serveAgent)
	mux.HandleFunc("POST /v1/chat/completions", m.serveChat)
	mux.HandleFunc("POST /auth/exchange_user_api_key", func(w http.ResponseWriter, _ *http.Request) {
		// What the gateway asks for before a run. Other servers don't.
		io.WriteString(w, `{"accessToken":"bench","refreshToken":"bench"}`)
	})
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"items":[{"id":"composer-2.5","displayName":"Composer 2.5"}]}`)
	})
	mux.HandleFunc("GET /left/{id}", m.serveLeft)
	server := &http.Server{Handler: mux, Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{
		MaxReadFrameSize: frame, MaxConcurrentStreams: maxStreams,
	}}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return serveUntil(ctx, server, address)
}

// A voice puts words into the form of one protocol. Its methods append to b.
type voice interface {
	// word appends word i, and end what follows the last word of an answer of so many.
	word(b []byte, i int, now time.Time) []byte
	end(b []byte, events int) []byte
}

// speak says the words from number first on, as p says, and the end. It returns when ctx ends.
func speak(ctx context.Context, w http.ResponseWriter, v voice, p plan, first int) error {
	out := http.NewResponseController(w)
	if err := pause(ctx, p.silent); err != nil {
		return err
	}
	var b []byte
	// A burst is one write and one flush, whatever it holds.
	for i := 0; i < p.events; {
		if err := pause(ctx, p.every); err != nil {
			return err
		}
		now := time.Now()
		for n := min(p.burst, p.events-i); n > 0; n-- {
			b = v.word(b, first+i, now)
			i++
		}
		if i == p.events {
			b = v.end(b, p.events)
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
		b = b[:0]
	}
	return nil
}

// pause waits. A pause of 0 takes no system call.
func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gone records that the client of p has left, for plans that have an id.
func (m *mock) gone(p plan) {
	if p.id > 0 {
		// The channel has room for it, so the run's goroutine doesn't wait for somebody who asks.
		m.leaving(p.id) <- time.Now().UnixNano()
	}
}

// leaving is where the time of id's leaving is put and taken. It holds one.
func (m *mock) leaving(id int) chan int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left[id] == nil {
		m.left[id] = make(chan int64, 1)
	}
	return m.left[id]
}

// serveLeft answers when the client of that plan was noticed to have left, and waits until it was.
func (m *mock) serveLeft(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.PathValue("id"))
	select {
	case at := <-m.leaving(id):
		m.mu.Lock()
		delete(m.left, id)
		m.mu.Unlock()
		json.NewEncoder(w).Encode(at)
	case <-r.Context().Done():
	}
}

// errorf answers that the request makes no sense: a fault of the bench or of the server before the mock.
func errorf(w http.ResponseWriter, format string, args ...any) {
	http.Error(w, fmt.Sprintf(format, args...), http.StatusBadRequest)
}
