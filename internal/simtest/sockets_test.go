package simtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"composer-api/internal/sse"
)

// The WebSockets of a person who uses the Responses API over one, as Codex does: it stays open between turns, and is closed by a
// client that leaves.

// sockets are those that wait for the next request, by the number of their client. Two requests at once have one each.
type sockets struct {
	mu   sync.Mutex
	idle map[int]*socket
}

// A socket has a reader of its own, as clients have, so that pings are answered between requests.
type socket struct {
	conn   *websocket.Conn
	key    int
	idle   time.Time   // since when it waits; one that has waited for socketTime is not used any more
	events chan []byte // closed when the connection has ended
}

// take takes the idle socket of a client and a key, if it has not ended; nil otherwise.
func (s *sockets) take(client, key int) *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.idle[client]
	delete(s.idle, client)
	if k == nil {
		return nil
	}
	select {
	case <-k.events: // nothing comes between requests but the end
	default:
		if k.key == key && time.Since(k.idle) < socketTime {
			return k
		}
	}
	k.conn.CloseNow()
	return nil
}

// put makes a socket wait for the next request.
func (s *sockets) put(client int, k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle == nil {
		s.idle = map[int]*socket{}
	}
	if before := s.idle[client]; before != nil {
		before.conn.CloseNow()
	}
	k.idle = time.Now()
	s.idle[client] = k
}

// close closes those that wait.
func (s *sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.idle {
		k.conn.CloseNow()
	}
}

// dial opens a socket. An answer that is no socket is read into r.
func (l *living) dial(ctx context.Context, r *reply, c *talk, client int) *socket {
	header := http.Header{"Authorization": {"Bearer " + l.world.token(c.key)}, "X-Request-Id": {fmt.Sprintf("%s-s%d", l.Name, l.requests.Load())}}
	conn, resp, err := websocket.Dial(ctx, "ws://gateway/v1/responses", &websocket.DialOptions{HTTPClient: l.clients[client], HTTPHeader: header})
	switch {
	case err != nil && resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		apis[c.surface].readReply(r, resp, toTheEnd)
		return nil
	case err != nil:
		r.fail("no answer", "broken")
		return nil
	}
	conn.SetReadLimit(1 << 20)
	k := &socket{conn: conn, key: c.key, events: make(chan []byte, 16)}
	go func() {
		defer close(k.events)
		for {
			_, data, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			k.events <- data
		}
	}()
	return k
}

// overSocket is send for a request over a WebSocket.
func (l *living) overSocket(ctx context.Context, c *talk, _, _ string, body []byte, more func(*reply) bool) *reply {
	r := &reply{began: time.Now(), check: l.world.plan.Published, after: true}
	defer func() { r.finished = time.Now() }()
	ctx, cancel := l.world.patient(ctx)
	defer cancel()
	client := 0
	if l.Wanders {
		client = int(l.requests.Add(1)) % len(l.clients)
	}
	k := l.sockets.take(client, c.key)
	if k == nil {
		if k = l.dial(ctx, r, c, client); k == nil {
			return r
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		panic(err) // our own text
	}
	delete(fields, "stream") // a socket always streams
	fields["type"] = json.RawMessage(`"response.create"`)
	message, err := json.Marshal(fields)
	if err != nil {
		panic(err) // our own types
	}
	if err := k.conn.Write(ctx, websocket.MessageText, bytes.TrimSpace(message)); err != nil {
		r.fail("no answer", "broken")
	}
	for !r.done && r.err == "" {
		select {
		case data, open := <-k.events:
			if !open {
				r.fail("the socket ended", "broken")
				break
			}
			r.status = http.StatusOK
			responsesEvent(r, sse.Event{Data: string(data)})
			r.left = more(r)
		case <-ctx.Done():
			r.fail("no answer", "broken")
		}
		if r.left {
			break
		}
	}
	l.world.situation("socket × " + l.world.plan.Upstream)
	if r.ok() && !r.left {
		l.sockets.put(client, k)
		return r
	}
	k.conn.CloseNow()
	for range k.events { // until its reader has ended
	}
	return r
}
