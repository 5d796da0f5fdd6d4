package control_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/backend/localagent"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/gateway"
	"composer-api/internal/memnet"
	"composer-api/internal/sim/cursorsim"
	"composer-api/internal/sim/script"
)

// A world is a gateway whose upstream is a simulator, all of it in this process and in a synctest bubble.
type world struct {
	t       *testing.T
	ask     ask // settings
	sim     *cursorsim.Sim
	server  *http.Server
	listen  *memnet.Listener
	calls   *http.Transport // of the key exchange
	backend *localagent.Backend
	gateway *gateway.Gateway
}

func newWorld(t *testing.T, source string, settings ask) *world {
	t.Helper()
	s, err := script.Parse("script", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ask: settings, sim: cursorsim.New(cursorsim.Config{Script: s, ContextOnly: settings.Forgetful}), listen: memnet.Listen()}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	w.server = &http.Server{Handler: w.sim, Protocols: protocols}
	go w.server.Serve(w.listen)
	w.calls = &http.Transport{DialContext: w.listen.Dial}
	w.backend, err = localagent.New(localagent.Config{
		Endpoint: "http://cursor/agent.v1.AgentService/Run",
		Auth: auth.New(auth.Config{
			BackendBase: "http://cursor", APIBase: "http://cursor", HTTP: &http.Client{Transport: w.calls},
		}),
		Transport: localagent.TransportConfig{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return w.listen.Dial(ctx, network, address)
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.gateway = w.newGateway()
	return w
}

func (w *world) newGateway() *gateway.Gateway {
	return gateway.New(gateway.Config{Backends: []agent.Backend{w.backend}, Controls: w.ask.Settings})
}

// restart is what a restart of the process does: parked runs and remembered conversations are gone.
func (w *world) restart() {
	w.gateway.Close(context.Background())
	w.gateway = w.newGateway()
}

// close ends everything. Nothing may be left behind in the bubble.
func (w *world) close() {
	w.gateway.Close(context.Background())
	w.backend.Close()
	w.calls.CloseIdleConnections()
	w.server.Close()
	w.listen.Close()
}

// handle answers a request as httpd does.
func (w *world) handle(rw http.ResponseWriter, r *http.Request, handler api.Handler) {
	err := handler(rw, r, &api.Call{
		Caller: agent.Caller{Owner: "k:ann", CursorKey: agent.NewSecret("crsr_ann")}, MaxCostUSD: w.ask.MaxCost,
	})
	var told *api.Told
	if err != nil && !errors.As(err, &told) {
		openai.WriteError(rw, err)
	}
}

// upstream tells what the simulator has received. Conversations are numbered.
func (w *world) upstream() string {
	var b strings.Builder
	numbers := map[string]int{}
	for _, r := range w.sim.Runs() {
		if numbers[r.ConversationID] == 0 {
			numbers[r.ConversationID] = len(numbers) + 1
		}
		how := "begun"
		if r.Continued {
			how = "continued"
		}
		fmt.Fprintf(&b, "conversation %d %s, tools %s\n", numbers[r.ConversationID], how, cmp.Or(strings.Join(r.Tools, " "), "none"))
		if r.System != "" {
			fmt.Fprintf(&b, "  system prompt %q\n", r.System)
		}
		if r.End == "" {
			w.t.Errorf("run %d has not ended", r.Seq)
		}
		for line := range strings.Lines(strings.TrimSpace(r.Prompt) + "\n") {
			fmt.Fprintf(&b, "\t%s", line)
		}
		for _, x := range r.Execs {
			if x.Kind == "mcp" {
				fmt.Fprintf(&b, "  %s answered %q\n", x.Tool, x.Result)
			}
		}
	}
	for _, v := range w.sim.Violations() {
		w.t.Errorf("violation: %+v", v)
	}
	return numberCalls(b.String())
}

// numberCalls replaces the ids of calls, which are random, by numbers.
func numberCalls(text string) string {
	numbers := map[string]int{}
	return callID.ReplaceAllStringFunc(text, func(id string) string {
		if numbers[id] == 0 {
			numbers[id] = len(numbers) + 1
		}
		return fmt.Sprintf("call_%d", numbers[id])
	})
}

var callID = regexp.MustCompile(`call_\w{24}`)
