package replicas

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

// TestWhatIsCarriedFromReplicaToReplica: what one has begun, another goes on with, and what is not carried is not there. The
// table of docs/deployment.md says the same. Sessions are tested in TestTwoProcessesOnOnePostgreSQLAreOneService, runs that
// wait for results in TestToolLoopsOnThreeReplicas, background responses in TestABackgroundResponseOnEveryReplica.
func TestWhatIsCarriedFromReplicaToReplica(t *testing.T) {
	c := newCluster(t, harness.NewPostgres(t), 2, "10s")
	c.sim.Play("turn always\ntext Well.")
	on := func(replica int, method, path, body string) answer {
		return c.ask(method, c.replicas[replica].BaseURL()+path, cursorKey, body)
	}
	id := func(a answer) string {
		t.Helper()
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(a.body), &made); err != nil || !a.ok() || made.ID == "" {
			t.Fatalf("%+v", a)
		}
		return made.ID
	}
	has := func(what string, a answer, text string) {
		t.Helper()
		if !a.ok() || !strings.Contains(a.body, text) {
			t.Errorf("%s: %+v", what, a)
		}
	}

	// A response, and one that continues it, with what upstream has of it.
	first := id(on(0, http.MethodPost, "/responses", `{"model":"composer-2.5","input":"one"}`))
	has("a response", on(1, http.MethodGet, "/responses/"+first, ""), "Well.")
	next := on(1, http.MethodPost, "/responses", `{"model":"composer-2.5","input":"two","previous_response_id":"`+first+`"}`)
	if how := next.header.Get("X-Composer-Resume"); how != "memory" {
		t.Errorf("a stored conversation goes on as %q: %+v", how, next)
	}
	has("what a response continues", on(0, http.MethodGet, "/responses/"+id(next)+"/input_items", ""), `"one"`)
	// A conversation that has a name.
	named := id(on(0, http.MethodPost, "/conversations", `{}`))
	id(on(1, http.MethodPost, "/responses", `{"model":"composer-2.5","input":"three","conversation":"`+named+`"}`))
	has("a conversation", on(0, http.MethodGet, "/conversations/"+named+"/items", ""), `"three"`)
	// A chat completion that is kept.
	kept := id(on(0, http.MethodPost, "/chat/completions", `{"model":"composer-2.5","store":true,"messages":[{"role":"user","content":"four"}]}`))
	has("a chat completion", on(1, http.MethodGet, "/chat/completions/"+kept, ""), "Well.")

	// What is not to be stored is in the memory of one process. What upstream has of a chat stays there, and the chat goes on
	// from the transcript elsewhere. A background response is asked for there.
	id(on(0, http.MethodPost, "/chat/completions", begin))
	for i, want := range []string{"memory", "transcript"} {
		a := on(i, http.MethodPost, "/chat/completions", goOn)
		if how := a.header.Get("X-Composer-Resume"); how != want {
			t.Errorf("a chat goes on as %q on replica %d: %+v", how, i, a)
		}
	}
	brief := id(on(0, http.MethodPost, "/responses", `{"model":"composer-2.5","background":true,"store":false,"input":"five"}`))
	for i := range c.replicas {
		has("the stream of a background response that isn't stored", on(i, http.MethodGet, "/responses/"+brief+"?stream=true", ""), "Well.")
		has("a background response that isn't stored", on(i, http.MethodGet, "/responses/"+brief, ""), `"completed"`)
	}
	has("its deletion", on(1, http.MethodDelete, "/responses/"+brief, ""), brief)
	if a := on(0, http.MethodGet, "/responses/"+brief, ""); a.status != http.StatusNotFound {
		t.Errorf("a response that was deleted: %+v", a)
	}
	if v := c.sim.Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
}
