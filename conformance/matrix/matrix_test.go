package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThePageListsTheClientsOfTheTable with the versions of the lock files: who moves a client on runs make conformance-matrix.
func TestThePageListsTheClientsOfTheTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \| (\S+) \|`).FindAllStringSubmatch(string(page), -1)[1:] {
		if row[1] != "---" {
			got = append(got, row[1]+" "+row[2])
		}
	}
	for i := range clients {
		v, err := version("..", &clients[i])
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, clients[i].name+" "+v)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("docs/conformance.md has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, capability := range capabilities {
		if !strings.Contains(string(page), " "+capability+" |") {
			t.Errorf("docs/conformance.md has no column %q", capability)
		}
	}
}

// others are the folders of tests that drive no client of the gateway's users, or none of its own.
var others = map[string]bool{
	"acme": true, "backup": true, "browser": true, "cursorsdk": true, "deploy": true, "harness": true, "keyring": true, "matrix": true, "metrics": true, "openapi": true, "outages": true,
	"parking": true, "proxies": true, "replicas": true, "sdkbridge": true, "soak": true, "websocket": true, "release": true, "upgrade": true, "traces": true,
}

// TestEveryTestOfATableExists, and every folder of tests is in the table or no client's.
func TestEveryTestOfATableExists(t *testing.T) {
	sources, err := filepath.Glob("../*/*_test.go")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	tests, folders := map[string]bool{}, map[string]bool{}
	for _, source := range sources {
		data, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Base(filepath.Dir(source))
		folders[folder] = true
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(data), -1) {
			tests[folder+" "+m[1]] = true
		}
	}
	for _, c := range clients {
		for _, s := range c.shows {
			name, _, _ := strings.Cut(s.test, "/")
			if !tests[s.pkg+" "+name] {
				t.Errorf("%s: there is no %s in conformance/%s", c.name, name, s.pkg)
			}
			delete(folders, s.pkg)
		}
	}
	for folder := range folders {
		if !others[folder] {
			t.Errorf("conformance/%s is not in the table of clients", folder)
		}
	}
}

// TestEveryClientThatIsSetUpIsListed: the rows of conformance/setup.
func TestEveryClientThatIsSetUpIsListed(t *testing.T) {
	source, err := os.ReadFile("../setup/setup_test.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, c := range clients {
		for _, s := range c.shows {
			if id, ok := strings.CutPrefix(s.test, "TestSetupVerifyUndo/"); ok {
				listed[id] = true
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\t\tid: "([a-z]+)"`).FindAllStringSubmatch(string(source), -1) {
		if !listed[m[1]] {
			t.Errorf("%s is set up by a test, and not in the table", m[1])
		}
		delete(listed, m[1])
	}
	for id := range listed {
		t.Errorf("the table has %s, which no test sets up", id)
	}
}

func TestResultsOfARun(t *testing.T) {
	const run = `{"Action":"pass","Package":"composer-api/conformance/codex","Test":"TestCodexEditsAFile"}
# some compiler's words
{"Action":"fail","Package":"composer-api/conformance/codex","Test":"TestCodexGetsWhatFitsTheSchema"}
{"Action":"skip","Package":"composer-api/conformance/setup","Test":"TestSetupVerifyUndo/codex"}
{"Action":"pass","Package":"composer-api/conformance/agents","Test":"TestAnAgentDoesItsTaskOnOneRun/pi_openai-responses"}
`
	all, err := results(strings.NewReader(run))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ client, capability, want string }{
		{"Codex", text, "yes"}, {"Codex", structured, "**fails**"}, {"Codex", setUp, "not run"}, {"Codex", images, ""}, {"pi", tools, "yes"}, {"Qwen Code", tools, "not run"},
	} {
		for i := range clients {
			if clients[i].name != tt.client {
				continue
			}
			if got := outcome(all, &clients[i], tt.capability); got != tt.want {
				t.Errorf("%s, %s: %q, want %q", tt.client, tt.capability, got, tt.want)
			}
		}
	}
}
