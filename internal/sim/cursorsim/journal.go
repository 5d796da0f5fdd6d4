package cursorsim

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/pb"
)

// What the simulator remembers of each stream, for tests: records, and what clients did wrong.

// A Run is the record of one stream: what the client sent, and how it ended. Keys and tokens are
// recorded as hashes. Its JSON is the answer of GET /sim/runs, which tests in other languages read: keep
// the names.
//
// The fields are set as they become known: up to RequestID when the stream begins, up to
// Request when the run request has come, Ended and what follows at the end.
type Run struct {
	// Seq numbers the streams from 1.
	Seq       int    `json:"seq"`
	Transport string `json:"transport"` // "http2", "sse" or "chat"
	// Path tells which endpoint it was. A stream over HTTP/1.1 has that of RunSSE.
	Path      string              `json:"path"`
	Header    map[string][]string `json:"header"` // lower case, without authorization and blob key
	KeyHash   string              `json:"keyHash,omitempty"`
	BlobKey   string              `json:"blobKeyHash,omitempty"`
	RequestID string              `json:"requestId"`

	// RunID stays the same when a client opens a stream again after one that broke.
	RunID          string `json:"runId"`
	ConversationID string `json:"conversationId"`
	// Attempt counts the streams with this RunID, this one included.
	Attempt   int  `json:"attempt"`
	Continued bool `json:"continued"` // it came with a checkpoint
	Resume    bool `json:"resume"`    // it came with a resume action
	// Prompt, Model, Tools and Images are as the request says them; a script's conditions look at the same.
	Prompt string   `json:"prompt"`
	Model  string   `json:"model"`
	Tools  []string `json:"tools"`
	// ToolsAsked are the client's tools as it said when it was asked again in the middle of the run.
	ToolsAsked []string `json:"toolsAsked,omitempty"`
	Images     int      `json:"images"`
	System     string   `json:"system,omitempty"` // custom_system_prompt
	Mode       string   `json:"mode,omitempty"`   // chat: "Agent" or "Ask"

	// Request is the first message as a whole, for tests that look at a single field of it.
	Request Message[*pb.AgentRunRequest] `json:"request"`
	Execs   []Exec                       `json:"execs"`
	// Blobs are the answers to set_blob and get_blob.
	Blobs []Message[*pb.KvClientMessage] `json:"blobs"`
	// Answers are the interaction responses.
	Answers []Message[*pb.InteractionResponse] `json:"answers"`
	// Unknown names the fields of Request and of the answers that the simulator does not know: "request.12",
	// "request_context.success.request_context.3".
	Unknown []string `json:"unknown,omitempty"`
	// Heartbeats counts those of the stream; Exec has those of each operation.
	Heartbeats int `json:"heartbeats"`
	// HalfClosed is set when the client ended its side before the stream's end.
	HalfClosed bool `json:"halfClosed"`

	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	// End says how the stream ended: one of the Ended constants; "" while it goes on.
	End   string `json:"end"`
	Error string `json:"error,omitempty"` // what the server said, or why it gave up
	// Failures are the script's expectations that did not hold.
	Failures []string `json:"failures,omitempty"`
}

// How a stream ends.
const (
	EndedWell    = "well"     // with turn_ended and a good end frame
	EndedError   = "error"    // with the error frame or status that the script asked for, or with garbage
	EndedRefused = "refused"  // with an error because the client asked for something wrong
	EndedDropped = "dropped"  // with a good end frame but without turn_ended
	EndedCut     = "cut"      // by a broken connection, as the script asked
	EndedLeft    = "left"     // the client reset the stream or went away
	EndedCancel  = "canceled" // the client sent a cancel action
)

