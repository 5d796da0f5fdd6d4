package cli

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/config"
	"composer-api/internal/replica"
)

// The listener for other replicas, and the shutdown of a replica whose runs others may still need.

// A PeerListener is where other replicas reach this one, and how it reaches them.
type PeerListener struct {
	net.Listener
	Address string // as they see it: "10.0.0.5:8788"
	// Secret is what replicas prove to each other that they belong together; the same on all of them.
	Secret agent.Secret
	// Dial connects to the address of another one; nil is TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// listenForReplicas opens the listener for other replicas; nil when there is none. Errors say which setting is wrong.
//
// The caller closes it.
func (c *serveCmd) listenForReplicas(ctx context.Context) (*PeerListener, error) {
	if c.ReplicaAddr == "" {
		return nil, nil
	}
	// Before the listener is opened: who knows the secret can act as any user (package replica).
	if n := len(c.ReplicaSecret.Reveal()); n < replica.MinSecret {
		return nil, &config.Error{
			Name: "COMPOSER_REPLICA_SECRET", Problem: fmt.Sprintf("it has %d characters, and other replicas can reach this one", n),
			Hint: fmt.Sprintf("set the same secret of at least %d characters on all replicas", replica.MinSecret),
		}
	}
	listener, err := listenTCP(ctx, string(c.ReplicaAddr), "choose another address with --replica-addr or COMPOSER_REPLICA_ADDR")
	if err != nil {
		return nil, err
	}
	p := &PeerListener{Listener: listener, Address: string(c.ReplicaAdvertise), Secret: c.ReplicaSecret.Secret}
	if p.Address == "" {
		// "0.0.0.0" or "::" is an address to listen on, and none to connect to.
		tcp, ok := listener.Addr().(*net.TCPAddr)
		if !ok || tcp.IP.IsUnspecified() {
			listener.Close()
			return nil, &config.Error{
				Name: "COMPOSER_REPLICA_ADVERTISE", Problem: "other replicas can't use the address " + strconv.Quote(string(c.ReplicaAddr)),
				Hint: "set it to this replica's own address and port, such as 10.0.0.5:8788",
			}
		}
		p.Address = tcp.String()
	}
	return p, nil
}

// ServeReplicas answers other replicas until the end of ShutDown. It closes l. It is called once, when there are Parts.Peers.
func (s *Instance) ServeReplicas(l net.Listener) error {
	return s.peers.Serve(l, s.server.PeerHandler())
}

// awaitParked waits until no run waits for tool results any more, while this server takes no new turns: the clients'
// results come to it or by way of other replicas, and the runs go on, also in background responses. What is left when ctx ends goes
// on elsewhere, from the transcript.
func (s *Instance) awaitParked(ctx context.Context) {
	s.await(ctx, func() bool {
		// Three counts, none of which is enough: a run that was taken up is a turn, or a job of a background response.
		n, _ := s.gateway.Parked()
		return n == 0 && s.server.Turns() == 0 && s.responses.Jobs() == 0
	})
}

// lookEvery is how often await looks.
const lookEvery = 50 * time.Millisecond

// await waits until something is so, or until ctx ends.
func (s *Instance) await(ctx context.Context, so func() bool) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if so() {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
