package bridgesim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"composer-api/internal/sim/script"
)

// Runs. The states of one, and who moves it on:
//
//	running    begin makes it; the agent is marked as running
//	playing    attempt plays the script's steps; on a fault, pauseBefore, and again
//	ended      finish says the result, and takes the mark from the agent
//	killed     finish does nothing: the mark stays, so that the agent is lost for later bridges

// A run is one message sent to an agent. It goes on without whoever has sent it, until it ends
// or is canceled. Fields without a note are set by begin and not changed. facts, step and usage
// belong to the goroutine of play. life ends with CancelRun and with the bridge; life of the
// bridge tells which it was.
type run struct {
	// bridge answers for the run; loaded is its agent as it was when the run began.
	bridge *Bridge
	loaded *loaded
	id     string
	facts  script.Facts
	stream *stream
	life   context.Context
	cancel context.CancelFunc
	cut    chan struct{} // tells that the connection to Cursor has broken; holds at most one
	step   int           // of this attempt
	usage  *script.Usage // of this attempt
	record Run           // guarded by Host.mu
}

// A sendRequest is what Send is called with.
//
// EnableDeltas is always taken for true: the client of this program never asks for anything else.
type sendRequest struct {
	AgentID string
	Message struct {
		Text   string
		Images []struct {
			URL  json.RawMessage
			Data *struct{ Data, MimeType string }
		}
	}
	Options struct{ EnableDeltas bool }
}

// send answers Send: the one message of the request begins a run, whose stream is the answer.
// The run has a goroutine of its own, because it goes on when the client leaves.
func (b *Bridge) send(w http.ResponseWriter, req *http.Request) {
	var in sendRequest
	payload, err := unframe(req.Body)
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(payload)).Decode(&in)
	}
	if err != nil {
		writeError(w, unreadable(err))
		return
	}
	r, e := b.begin(&in)
	if e != nil {
		// An error of Send is one of its stream, which has the status 200.
		//
		// The first and only frame is the end of the stream, with the error in it.
		w.Header().Set("Content-Type", "application/connect+json")
		w.Write(frame(endOfStream, map[string]*wireError{"error": e}))
		return
	}
	go r.play()
	r.stream.write(w, req)
}

// begin makes a run, if the agent is free. An agent that was marked by a bridge which was
// killed is refused for ever.
func (b *Bridge) begin(in *sendRequest) (*run, *wireError) {
	// Locks are taken in the order bridge, home, host; nothing waits while one is held.
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.loaded[in.AgentID]
	if l == nil {
		return nil, &wireError{Code: "not_found", Message: "Unknown agent: " + in.AgentID}
	}
	for _, image := range in.Message.Images {
		if image.Data == nil {
			return nil, sdkError("invalid_argument", "URL images are only supported for cloud-routed agents")
		}
	}
	b.home.mu.Lock()
	defer b.home.mu.Unlock()
	// Also when it was a bridge that is gone now which has marked it.
	if l.agent.running {
		return nil, sdkError("internal", "Agent "+in.AgentID+" already has active run")
	}
	// The mark is the agent's, which lies in the home that all bridges of a pool share.
	l.agent.running = true
	b.runCount++
	r := &run{
		bridge: b, loaded: l, id: fmt.Sprintf("run-%d-%d", b.number, b.runCount), stream: newStream(), cut: make(chan struct{}, 1),
		facts: script.Facts{Prompt: in.Message.Text, Model: l.model, Tools: l.tools, Images: len(in.Message.Images), Continued: l.agent.runs > 0,
			Told: in.Message.Text, Conversation: l.agent.id, Key: l.key},
	}
	r.life, r.cancel = context.WithCancel(b.life)
	r.record = Run{Bridge: b.number, Agent: l.agent.id, Prompt: in.Message.Text, Model: l.model, Tools: l.tools, Images: r.facts.Images, Continued: r.facts.Continued}
	b.runs[r.id] = r
	host := b.home.host
	host.mu.Lock()
	defer host.mu.Unlock()
	host.runs = append(host.runs, r)
	return r, nil
}

// play plays a turn of the script, and another one for each time that the bridge begins again
// by itself. It is the goroutine of the run. The stream is ended last, after the result.
//
// An attempt that failed leaves what it has said in the stream, as the real bridge does: a client
// has to notice that the steps' numbers begin again.
func (r *run) play() {
	// The writer of the stream ends when it has sent what is left.
	defer close(r.stream.messages)
	r.tell("status", message{"status": "RUNNING"})
	var f *fault
	for attempt := 1; ; attempt++ {
		r.facts.Attempt, r.step, r.usage = attempt, 0, nil
		r.bridge.home.host.note(r, func(record *Run) { record.Attempts = attempt })
		if f = r.attempt(); f == nil || !r.pauseBefore(attempt, f) {
			break
		}
	}
	r.finish(f)
}