// An Exec is one operation that the server asked for, and what became of it. See exec for the states.
//
// Times are those of the simulator; Answered is zero while there is no answer.
type Exec struct {
	ID uint32 `json:"id"`
	// Kind is the field's name in ExecServerMessage without "_args": "mcp", "request_context", "shell".
	Kind   string                          `json:"kind"`
	Tool   string                          `json:"tool,omitempty"` // mcp and built-in tools
	Answer *Message[*pb.ExecClientMessage] `json:"answer,omitempty"`
	// Result is what a call's answer says, as scripts see it.
	Result string `json:"result,omitempty"`
	Thrown string `json:"thrown,omitempty"` // the error of a throw
	Closed bool   `json:"closed"`           // stream_close came
	// Aborted says that the server has withdrawn it, so an answer isn't owed any more.
	Aborted    bool      `json:"aborted,omitempty"`
	Heartbeats int       `json:"heartbeats"`
	Asked      time.Time `json:"asked"`
	Answered   time.Time `json:"answered,omitzero"`
}

// A Violation is something that a client did wrong. What is a sentence for people, not to be
// parsed. A violation outside of any run has Run 0.
type Violation struct {
	Run  int    `json:"run"` // Run.Seq
	What string `json:"what"`
}

// A Message is a protobuf message whose JSON form is protojson. A nil one is null.
type Message[M proto.Message] struct{ Msg M }

// MarshalJSON implements json.Marshaler.
func (m Message[M]) MarshalJSON() ([]byte, error) {
	if !m.Msg.ProtoReflect().IsValid() {
		return []byte("null"), nil
	}
	data, err := protojson.Marshal(m.Msg)
	if err != nil {
		return nil, err
	}
	// protojson puts blanks at random so that nobody relies on them.
	var b bytes.Buffer
	err = json.Compact(&b, data)
	return b.Bytes(), err
}

// journal holds the records and the violations of a Sim, the newest keep of each kind of record and
// the first keep violations. It may be used from any goroutine; mu also protects the records
// themselves.
type journal struct {
	// keep is Config.Keep.
	keep int
	log  *slog.Logger

	mu sync.Mutex
	// seq is the number of the last run, and goes on after a reset.
	seq      int
	requests oldest[string, struct{}] // x-request-ids
	runs     []*Run
	// violations are the first ones: what goes wrong first explains the rest.
	violations []Violation
}

// add begins a record. It reports whether the request id is a new one.
//
// Seq goes on also after reset, so that two runs of a test never share a number.
func (j *journal) add(r *Run) (fresh bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, known := j.requests.items[r.RequestID]
	j.requests.add(r.RequestID, struct{}{}, j.keep)
	j.seq++
	r.Seq = j.seq
	r.Started = time.Now()
	j.runs = append(j.runs, r)
	if len(j.runs) > j.keep {
		j.runs = slices.Delete(j.runs, 0, len(j.runs)-j.keep)
	}
	return !known
}

// update changes a record. All changes go through it, because tests read records of runs in progress.
func (j *journal) update(r *Run, change func(*Run)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(r)
}

// violation notes what a client did wrong in a run, or outside of any run when run is 0. What exceeds keep is only
// logged.
func (j *journal) violation(run int, what string) {
	j.log.Warn("violation", "run", run, "what", what)
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.violations) < j.keep {
		j.violations = append(j.violations, Violation{run, what})
	}
}

// list copies the records under the lock, with the slices that a run in progress still appends
// to. Maps and messages are shared: they don't change once they are in a record.
func (j *journal) list() []Run {
	j.mu.Lock()
	defer j.mu.Unlock()
	runs := make([]Run, len(j.runs))
	for i, r := range j.runs {
		runs[i] = *r
		runs[i].Execs = slices.Clone(r.Execs)
		runs[i].Blobs = slices.Clone(r.Blobs)
		runs[i].Answers = slices.Clone(r.Answers)
		runs[i].Failures = slices.Clone(r.Failures)
		runs[i].Unknown = slices.Clone(r.Unknown)
	}
	return runs
}

// listViolations copies the violations under the lock.
func (j *journal) listViolations() []Violation {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.violations)
}

// reset forgets records and violations. Runs in progress go on and write to records that nobody can see any more.
func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.runs, j.violations = nil, nil
}
