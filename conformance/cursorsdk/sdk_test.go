// Package cursorsdk lets Cursor's own SDK check the simulator: if the SDK takes it for the real thing, what passes
// against the simulator is likely to pass against Cursor. It also keeps what the SDK sent, in testdata/sent, for the
// test that compares our client with it.
//
// drive.mjs is what the SDK does, testdata/script.txt what the model says to it, testdata/seen.jsonl what a user of the
// SDK sees of that. -update rewrites the golden files.
package cursorsdk

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// A transport is one of the two ways in which the SDK reaches a server.
type transport struct {
	name string // as the simulator records it
	url  string
	env  []string
}

// start starts a simulator and gives the way to it. The SDK takes HTTP/2 where there is TLS.
func start(t *testing.T, name string, args ...string) (*harness.Sim, transport) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	sim := harness.StartSim(t, append(args, "--tls-addr=127.0.0.1:0", "--ca-out="+ca)...)
	if name == "http2" {
		return sim, transport{name: name, url: tlsURL(t, sim), env: []string{"NODE_EXTRA_CA_CERTS=" + ca}}
	}
	return sim, transport{name: name, url: sim.URL}
}

// TestTheSDKTakesTheSimulatorForCursor runs all turns over both transports. The script, the golden files and the
// simulator's checks are the same for both.
func TestTheSDKTakesTheSimulatorForCursor(t *testing.T) {
	for _, name := range []string{"sse", "http2"} {
		t.Run(name, func(t *testing.T) {
			if !updating() {
				t.Parallel()
			}
			sim, way := start(t, name, "--calm")
			drive(t, sim, way)
		})
	}
}

// TestTheSDKBearsMisbehaviour runs the turns against a simulator that splits frames, compresses, delays and sends what
// nobody knows. The SDK must see the same.
func TestTheSDKBearsMisbehaviour(t *testing.T) {
	for seed, name := range map[int]string{1: "sse", 2: "http2"} {
		t.Run(fmt.Sprintf("seed %d over %s", seed, name), func(t *testing.T) {
			t.Parallel()
			sim, way := start(t, name, "--seed="+strconv.Itoa(seed))
			if got, want := see(t, sim, way), read(t, "testdata/seen.jsonl"); got != want {
				t.Errorf("the SDK saw\n%s\nwant\n%s", got, want)
			}
			judge(t, sim)
		})
	}
}

// TestTheNewestSDKTakesTheSimulatorForCursor runs all turns with SDK 1.1.0, which is published only inside the Python
// package cursor-sdk. What its user sees differs from 1.0.32 in usage.totalTokens, which no longer counts the cache.
func TestTheNewestSDKTakesTheSimulatorForCursor(t *testing.T) {
	for _, name := range []string{"sse", "http2"} {
		t.Run(name, func(t *testing.T) {
			if !updating() {
				t.Parallel()
			}
			sim, way := start(t, name, "--calm")
			sim.Play(read(t, "testdata/script.txt"))
			golden(t, "testdata/seen-1.1.0.jsonl", harness.RunBridgeSDK(t, "cursorsdk/drive.mjs", way.variables(t)...))
			judge(t, sim)
			runs := sent(t, sim)
			if len(runs) != len(turns) {
				t.Fatalf("%d runs, want %d: %s", len(runs), len(turns), harness.Summary(sim.Runs()))
			}
			for i, r := range runs {
				if r.Transport != way.name || !slices.Equal(r.Header["x-cursor-client-version"], []string{"sdk-1.1.0"}) {
					t.Errorf("run %d came over %s from %q", i+1, r.Transport, r.Header["x-cursor-client-version"])
				}
			}
		})
	}
}

var tlsAddress = regexp.MustCompile(`https://127\.0\.0\.1:\d+`)

func tlsURL(t *testing.T, sim *harness.Sim) string {
	address := tlsAddress.FindString(sim.Output())
	if address == "" {
		t.Fatalf("the simulator does not say where it listens with TLS:\n%s", sim.Output())
	}
	return address
}

func drive(t *testing.T, sim *harness.Sim, way transport) {
	golden(t, "testdata/seen.jsonl", see(t, sim, way))
	judge(t, sim)
	runs := sent(t, sim)
	if len(runs) != len(turns) {
		t.Fatalf("%d runs, want %d: %s", len(runs), len(turns), harness.Summary(sim.Runs()))
	}
	for i, r := range runs {
		if r.Transport != way.name {
			t.Errorf("run %d came over %s, want %s", i+1, r.Transport, way.name)
		}
		golden(t, filepath.Join("testdata/sent", turns[i]+".json"), r.normalised(t))
	}
	// A follow-up gives back the state and the blobs of the turn before.
	if again := runs[1]; !again.Continued || !slices.ContainsFunc(again.Blobs, isGet) {
		t.Errorf("the follow-up brought back checkpoint: %t, blobs: %s", again.Continued, again.Blobs)
	}
	if resumed := runs[7]; !resumed.Resume || resumed.Attempt != 2 {
		t.Errorf("after the cut came attempt %d, resume %t", resumed.Attempt, resumed.Resume)
	}
}