// attempt plays one turn; nil when it came to a good end. Each one takes a turn from the
// playlist. A turn that begins with a refusal by HTTP status has no step before it.
//
// The playlist decides which turn that is; a script's "turn times 2" counts attempts.
func (r *run) attempt() *fault {
	player := r.bridge.home.host.playlist.Player(r.facts)
	// The step begins with the first thing that is said, so a refusal by status comes before any step.
	for begun := false; ; {
		step, more := player.Next()
		if !more {
			break
		}
		if _, refused := step.(script.Status); !begun && !refused {
			r.beginStep()
			begun = true
		}
		if f := r.do(player, step); f != nil {
			return f
		}
	}
	r.endStep()
	return nil
}

// do plays one step. Steps that only Cursor's wire can show are skipped. A fault ends the attempt. After
// each step the run looks whether it was canceled, so that a step which doesn't wait can't miss it.
func (r *run) do(player *script.Player, step script.Step) *fault {
	switch s := step.(type) {
	case script.Text:
		r.text(s.Text)
	case script.Think:
		r.thinking(s.Text)
	case script.Tokens:
		r.update("token-delta", message{"tokens": s.N})
	case script.Calls:
		if r.calls(player, s) {
			return disconnected()
		}
		// After calls the model goes on in a step of its own.
		r.endStep()
		r.beginStep()
	case script.Usage:
		r.usage = &s
	case script.Delay:
		if s.For > 0 && r.wait(s.For) {
			return disconnected()
		}
	case script.Hold:
		if r.wait(s.For) {
			return disconnected()
		}
	case script.Stall:
		if r.wait(s.For) {
			return disconnected()
		}
	// What a newer bridge might say. A client has to pass it over.
	case script.Unknown:
		r.update("something-new", message{"text": "not for you"})
		r.stream.say(message{"anotherThing": message{"a": 1}})
	// Bytes that are no JSON, in an envelope of the right length.
	case script.Garbage:
		r.stream.say(message{"raw": []byte("\x00 is no JSON")})
	default:
		return faultOf(step)
	}
	if r.life.Err() != nil {
		return &fault{canceled: true}
	}
	return nil
}

// wait waits for d, or until the end of the run when d is 0. It reports whether the connection to
// Cursor has broken meanwhile. It is false too when the run has ended: the caller looks at life then.
func (r *run) wait(d time.Duration) (broken bool) {
	// A nil channel is never ready: with d of 0 only the other two end the wait.
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-r.cut:
		return true
	case <-r.life.Done():
	}
	return false
}

// finish ends the run: well when f is nil. The record says the end before the stream does, so
// that a test which has read the stream's end finds it there.
func (r *run) finish(f *fault) {
	// The bridge's end goes before the run's: a bridge that is killed ends its runs, too.
	end := EndedWell
	switch {
	case f == nil:
	case r.bridge.life.Err() != nil:
		end = EndedKilled
	case f.canceled:
		end = EndedCanceled
	default:
		end = EndedError
	}
	r.bridge.home.host.note(r, func(record *Run) { record.End = end })
	// Nothing is said either: whoever reads the stream finds the connection broken.
	if end == EndedKilled {
		return // the agent stays marked as running
	}
	r.bridge.home.mu.Lock()
	r.loaded.agent.running = false
	// A run that failed is none that can be gone on from.
	if f == nil {
		r.loaded.agent.runs++
	}
	r.bridge.home.mu.Unlock()
	switch end {
	case EndedWell:
		u := r.usageFields(func(n int64) any { return n })
		r.update("turn-ended", message{"usage": u})
		r.tell("usage", message{"usage": u})
		r.tell("status", message{"status": "FINISHED"})
		// The last message of the stream but its end frame.
		r.result(finished, "", r.usageFields(func(n int64) any { return strconv.FormatInt(n, 10) }))
	case EndedCanceled:
		r.tell("status", message{"status": "CANCELLED"})
		r.result(canceled, "", nil)
	default:
		r.tell("status", message{"status": "ERROR", "message": f.message})
		r.result(failed, f.message, nil)
	}
}

// usageFields is the usage of the run; number writes a number. In a result numbers are strings,
// as protobuf's JSON has them, and zeros are left out. A script without a usage step gets one
// token each, because the real bridge always reports something.
func (r *run) usageFields(number func(int64) any) message {
	u := r.usage
	if u == nil {
		u = &script.Usage{Input: 1, Output: 1}
	}
	fields := message{"totalTokens": number(u.Input + u.Output)}
	for name, n := range map[string]int64{
		"inputTokens": u.Input, "outputTokens": u.Output, "cacheReadTokens": u.CacheRead, "cacheWriteTokens": u.CacheWrite, "reasoningTokens": u.Reasoning,
	} {
		if n != 0 {
			fields[name] = number(n)
		}
	}
	return fields
}
