package chat

import (
	"net/http"
	"strconv"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
	"composer-api/internal/sse"
)

// An Encoder writes the events of one turn to the client: an agent.Sink. One goroutine may use it. The order of calls:
//
//	Accept  Event…  Close           the turn succeeded; the last event was DoneKind
//	Accept  Event…  Fail  Close     it failed on the way
//	Fail  Close                     it failed before upstream accepted it
type Encoder interface {
	// Accept is called once, when upstream has accepted the run. It sets the x-composer headers; a stream
	// begins.
	Accept(agent.Accepted) error
	// Event takes one event and keeps nothing of it. The last two of a turn are UsageKind and DoneKind.
	Event(*agent.Event) error
	// Flush sends what Event has buffered.
	Flush() error
	// Fail ends an answer whose turn failed, in place of further events. It reports whether the client
	// has been told; if not, nothing has been written and the caller answers with [openai.WriteError].
	Fail(*agent.Error) (told bool)
	// Close releases the ResponseWriter. The handler must call it before it returns, however the turn
	// ended.
	Close()
}

// Options are what an Encoder needs besides its request. The zero value is right except in tests.
//
// Tests fix id and time, so that golden files stay the same.
type Options struct {
	ID      string    // of the completion; "" means a new one
	Created time.Time // of the completion; zero means now
	SSE     sse.Config
}

// NewEncoder makes the encoder that req asks for. The caller closes it.
func NewEncoder(w http.ResponseWriter, req *Request, opt Options) Encoder {
	if req.Stream {
		return NewStream(w, req, opt)
	}
	return newBody(w, req, opt)
}

// A header is the members with which all documents of one completion begin. It is made once for
// an answer; its id and time are the same in every chunk.
type header struct {
	id string
	// created is Unix, in seconds.
	created int64
}

// The id of a completion: what it begins with, and how many random characters follow.
const (
	idPrefix = "chatcmpl-"
	idRandom = 24
)

// newHeader makes the header.
func newHeader(opt Options) header {
	h := header{id: opt.ID, created: opt.Created.Unix()}
	if h.id == "" {
		h.id = agent.NewID(idPrefix, idRandom)
	}
	if opt.Created.IsZero() {
		h.created = time.Now().Unix()
	}
	return h
}

// append appends the opening brace and the members up to choices, with a comma at the end.
//
// system_fingerprint is meant to identify the configuration that has answered: here it is the model with
// its parameters, so that the client sees which tier was used.
//
// Members are in OpenAI's order. model is the name of what ran, which may differ from what was
// asked for: an alias, or another tier.
func (h *header) append(b []byte, object string, model agent.Model) []byte {
	b = append(b, `{"id":`...)
	b = openai.AppendString(b, h.id)
	b = append(b, `,"object":`...)
	b = openai.AppendString(b, object)
	b = append(b, `,"created":`...)
	b = strconv.AppendInt(b, h.created, 10)
	b = append(b, `,"model":`...)
	b = openai.AppendString(b, model.Ran())
	b = append(b, `,"service_tier":"default","system_fingerprint":`...)
	b = openai.AppendString(b, model.String())
	return append(b, ',')
}

// finishReason is OpenAI's name of the reason. A call of a deprecated function has a name of its
// own. A refusal has the reason "stop": OpenAI shows it in the message and not in the reason.
func (r *Request) finishReason(reason agent.Reason) string {
	switch reason {
	case agent.ToolCalls:
		if r.legacy {
			return "function_call"
		}
		return "tool_calls"
	case agent.Length:
		return "length"
	}
	return "stop"
}
