package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/cli"
	"composer-api/internal/store/storetest"
)

// A loop is a tool loop of one call on a surface: begin asks for the call, and results answers it.
type loop struct {
	path, begin string
	// results makes the second request of the first answer.
	results func(t *testing.T, answer string) string
	// begun and ended are in the answers.
	begun, ended string
}

// callOf finds the value of a member in an answer: the id of a call, mostly.
func callOf(t *testing.T, answer, member string) string {
	t.Helper()
	_, rest, ok := strings.Cut(answer, fmt.Sprintf(`"%s":"`, member))
	value, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		t.Fatalf("no %s in %s", member, answer)
	}
	return value
}

// loops has a tool loop for each surface that has tools.
var loops = map[string]loop{
	"chat": {
		path:  "/v1/chat/completions",
		begin: `{"model":"composer-2.5","messages":[{"role":"user","content":"call look {\"at\":\"sky\"}"}],"tools":[{"type":"function","function":{"name":"look"}}]}`,
		results: func(t *testing.T, answer string) string {
			return fmt.Sprintf(`{"model":"composer-2.5","messages":[{"role":"user","content":"call look {\"at\":\"sky\"}"},
				{"role":"assistant","content":null,"tool_calls":[{"id":%q,"type":"function","function":{"name":"look","arguments":"{\"at\":\"sky\"}"}}]},
				{"role":"tool","tool_call_id":%[1]q,"content":"blue"}],"tools":[{"type":"function","function":{"name":"look"}}],"stream":true}`, callOf(t, answer[strings.Index(answer, "tool_calls"):], "id"))
		},
		begun: `"tool_calls"`, ended: "blue",
	},
	"responses": {
		path:  "/v1/responses",
		begin: `{"model":"composer-2.5","input":"call look {\"at\":\"sky\"}","tools":[{"type":"function","name":"look","parameters":{}}]}`,
		results: func(t *testing.T, answer string) string {
			return fmt.Sprintf(`{"model":"composer-2.5","previous_response_id":%q,"input":[{"type":"function_call_output","call_id":%q,"output":"blue"}],"tools":[{"type":"function","name":"look","parameters":{}}]}`,
				callOf(t, answer, "id"), callOf(t, answer, "call_id"))
		},
		begun: `"function_call"`, ended: "blue",
	},
	"messages": {
		path:  "/v1/messages",
		begin: `{"model":"composer-2.5","max_tokens":100,"messages":[{"role":"user","content":"call look {\"at\":\"sky\"}"}],"tools":[{"name":"look","input_schema":{"type":"object"}}]}`,
		results: func(t *testing.T, answer string) string {
			return fmt.Sprintf(`{"model":"composer-2.5","max_tokens":100,"messages":[{"role":"user","content":"call look {\"at\":\"sky\"}"},
				{"role":"assistant","content":[{"type":"tool_use","id":%q,"name":"look","input":{"at":"sky"}}]},
				{"role":"user","content":[{"type":"tool_result","tool_use_id":%[1]q,"content":"blue"}]}],"tools":[{"name":"look","input_schema":{"type":"object"}}]}`, callOf(t, answer[strings.Index(answer, "tool_use"):], "id"))
		},
		begun: `"tool_use"`, ended: "blue",
	},
}

// postFor posts a request, checks that its answer holds text, and returns it with what it continued.
func (s *server) postFor(t *testing.T, path, key, body, text string) (answer, resume string) {
	t.Helper()
	resp, answer := s.ask(t, path, body, "Authorization", "Bearer "+key)
	if resp.StatusCode != http.StatusOK || !strings.Contains(answer, text) {
		t.Fatalf("%s: status %d: %s", path, resp.StatusCode, answer)
	}
	return answer, resp.Header.Get("X-Composer-Resume")
}

