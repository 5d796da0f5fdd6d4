package responses

import (
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/sse"
)

// An Answer answers an HTTP request with the events of its turn, as the request asks: as a stream, or as a document
// when the turn is done. It is an agent.Sink. One goroutine may use it.
//
// Nothing is written before Accept, so a turn that fails before can still be answered with its own status. From Accept on
// a stream has status 200, and an error is an event; a document is still open until its end.
//
// Who calls what: the gateway's turn calls Accept, Event and Flush; the handler calls Fail when
// the turn has failed, and Close at the end, in any case.
type Answer struct {
	// w is the handler's. Nothing else writes to it after NewAnswer.
	w   http.ResponseWriter
	req *Request
	opt Options

	encoder *Encoder    // nil until the run was accepted
	stream  *sse.Writer // nil for a document
	// usage is what the turn has reported; zero until then.
	usage   agent.Usage
	written bool // the document was
}

// NewAnswer makes an Answer on w. The caller closes it before its handler returns.
func NewAnswer(w http.ResponseWriter, req *Request, opt Options) *Answer {
	return &Answer{w: w, req: req, opt: opt}
}

// Accept implements agent.Sink. It sets the headers that say how the turn is carried out, and begins a stream.
func (a *Answer) Accept(accepted agent.Accepted) error {
	api.SetAccepted(a.w.Header(), accepted)
	if a.req.Stream {
		a.stream = sse.NewWriter(a.w, a.opt.SSE)
		a.encoder = NewStream(a.req, a.opt, a.stream)
	} else {
		a.encoder = NewBody(a.req, a.opt)
	}
	return a.encoder.Accept(accepted)
}

// Event implements agent.Sink. The last event writes the document. The headers about cost are set before that, or sent as
// trailers after a stream.
func (a *Answer) Event(e *agent.Event) error {
	switch e.Kind {
	case agent.UsageKind:
		a.usage = *e.Usage
	case agent.DoneKind:
		api.SetFinished(a.w.Header(), openai.RoundCost(a.usage.CostUSD()), e.Done, a.stream != nil)
	}
	if err := a.encoder.Event(e); err != nil || e.Kind != agent.DoneKind {
		return err
	}
	a.warn()
	if a.stream != nil {
		return nil
	}
	a.written = true
	return api.WriteJSON(a.w, a.encoder.Response().Encode())
}

// warn says in a header that a response which was to be stored is not. The response itself says
// "store": false then, but few clients look. For a stream, whose headers are out by then, it
// becomes a trailer. A Warning header is what HTTP has for this. 199 is HTTP's code for a
// warning of any kind. RFC 9111 has retired the header, which does no harm here.
func (a *Answer) warn() {
	if !a.req.Store || a.encoder.Response().Store {
		return
	}
	name := "Warning"
	if a.stream != nil {
		name = http.TrailerPrefix + name
	}
	a.w.Header().Set(name, `199 composer-api "The response could not be stored: it can't be retrieved or continued by its id"`)
}

// Rewind implements agent.Rewinder.
func (a *Answer) Rewind() bool {
	if a.encoder == nil || !a.encoder.Rewind() {
		return false
	}
	a.usage = agent.Usage{}
	return true
}

// Flush sends what Event has buffered.
func (a *Answer) Flush() error { return a.encoder.Flush() }

// Fail ends the answer of a turn that failed, in place of further events. It reports whether the client has been told;
// if not, nothing has been written and the caller answers with [openai.WriteError]. A response whose client has left is
// stored as cancelled, because the client knows its id.
//
//	the answer is                          what happens                     told
//	a document, not written                nothing: the caller answers      false
//	a document, written                    nothing                          true
//	a stream that has ended                nothing                          true
//	a stream                               the error or the cancellation    true
func (a *Answer) Fail(e *agent.Error) (told bool) {
	switch {
	case a.stream == nil:
		return a.written
	case a.encoder.Response().Status.Ended():
	case e.Code == agent.Canceled:
		a.encoder.Cancel()
	default:
		a.encoder.Fail(e)
	}
	a.warn()
	return true
}

// Close releases the ResponseWriter: nothing writes to it afterwards. The handler may return
// then. The SSE writer's timer may be about to send a comment; after Close it does not.
func (a *Answer) Close() {
	if a.stream != nil {
		a.stream.Close()
	}
}
