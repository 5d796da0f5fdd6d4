package harness

import (
	"encoding/json"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Sim is a `composer-api sim` process: a fake Cursor whose model says what a script tells it.
type Sim struct{ *server }

// StartSim starts a simulator with flags of `composer-api sim`. Without any it misbehaves a little (odd frames, unknown
// fields, small delays): in every test in another way, and in the same test always in the same way.
func StartSim(t testing.TB, args ...string) *Sim {
	t.Helper()
	if len(args) == 0 {
		// The seed follows from the test's name, so a failure can be had again.
		name := fnv.New32()
		io.WriteString(name, t.Name())
		args = []string{"--seed=" + strconv.Itoa(1+int(name.Sum32()%1_000_000))}
	}
	s := &Sim{startServer(t, "/sim/state", nil, append([]string{"sim", "--addr=127.0.0.1:0"}, args...)...)}
	// It answers before it has printed everything, and tests read its other addresses in what it prints.
	s.awaitOutput("# ready")
	return s
}

// A Run is one stream that the simulator received, as far as the tests look at it. The whole record is documented in
// the gateway's package cursorsim.
type Run struct {
	Header map[string][]string `json:"header"` // lower case
	// KeyHash stands for the key, which the record doesn't have. RunID and ConversationID are upstream's own.
	KeyHash        string `json:"keyHash"`
	RunID          string `json:"runId"`
	ConversationID string `json:"conversationId"`
	// Attempt counts from 1 the streams of one run.
	Attempt    int             `json:"attempt"`
	Continued  bool            `json:"continued"` // it came with a checkpoint
	Resume     bool            `json:"resume"`    // it carries on after a broken stream
	Prompt     string          `json:"prompt"`
	Model      string          `json:"model"`
	Tools      []string        `json:"tools"`
	Images     int             `json:"images"`
	Request    json.RawMessage `json:"request"` // the run request, as protojson
	Execs      []Exec          `json:"execs"`
	Heartbeats int             `json:"heartbeats"`
	Started    time.Time       `json:"started"`
	Ended      time.Time       `json:"ended"`
	End        string          `json:"end"` // "" while it goes on; else well, error, refused, dropped, cut, left
	Error      string          `json:"error"`
	Failures   []string        `json:"failures"` // expectations of the script that did not hold
}

// An Exec is one thing that the simulator asked the gateway to do. The calls of tools are those of kind "mcp".
type Exec struct {
	// Kind says what was asked; Tool is "" for what is no tool call, and Result what the gateway has answered.
	Kind       string    `json:"kind"`
	Tool       string    `json:"tool"`
	Result     string    `json:"result"`
	Heartbeats int       `json:"heartbeats"`
	Asked      time.Time `json:"asked"`
	// Answered is zero while the gateway hasn't answered.
	Answered time.Time `json:"answered"`
}

// Parked reports whether the run is open and waits for the client's results.
func (r *Run) Parked() bool {
	return r.End == "" && slices.ContainsFunc(r.Calls(), func(e Exec) bool { return e.Answered.IsZero() })
}

// Calls are the tool calls among the run's execs.
func (r *Run) Calls() []Exec {
	var calls []Exec
	for _, e := range r.Execs {
		if e.Tool != "" {
			calls = append(calls, e)
		}
	}
	return calls
}

// Play sets what the model says in the runs to come, in the language of the simulator's scripts.
func (s *Sim) Play(script string) {
	s.t.Helper()
	resp, err := http.Post(s.URL+"/sim/script", "text/plain", strings.NewReader(script))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		body, _ := io.ReadAll(resp.Body)
		s.t.Fatalf("the simulator refuses the script: %s", body)
	}
}

// Runs returns what the simulator has received so far, in the order in which it came.
func (s *Sim) Runs() []Run {
	s.t.Helper()
	var record struct{ Runs []Run }
	s.get("/sim/runs", &record)
	return record.Runs
}

// Violations returns what the gateway did wrong on the wire.
func (s *Sim) Violations() []string {
	s.t.Helper()
	var record struct {
		Violations []struct {
			Run  int
			What string
		}
	}
	s.get("/sim/violations", &record)
	var found []string
	for _, v := range record.Violations {
		found = append(found, v.What)
	}
	return found
}

// Open returns how many streams are open now.
func (s *Sim) Open() int {
	s.t.Helper()
	var state struct{ Open int }
	s.get("/sim/state", &state)
	return state.Open
}

// Await returns the record once it is as the test wants it, and fails the test when that takes too long. what says
// what is awaited.
func (s *Sim) Await(what string, ok func([]Run) bool) []Run {
	s.t.Helper()
	deadline, gap := time.Now().Add(waitLimit), pollGap
	for {
		runs := s.Runs()
		if ok(runs) {
			return runs
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the simulator did not see within %s: %s\n%s", waitLimit, what, Summary(runs))
		}
		time.Sleep(gap)
		// Short waits at first: most conditions hold within milliseconds.
		gap = min(gap*3/2, maxPollGap)
	}
}

// AwaitIdle returns the record once no stream is open.
func (s *Sim) AwaitIdle() []Run {
	s.t.Helper()
	return s.Await("the end of every run", func(runs []Run) bool {
		return !slices.ContainsFunc(runs, func(r Run) bool { return r.End == "" })
	})
}

// AwaitSettled returns the record once every stream has ended or waits for tool results.
func (s *Sim) AwaitSettled() []Run {
	s.t.Helper()
	return s.Await("that every run ends or is parked", func(runs []Run) bool {
		return !slices.ContainsFunc(runs, func(r Run) bool { return r.End == "" && !r.Parked() })
	})
}

// get decodes what the simulator answers at path.
func (s *Sim) get(path string, into any) {
	s.t.Helper()
	resp, err := http.Get(s.URL + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
}
