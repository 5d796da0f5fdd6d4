// Package notice tells those who wait in this process that something has changed: the half of store.Watcher that all
// stores share. Where the news comes from is the store's affair: its own writes, and what its database passes on from other
// processes.
//
//	a write here ───────────────► Hub.Tell ──► each watch of the topic
//	a write of another process ──►   ▲
//	                                 └ by way of the database
package notice

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"sync"

	"composer-api/internal/store"
)

// A Topic is what can be waited for: a hash, of which nobody can read what it is about. It is 22 characters of base64.
type Topic string

// ResponseRow is about changes of the response's row.
func ResponseRow(ref store.ResponseRef) Topic { return topic("row", ref) }

// ResponseEvents is about events that are added to the response.
func ResponseEvents(ref store.ResponseRef) Topic { return topic("events", ref) }

// topic is a hash: what it names goes to every process on the database, and a client's ids are none of its business.
func topic(of string, ref store.ResponseRef) Topic {
	sum := sha256.Sum256([]byte("notice\x00" + of + "\x00" + ref.Owner + "\x00" + ref.ID))
	return Topic(base64.RawURLEncoding.EncodeToString(sum[:16]))
}

// A Hub is all watches of a process. The zero value is ready, and not complete. It is safe for concurrent use.
type Hub struct {
	// mu guards both fields, and each watch's place in the map.
	mu sync.Mutex
	// complete says that changes of other processes are told, too.
	complete bool
	watches  map[Topic][]*watch // holds no empty slices
}

// watch implements store.Watch.
type watch struct {
	hub *Hub
	// topics are what it is told of. They don't change.
	topics  []Topic
	changed chan struct{} // holds one
}

// WatchResponse implements store.Watcher.
func (h *Hub) WatchResponse(ref store.ResponseRef, withEvents bool) store.Watch {
	topics := []Topic{ResponseRow(ref)}
	if withEvents {
		topics = append(topics, ResponseEvents(ref))
	}
	w := &watch{hub: h, topics: topics, changed: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watches == nil {
		h.watches = map[Topic][]*watch{}
	}
	for _, t := range topics {
		h.watches[t] = append(h.watches[t], w)
	}
	return w
}

// Tell tells those who wait for a topic. It never blocks.
func (h *Hub) Tell(t Topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.watches[t] {
		w.tell()
	}
}

// SetComplete says whether the changes of all processes are told of from now on. When that is another answer than before,
// everybody is told: what has changed while it was false may not have been.
func (h *Hub) SetComplete(complete bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.complete == complete {
		return
	}
	h.complete = complete
	for _, watches := range h.watches {
		for _, w := range watches {
			w.tell()
		}
	}
}

// tell leaves a value, unless there is one already.
func (w *watch) tell() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Changed implements store.Watch.
func (w *watch) Changed() <-chan struct{} { return w.changed }

// Complete implements store.Watch.
func (w *watch) Complete() bool {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	return w.hub.complete
}

// Stop implements store.Watch. Twice does no harm.
func (w *watch) Stop() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	for _, t := range w.topics {
		rest := slices.DeleteFunc(w.hub.watches[t], func(other *watch) bool { return other == w })
		if w.hub.watches[t] = rest; len(rest) == 0 {
			delete(w.hub.watches, t)
		}
	}
}
