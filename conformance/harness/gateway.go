package harness

import (
	"os"
	"testing"
)

// Key is the Cursor API key that clients use unless a test is about keys.
const Key = "crsr_conformance"

// Where the simulator serves the two upstreams, as an operator would configure them.
const (
	agentPath = "/agent.v1.AgentService/Run"
	chatPath  = "/chat"
)

// A Gateway is a `composer-api serve` process.
type Gateway struct{ *server }

// StartGateway starts a gateway with sim as both of its upstreams, of which /v1 uses the local agent, and a database of
// its own. args are further flags of `composer-api serve`.
func StartGateway(t testing.TB, sim *Sim, args ...string) *Gateway {
	t.Helper()
	return StartGatewayOn(t, sim, t.TempDir()+"/composer.db", args...)
}

// StartGatewayOn is StartGateway on a given database, which several gateways may use one after the other.
func StartGatewayOn(t testing.TB, sim *Sim, db string, args ...string) *Gateway {
	t.Helper()
	return StartReplica(t, sim, []string{"COMPOSER_DB=" + db}, args...)
}

// UpstreamVariable names the upstream that /v1 uses in all tests: "sdkbridge" for Cursor's published bridge, else the
// local agent. Tests of tool loops must pass with both.
const UpstreamVariable = "COMPOSER_CONFORMANCE_UPSTREAM"

// Upstream is the upstream that /v1 uses in all tests; "" for the local agent.
func Upstream() string { return os.Getenv(UpstreamVariable) }

// StartReplica is StartGateway with variables instead of a database of its own: several gateways may run on one
// database at once.
func StartReplica(t testing.TB, sim *Sim, variables []string, args ...string) *Gateway {
	t.Helper()
	env := append([]string{
		"CURSOR_API_BASE=" + sim.URL,
		"CURSOR_BACKEND_BASE_URL=" + sim.URL,
		"CURSOR_LOCAL_AGENT_ENDPOINT=" + agentPath,
		"CURSOR_CHAT_ENDPOINT=" + chatPath,
		"COMPOSER_UPSTREAM=localagent",
	}, variables...)
	ready := "/healthz"
	if Upstream() == "sdkbridge" {
		ready = "/readyz" // which waits until the bridge has started
		// A variable that is there twice has its last value.
		// On a busy machine the first run of a bridge takes much longer than its start, which takes seconds: no failure.
		env = append(env, "COMPOSER_UPSTREAM=sdkbridge", "COMPOSER_SDK_BRIDGE="+Bridge(t), "COMPOSER_START_TIMEOUT=2m")
	}
	return &Gateway{startServer(t, ready, env, append([]string{"serve", "--addr=127.0.0.1:0"}, args...)...)}
}

// StartDemo starts a gateway that has no upstream and answers from scripts.
func StartDemo(t testing.TB) *Gateway {
	t.Helper()
	env := []string{"COMPOSER_DB=" + t.TempDir() + "/composer.db"}
	return &Gateway{startServer(t, "/healthz", env, "serve", "--demo", "--addr=127.0.0.1:0")}
}

// BaseURL is what a client is pointed at.
func (g *Gateway) BaseURL() string { return g.URL + "/v1" }
