package service

import (
	"context"
	"maps"
	"slices"
	"time"

	"composer-api/internal/agent"
)

// The sockets that are open: they are counted, drained and closed together.

// maxSockets bounds the sockets of this process. One that waits for its client has two goroutines and small buffers.
const maxSockets = 10_000

// addSocket counts a socket in, until removeSocket.
func (s *Service) addSocket(k *socket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ending:
		return agent.ErrShuttingDown
	case len(s.sockets) >= maxSockets:
		return &agent.Error{Code: agent.Overloaded, Message: "The server has as many WebSockets open as it may. Send the request with POST, or try again later.", RetryAfter: 10 * time.Second}
	}
	s.sockets[k] = true
	return nil
}

// removeSocket forgets a socket that has ended, with the responses that could be continued on it alone.
func (s *Service) removeSocket(k *socket) {
	s.mu.Lock()
	delete(s.sockets, k)
	s.mu.Unlock()
	s.recall.forget(k.recent)
	close(k.done)
}

// allSockets are the sockets that are open.
func (s *Service) allSockets() []*socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.sockets))
}

// drainSockets closes the sockets as their turns end, and waits for that until ctx ends, whose error it returns then.
// The caller has set ending, so there are no new ones.
func (s *Service) drainSockets(ctx context.Context) error {
	open := s.allSockets()
	for _, k := range open {
		k.drain()
	}
	for _, k := range open {
		select {
		case <-k.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// closeSockets ends the turns of all sockets, whose clients are told so, and the sockets. It waits for them.
func (s *Service) closeSockets() {
	open := s.allSockets()
	for _, k := range open {
		k.drain()
		k.cancelTurns(errDrained)
	}
	for _, k := range open {
		<-k.done
	}
}