// turns names the runs, in their order. The broken one takes two.
var turns = []string{"text", "call", "parallel", "failing", "image", "strange", "cut", "resume", "error", "without-tools"}

// see runs drive.mjs and returns what it prints.
func see(t *testing.T, sim *harness.Sim, way transport) string {
	sim.Play(read(t, "testdata/script.txt"))
	return harness.RunNode(t, "import './cursorsdk/drive.mjs';", way.variables(t)...)
}

// variables are the environment of drive.mjs.
func (way transport) variables(t *testing.T) []string {
	return append([]string{"CURSOR_BACKEND_URL=" + way.url, "API_KEY=" + harness.Key, "WORK=" + t.TempDir()}, way.env...)
}

// judge fails the test for whatever the simulator did not like, on either side.
func judge(t *testing.T, sim *harness.Sim) {
	for i, r := range sim.AwaitIdle() {
		for _, failure := range r.Failures {
			t.Errorf("run %d: %s", i+1, failure)
		}
	}
	for _, v := range sim.Violations() {
		t.Errorf("violation: %s", v)
	}
}

// A record is what the simulator kept of one run, as far as it is what the SDK sent.
type record struct {
	Transport string              `json:"transport"`
	Continued bool                `json:"continued"`
	Resume    bool                `json:"resume"`
	Attempt   int                 `json:"attempt"`
	Header    map[string][]string `json:"header"`
	Request   json.RawMessage     `json:"request"`
	Execs     []struct {
		Kind   string          `json:"kind"`
		Answer json.RawMessage `json:"answer,omitempty"`
		Thrown string          `json:"thrown,omitempty"`
	} `json:"execs"`
	Blobs   []json.RawMessage `json:"blobs"`
	Answers []json.RawMessage `json:"answers,omitempty"`
	Unknown []string          `json:"unknown,omitempty"`
}

func sent(t *testing.T, sim *harness.Sim) []record {
	resp, err := http.Get(sim.URL + "/sim/runs")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	var all struct{ Runs []record }
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all.Runs
}

func isGet(answer json.RawMessage) bool { return bytes.Contains(answer, []byte(`"blobData"`)) }

// What differs from one machine or time to the next, and what stands in the golden files for it.
var volatile = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	// It says false when git does not answer at once.
	{regexp.MustCompile(`"gitRepoInfoComplete": (true|false)`), `"gitRepoInfoComplete": true`},
	{regexp.MustCompile(`"localExecutionTimeMs": \d+`), `"localExecutionTimeMs": 0`},
	{regexp.MustCompile(`"shell": "[^"]*"`), `"shell": "bash"`},
	{regexp.MustCompile(`"osVersion": "[^"]*"`), `"osVersion": "OS"`},
	{regexp.MustCompile(`"projectFolder": "[^"]*"`), `"projectFolder": "FOLDER"`},
	{regexp.MustCompile(`("workspacePaths": \[\s*)"[^"]*"`), `${1}"WORK"`},
}

// transportHeaders come from the HTTP library and differ between the transports.
var transportHeaders = []string{"connection", "te", "accept-encoding", "transfer-encoding", "traceparent", "backend-traceparent", "x-cursor-streaming", "user-agent"}

// normalised is the record as it stands in a golden file. It is the same over both transports.
func (r record) normalised(t *testing.T) string {
	r.Transport = ""
	for _, name := range transportHeaders {
		delete(r.Header, name)
	}
	// Sorting the keys needs one more round trip.
	data, err := json.Marshal(r)
	var plain any
	if err == nil {
		err = json.Unmarshal(data, &plain)
	}
	if err == nil {
		data, err = json.MarshalIndent(plain, "", "  ")
	}
	if err != nil {
		t.Fatal(err)
	}
	text := string(data) + "\n"
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.instead)
	}
	return text
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// updating reports whether the golden files are to be rewritten; the flag is the harness's.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// golden compares got with a file, or rewrites the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if updating() {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := read(t, file); got != want {
		t.Errorf("%s differs at %s", file, difference(want, got))
	}
}

// difference tells the first line that differs.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d:\n- %s\n+ %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("its end: %d lines, want %d", len(g), len(w))
}
