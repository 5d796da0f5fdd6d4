package localagent

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
)

func TestAWithdrawnCallTakesNoRoom(t *testing.T) {
	var q queue
	q.push(agent.Event{Kind: agent.Text, Text: []byte("one")})
	for _, id := range []string{"a", "b"} {
		q.push(agent.Event{Kind: agent.Call, Call: &agent.ToolCall{ID: id, Arguments: []byte(`{}`)}})
	}
	q.withdraw("a")
	q.withdraw("unknown")
	if q.len() != 2 || q.size != len("one")+len(`{}`) || q.events[1].Call.ID != "b" {
		t.Errorf("%d events of %d bytes are left: %+v", q.len(), q.size, q.events)
	}
	for q.len() > 0 {
		q.pop()
	}
	if q.size != 0 {
		t.Errorf("an empty queue of %d bytes", q.size)
	}
}

// A parked run goes on reading, but what it keeps for the client is bounded: flow control makes upstream wait.
func TestWhatAParkedRunReadsIsBounded(t *testing.T) {
	for name, text := range map[string]string{"in events": "x", "in bytes": strings.Repeat("x", 10_000)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src, upstream := io.Pipe()
				defer src.Close()
				message := connectwire.Append(nil, 0, textMessage(text))
				go func() {
					for range 2 * maxQueued {
						if _, err := upstream.Write(message); err != nil {
							return
						}
					}
				}()
				r := bareRun(t, src)
				r.mu.Lock()
				r.readInBackground()
				r.mu.Unlock()
				synctest.Wait()
				r.mu.Lock()
				defer r.mu.Unlock()
				if n := r.queue.len(); n > maxQueued || r.queue.size >= maxQueuedBytes+len(text) || !r.queue.full() || r.inBackground {
					t.Errorf("%d events of %d bytes are kept, still reading: %v", n, r.queue.size, r.inBackground)
				}
			})
		})
	}
}