// TestToolResultsFindTheReplicaThatWaitsForThem: whichever replica they come to, the run that waits goes on, and upstream
// sees one run a loop. When the replica has ended, another one goes on from the transcript.
func TestToolResultsFindTheReplicaThatWaitsForThem(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "composer.db") },
		"PostgreSQL": storetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			environ := exports(t, "COMPOSER_DB="+database(t), "COMPOSER_REPLICA_SECRET=correct horse battery staple", "COMPOSER_GRACE=100ms")
			begun := serve(t, environ, "--replica-addr=127.0.0.1:0")
			other := serve(t, environ, "--replica-addr=127.0.0.1:0")
			hosted := begun.signUp(t, hostedCursorKey).APIKey
			for surface, l := range loops {
				for _, key := range []string{hosted, directCursorKey} {
					before := len(runsOf(t, environ))
					answer, _ := begun.postFor(t, l.path, key, l.begin, l.begun)
					results := l.results(t, answer)
					_, resume := other.postFor(t, l.path, key, results, l.ended)
					if runs := len(runsOf(t, environ)) - before; resume != "parked" || runs != 1 {
						t.Errorf("%s: it went on as %q, with %d runs", surface, resume, runs)
					}
				}
			}
			waiting := map[string]string{}
			for surface, l := range loops {
				answer, _ := begun.postFor(t, l.path, directCursorKey, l.begin, l.begun)
				waiting[surface] = l.results(t, answer)
			}
			begun.stop()
			<-begun.exit
			begun.exit = nil
			for surface, l := range loops {
				if _, resume := other.postFor(t, l.path, directCursorKey, waiting[surface], ""); resume == "parked" {
					t.Errorf("%s: it went on with a run that has ended", surface)
				}
			}
		})
	}
}

// twoReplicas starts two servers on one database, of which the first is to end; each has a minute for that.
func twoReplicas(t *testing.T) (environ []string, ending, other *server) {
	t.Helper()
	environ = exports(t, "COMPOSER_DB="+filepath.Join(t.TempDir(), "composer.db"), "COMPOSER_REPLICA_SECRET=correct horse battery staple", "COMPOSER_GRACE=1m")
	return environ, serve(t, environ, "--replica-addr=127.0.0.1:0"), serve(t, environ, "--replica-addr=127.0.0.1:0")
}

// TestAReplicaThatEndsAnswersWhatItsRunsWaitFor: during the grace period, by way of the others.
func TestAReplicaThatEndsAnswersWhatItsRunsWaitFor(t *testing.T) {
	_, ending, other := twoReplicas(t)
	l := loops["chat"]
	answer, _ := ending.postFor(t, l.path, directCursorKey, l.begin, l.begun)
	ending.stop()
	if _, resume := other.postFor(t, l.path, directCursorKey, l.results(t, answer), l.ended); resume != "parked" {
		t.Errorf("it went on as %q", resume)
	}
	// Nothing waits any more, so the rest of the minute is not used.
	ending.ends(t)
}

// TestAReplicaThatEndsTakesBackgroundResponsesForItsRuns: results may be brought by one, and nobody else could go on with the run.
// Before the server ends it has come to its end.
func TestAReplicaThatEndsTakesBackgroundResponsesForItsRuns(t *testing.T) {
	environ, ending, other := twoReplicas(t)
	l := loops["responses"]
	var results []string
	for range 2 {
		answer, _ := ending.postFor(t, l.path, directCursorKey, l.begin, l.begun)
		results = append(results, strings.Replace(l.results(t, answer), "{", `{"background":true,"stream":true,`, 1))
	}
	before := len(runsOf(t, environ))
	ending.drain(t)
	for i, at := range []*server{other, ending} {
		if answer, _ := at.postFor(t, l.path, directCursorKey, results[i], l.ended); !strings.Contains(answer, "response.completed") {
			t.Errorf("it did not come to its end: %s", answer)
		}
	}
	if runs := len(runsOf(t, environ)) - before; runs != 0 {
		t.Errorf("upstream saw %d more runs", runs)
	}
	ending.ends(t)
}

// TestAReplicaThatEndsSendsNewTurnsOn: while it waits for the results of a run, clients that still come to it are answered by the
// other one, streams as they are written; and the results of that run by itself, also when they come straight to it. Nobody
// is refused, and nothing waits for the rest of the minute.
func TestAReplicaThatEndsSendsNewTurnsOn(t *testing.T) {
	_, ending, other := twoReplicas(t)
	l := loops["chat"]
	hosted := ending.signUp(t, hostedCursorKey).APIKey
	answer, _ := ending.postFor(t, l.path, directCursorKey, l.begin, l.begun)
	ending.drain(t)
	for _, key := range []string{directCursorKey, hosted} {
		for surface, l := range loops {
			// The whole loop, though the replica that it always comes to takes no turns.
			answer, resume := ending.postFor(t, l.path, key, l.begin, l.begun)
			if resume != "new" {
				t.Errorf("%s: it began as %q", surface, resume)
			}
			if _, resume = ending.postFor(t, l.path, key, l.results(t, answer), l.ended); resume != "parked" {
				t.Errorf("%s: it went on as %q", surface, resume)
			}
		}
	}
	if said := ending.rest.String(); !strings.Contains(said, "moved=draining") || !strings.Contains(said, "moved=held") {
		t.Errorf("the log doesn't say where they went: %s", said)
	}
	if said := other.rest.String(); strings.Contains(said, "moved=") {
		t.Errorf("what was sent on was sent on again: %s", said)
	}
	if _, resume := ending.postFor(t, l.path, directCursorKey, l.results(t, answer), l.ended); resume != "parked" {
		t.Errorf("its own run went on as %q", resume)
	}
	ending.ends(t)
}

