package chat_test

import (
	"fmt"
	"net/http"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/chat"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/memnet"
	"composer-api/internal/sim/cursorsim"
	"composer-api/internal/sim/script"
)

// upstream is a simulator on a network in memory, and a backend that speaks to it.
type upstream struct {
	*cursorsim.Sim
	*chat.Backend
	transport *http.Transport
}

// start serves a simulator with the given habits, which the script's faults come on top of. Everything ends with t.
func start(t *testing.T, seed uint64, source string, change func(*chat.Config)) *upstream {
	t.Helper()
	s, err := script.Parse(t.Name(), []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	sim := cursorsim.New(cursorsim.Config{Seed: seed, Script: s})
	return serve(t, sim, sim, change)
}

// serve is start with another handler, maybe around the simulator.
func serve(t *testing.T, sim *cursorsim.Sim, handler http.Handler, change func(*chat.Config)) *upstream {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	listener := memnet.Listen()
	server := &http.Server{Handler: handler, Protocols: protocols}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(listener) }()
	transport := listener.Transport(protocols)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	config := chat.Config{
		Endpoint: "http://upstream.test/chat", Transport: transport,
		Auth: auth.New(auth.Config{BackendBase: "http://upstream.test", HTTP: &http.Client{Transport: transport}}),
	}
	if change != nil {
		change(&config)
	}
	return &upstream{sim, chat.New(config), transport}
}

// The exam, on a calm simulator and on some that misbehave: other markers, other forms of calls, frames cut anywhere.
func TestExam(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			backendtest.Exam(t, backendtest.Features{NoUsage: true, NoConversation: true}, func(t *testing.T, s *script.Script) agent.Backend {
				sim := cursorsim.New(cursorsim.Config{Seed: seed, Script: s})
				u := serve(t, sim, sim, nil)
				t.Cleanup(func() {
					for _, v := range sim.Violations() {
						t.Errorf("violation: %+v", v)
					}
				})
				return u
			})
		})
	}
}
