package localagent

import (
	"context"
	"net"
	"net/http"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/memnet"
	"composer-api/internal/sim/cursorsim"
	"composer-api/internal/sim/script"
)

// A rig is a backend whose upstream is a simulator in this process.
type rig struct {
	*Backend
	sim *cursorsim.Sim
}

// newRig makes a rig that plays source. change may be nil.
func newRig(t *testing.T, source string, sim cursorsim.Config, change func(*Config)) *rig {
	t.Helper()
	if source != "" {
		s, err := script.Parse(t.Name(), []byte(source))
		if err != nil {
			t.Fatal(err)
		}
		sim.Script = s
	}
	r := &rig{sim: cursorsim.New(sim)}
	dial := serve(t, r.sim)
	cfg := Config{
		Endpoint: "http://cursor/agent.v1.AgentService/Run", Auth: authFor(t, dial),
		Transport: TransportConfig{Dial: dial},
	}
	if change != nil {
		change(&cfg)
	}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.jitter = func() float64 { return 0.5 }
	t.Cleanup(func() { b.Close() })
	r.Backend = b
	return r
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// serve serves HTTP/1.1 and HTTP/2 with prior knowledge in memory.
func serve(t *testing.T, handler http.Handler) dialer {
	l := memnet.Listen()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: protocols}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Dial
}

// backendAt is a backend whose upstream is handler, with runs at /run. It is closed with the test.
func backendAt(t *testing.T, handler http.Handler) *Backend {
	t.Helper()
	dial := serve(t, handler)
	b, err := New(Config{Endpoint: "http://cursor/run", Auth: authFor(t, dial), Transport: TransportConfig{Dial: dial}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func authFor(t *testing.T, dial dialer) *auth.Client {
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return auth.New(auth.Config{
		BackendBase: "http://cursor", APIBase: "http://cursor", HTTP: &http.Client{Transport: transport},
	})
}

func (r *rig) noViolations(t *testing.T) {
	t.Helper()
	for _, v := range r.sim.Violations() {
		t.Errorf("violation: %+v", v)
	}
}

func TestExam(t *testing.T) {
	for name, seed := range map[string]uint64{"calm": 0, "misbehaving": 7} {
		t.Run(name, func(t *testing.T) {
			backendtest.Exam(t, backendtest.Features{}, func(t *testing.T, s *script.Script) agent.Backend {
				r := newRig(t, "", cursorsim.Config{Seed: seed, Script: s}, nil)
				t.Cleanup(func() { r.noViolations(t) })
				return r
			})
		})
	}
}
