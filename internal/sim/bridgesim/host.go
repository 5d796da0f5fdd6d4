package bridgesim

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"composer-api/internal/cursor/sdkv1"
	"composer-api/internal/sim/script"
)

// What a test holds in its hands. NewHome goes into the configuration of the backend;
// everything else is for the test: what runs will say, which calls fail, and what was asked.

// A Host starts bridges and keeps the record of what they were asked. It stands for the machine
// that they run on. Its methods may be called concurrently. It never ends by itself: a test
// closes the backend, which closes bridges and homes. mu guards all fields but playlist, which
// has a lock of its own, and the records of the runs.
//
//	h := bridgesim.New(script)
//	b := sdkbridge.New(sdkbridge.Config{NewHome: h.NewHome, …})
//	…
//	h.Runs()   what the bridges were asked
type Host struct {
	playlist script.Playlist

	mu      sync.Mutex
	bridges []*Bridge // those that run, in the order of their starts
	// started counts all starts, also those that have failed; it numbers the bridges.
	started  int
	homes    int // open ones
	runs     []*run
	refusals map[string]*refusal // by method
	// startErr fails every start until it is nil again.
	startErr error
	repeat   bool          // calls
	delay    time.Duration // of a start
}

// A refusal is an error with which a method is answered so many times.
type refusal struct {
	times int
	// code is one of Connect's names.
	code, message string
}

// New makes a Host whose first runs play s; nil leaves the script's default.
func New(s *script.Script) *Host {
	h := &Host{refusals: map[string]*refusal{}}
	h.playlist.Set(s)
	return h
}

// Play replaces what the runs to come will say.
func (h *Host) Play(s *script.Script) { h.playlist.Set(s) }

// PlayModel lets model decide what the runs to come will say.
func (h *Host) PlayModel(model script.Model) { h.playlist.SetModel(model) }

// Refuse answers the next calls of a method, such as "CreateAgent", with an error. Only the
// newest refusal of a method counts. It is counted over all bridges together. The name of the
// method is the last part of its path.
func (h *Host) Refuse(method string, times int, code, message string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refusals[method] = &refusal{times, code, message}
}

// FailStarts makes starts fail with err from now on; nil makes them succeed again.
func (h *Host) FailStarts(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.startErr = err
}

// DelayStarts makes each start take so long from now on.
func (h *Host) DelayStarts(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.delay = d
}

// RepeatCalls makes bridges send each call of a tool twice from now on, as over a connection that has lost the answer.
func (h *Host) RepeatCalls(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.repeat = on
}

// repeats reports whether calls are to be sent twice.
func (h *Host) repeats() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.repeat
}

// Bridges are the bridges that run, in the order of their starts.
func (h *Host) Bridges() []*Bridge {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.bridges)
}

// Started is how many bridges have been started so far.
func (h *Host) Started() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.started
}

// Homes is how many homes are open.
func (h *Host) Homes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.homes
}

// A Run is the record of one run. Images is a number, because the pictures are not looked at.
// Tools are sorted.
type Run struct {
	Bridge int // number of the bridge, from 1
	// Agent and what follows up to Images are as the message of the run says them.
	Agent     string
	Prompt    string
	Model     string
	Tools     []string
	Images    int
	Continued bool     // the agent had a run before
	Attempts  int      // 1, and one for each time that the bridge has begun again by itself
	Results   []string // what the model was told of its calls, in the order in which it was told; errors with "error: " before
	End       string   // "" while it is on; else one of the Ended constants
}

// How a run ends.
const (
	EndedWell     = "finished"
	EndedError    = "error"
	EndedCanceled = "canceled" // by CancelRun
	EndedKilled   = "killed"   // with its bridge
)

// Runs are copies of the records of all runs, in the order in which they came. Only Results is
// cloned: the other slices don't change once a run has begun.
//
// A run is among them from its beginning on; End says whether it is over.
func (h *Host) Runs() []Run {
	h.mu.Lock()
	defer h.mu.Unlock()
	records := make([]Run, len(h.runs))
	for i, r := range h.runs {
		records[i] = r.record
		records[i].Results = slices.Clone(r.record.Results)
	}
	return records
}

// note changes the record of a run.
func (h *Host) note(r *run, change func(*Run)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&r.record)
}

// refused is the error to answer a call of method with; nil when it is to be carried out.
func (h *Host) refused(method string) *wireError {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.refusals[method]
	if r == nil || r.times == 0 {
		return nil
	}
	r.times--
	return &wireError{Code: r.code, Message: r.message}
}

// admit waits as long as a start takes, and says whether it succeeds. The error is the one at
// the time when the start began.
//
// The lock is not held while it waits.
func (h *Host) admit(ctx context.Context) error {
	h.mu.Lock()
	delay, err := h.delay, h.startErr
	h.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// errNoHome is the error of a start in a home that is closed.
var errNoHome = errors.New("bridgesim: the home is closed")

// NewHome implements what sdkbridge.Config asks for. It never fails.
func (h *Host) NewHome() (sdkv1.Home, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.homes++
	return &home{host: h, agents: map[string]*bridgeAgent{}}, nil
}
