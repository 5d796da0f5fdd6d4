package bridgesim

import (
	"net/http"
	"strconv"
	"time"
)

// The stream of a run. The real bridge says everything in two languages, and so does this one:
//
//	interactionUpdate   what Cursor's server said, as it happens; names with hyphens and camelCase
//	sdkMessage          the same for users of the SDK; names with underscores
//
// A client has to choose one of them, or it has every word twice.

// A message is one message of the stream of a run, in JSON. The member raw stands for bytes
// that are no JSON at all; see write.
//
// It is written as the bridge writes it and never read by this package, so it needs no types.
type message map[string]any

// keepAlive is how often the bridge sends an empty message, whatever the run does.
const keepAlive = 15 * time.Second

// A stream carries what a run says to whoever has sent the message. When they have gone, it
// carries it to nobody: the run goes on. messages has no room: a run waits for a client that
// reads slowly. left is closed by write when it returns, and frees the run. offset counts the
// messages from 1, and belongs to the run.
type stream struct {
	messages chan message // closed at the end of the run
	left     chan struct{}
	offset   int
}

// newStream makes a stream that nobody reads yet; say waits until write does.
func newStream() *stream { return &stream{messages: make(chan message), left: make(chan struct{})} }

// say gives a message to the reader. One goroutine at a time calls it.
//
// It waits while the client reads slowly, and returns at once when nobody reads any more. m gets
// the member offset.
func (s *stream) say(m message) {
	s.offset++
	m["offset"] = strconv.Itoa(s.offset)
	select {
	case s.messages <- m:
	case <-s.left:
	}
}

// write writes the stream until the run ends or the reader leaves. Keep-alives have no offset.
// An error of writing is the same as a client that has left. It is the only reader of messages,
// in the goroutine of the request.
//
// Each message is flushed by itself, so the client sees it when it is said.
func (s *stream) write(w http.ResponseWriter, r *http.Request) {
	defer close(s.left)
	w.Header().Set("Content-Type", "application/connect+json")
	flush := http.NewResponseController(w)
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		var payload []byte
		select {
		case m, more := <-s.messages:
			if !more {
				w.Write(frame(endOfStream, struct{}{}))
				return
			}
			if raw, ok := m["raw"].([]byte); ok {
				payload = enclose(0, raw)
			} else {
				payload = frame(0, m)
			}
		case <-tick.C:
			payload = frame(0, struct{}{})
		case <-r.Context().Done():
			return
		}
		if _, err := w.Write(payload); err != nil {
			return
		}
		if flush.Flush() != nil {
			return
		}
	}
}

// update says something as an update, as it happens. fields may be nil, and is changed.
func (r *run) update(kind string, fields message) {
	if fields == nil {
		fields = message{}
	}
	fields["type"] = kind
	r.stream.say(message{"interactionUpdate": message{"type": kind, "update": fields}})
}

// tell says something as an SDK message. Its names are written with underscores, unlike those
// of updates. fields is changed.
func (r *run) tell(kind string, fields message) {
	fields["type"], fields["agent_id"], fields["run_id"] = kind, r.loaded.agent.id, r.id
	r.stream.say(message{"sdkMessage": message{"type": kind, "message": fields}})
}

// text says a piece of the answer: everything comes twice.
func (r *run) text(text string) {
	r.update("text-delta", message{"text": text})
	r.tell("assistant", message{"message": message{"role": "assistant", "content": []message{{"type": "text", "text": text}}}})
}

// thinking says a piece of the reasoning, twice as well.
func (r *run) thinking(text string) {
	r.update("thinking-delta", message{"text": text})
	r.tell("thinking", message{"text": text})
}

// beginStep begins a step. The numbers start over when the bridge asks upstream again after a failure; nothing else tells.
func (r *run) beginStep() {
	r.step++
	r.update("step-started", message{"stepId": r.step})
}

// endStep ends the step that beginStep has begun. Its duration is always 1 ms.
func (r *run) endStep() {
	r.update("step-completed", message{"stepId": r.step, "stepDurationMs": 1})
}

// The lifecycle states, as a result names them.
const (
	finished = "RUN_LIFECYCLE_STATUS_FINISHED"
	failed   = "RUN_LIFECYCLE_STATUS_ERROR"
	canceled = "RUN_LIFECYCLE_STATUS_CANCELLED"
)

// result ends the run in a state. usage and errorMessage may be missing. The status is there
// twice, outside and inside. "done" is the last message that has content; the end of the stream
// itself is an envelope of its own, which write adds.
func (r *run) result(state, errorMessage string, usage message) {
	result := message{"runId": r.id, "agentId": r.loaded.agent.id, "status": state, "durationMs": "1"}
	if errorMessage != "" {
		result["errorMessage"] = errorMessage
	}
	if usage != nil {
		result["usage"] = usage
	}
	r.stream.say(message{"result": message{"agentId": r.loaded.agent.id, "runId": r.id, "status": state, "result": result}})
	r.stream.say(message{"done": message{"agentId": r.loaded.agent.id, "runId": r.id}})
}