// TestAReplicaThatEndsGivesBackWhatItsRunsDontWaitFor: results come to it by way of the other one, which knows where their run was.
// The run has had them before, so the other one begins from the transcript, and not the replica that has little time.
func TestAReplicaThatEndsGivesBackWhatItsRunsDontWaitFor(t *testing.T) {
	environ, ending, other := twoReplicas(t)
	results := map[string]string{}
	for surface, l := range loops {
		answer, _ := ending.postFor(t, l.path, directCursorKey, l.begin, l.begun)
		results[surface] = l.results(t, answer)
		if _, resume := other.postFor(t, l.path, directCursorKey, results[surface], l.ended); resume != "parked" {
			t.Errorf("%s: it went on as %q", surface, resume)
		}
	}
	l := loops["chat"]
	answer, _ := ending.postFor(t, l.path, directCursorKey, l.begin, l.begun) // keeps it from ending
	ending.drain(t)
	before := len(runsOf(t, environ))
	for surface, l := range loops {
		if _, resume := other.postFor(t, l.path, directCursorKey, results[surface], ""); resume == "parked" {
			t.Errorf("%s: it went on with a run that has the results already", surface)
		}
	}
	if runs := len(runsOf(t, environ)) - before; runs != len(loops) {
		t.Errorf("upstream saw %d more runs", runs)
	}
	if n := strings.Count(other.rest.String(), "has given a request back"); n != len(loops) {
		t.Errorf("%d requests were given back", n)
	}
	other.postFor(t, l.path, directCursorKey, l.results(t, answer), l.ended)
	ending.ends(t)
}

// TestTheLastReplicaRefusesNewTurns, for there is nobody to send them to.
func TestTheLastReplicaRefusesNewTurns(t *testing.T) {
	environ := exports(t, "COMPOSER_DB="+filepath.Join(t.TempDir(), "composer.db"), "COMPOSER_REPLICA_SECRET=correct horse battery staple", "COMPOSER_GRACE=1m")
	last := serve(t, environ, "--replica-addr=127.0.0.1:0")
	l := loops["chat"]
	answer, _ := last.postFor(t, l.path, directCursorKey, l.begin, l.begun)
	last.drain(t)
	resp, body := last.ask(t, l.path, l.begin, "Authorization", "Bearer "+directCursorKey)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
	if _, resume := last.postFor(t, l.path, directCursorKey, l.results(t, answer), l.ended); resume != "parked" {
		t.Errorf("its own run went on as %q", resume)
	}
}

// TestWrongSettingsOfReplicas are told before anything is served.
func TestWrongSettingsOfReplicas(t *testing.T) {
	for args, want := range map[string]string{
		"--replica-addr=127.0.0.1:0": "COMPOSER_REPLICA_SECRET: it has 0 characters, and other replicas can reach this one",
		"--replica-addr=0.0.0.0:0":   `COMPOSER_REPLICA_ADVERTISE: other replicas can't use the address "0.0.0.0:0"`,
	} {
		environ := []string{}
		if strings.Contains(args, "0.0.0.0") {
			environ = append(environ, "COMPOSER_REPLICA_SECRET=correct horse battery staple")
		}
		if got := failure(t, environ, "serve", "--demo", "--addr=127.0.0.1:0", args); !strings.Contains(got, want) || !strings.Contains(got, "hint: ") {
			t.Errorf("%s: %s", args, got)
		}
	}
}

// failure runs a command that fails and returns what it says.
func failure(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	var stderr strings.Builder
	if code := cli.Main(t.Context(), args, append(environ, "HOME="+t.TempDir()), strings.NewReader(""), io.Discard, &stderr); code == 0 {
		t.Errorf("%v: it did not fail", args)
	}
	return stderr.String()
}

// drain begins to stop the server, and returns when it takes no new turns any more.
func (s *server) drain(t *testing.T) {
	t.Helper()
	s.stop()
	for status := 0; status != http.StatusServiceUnavailable; {
		status, _ = get(t, s.url+"/readyz")
	}
}

// ends waits for the end of a server that was stopped.
func (s *server) ends(t *testing.T) {
	t.Helper()
	if code := <-s.exit; code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.exit = nil
}
