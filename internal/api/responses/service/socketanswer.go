package service

import (
	"bytes"
	"context"
	"net/http"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
)

// createOnSocket carries out one response.create message of k. It is create for a socket.
//
// Errors are told by socket.fail. The response is remembered for this socket whether it is stored or not.
func (s *Service) createOnSocket(k *socket, call *api.Call, m message, answer *socketAnswer) error {
	req, err := responses.Decode(m.data, s.cfg.Sent.Of(call.Caller.Owner))
	if err != nil {
		return err
	}
	m.release() // an answer that takes an hour holds no memory for bodies
	if req.Background {
		return agent.ParamError(agent.UnsupportedValue, "background", "Background responses are not supported on a WebSocket. Send the request with POST.")
	}
	// A socket has no other form of answer, whatever the message says.
	req.Stream = true
	turn, _, err := s.prepare(k.turnCtx, call, req, s.recall.of(k.recent))
	if err != nil {
		return err
	}
	rec, err := s.newRecord(call, req, true)
	if err != nil {
		return err
	}
	opt := rec.options()
	opt.Keep = func(r *responses.Response) error {
		rec.set(r)
		// Before the client learns that the response is complete: it may continue it at once.
		s.recall.remember(k.recent, &rec.row)
		return rec.keep(r)
	}
	answer.encoder = responses.NewStream(req, opt, answer.out)
	// The answer has no items, and its response can be continued like any other.
	if !m.generate {
		return answer.empty()
	}
	return s.cfg.Turns.Turn(k.turnCtx, turn, answer)
}

// A socketAnswer answers one request on a socket. It is what the gateway calls a sink. One
// goroutine uses it. It serves one request; the next one of the lane gets another.
type socketAnswer struct {
	out     *socketOut
	encoder *responses.Encoder // nil until the request was understood
	// accepted says that upstream has the run, so that an error is an event of the response from now on.
	accepted bool
}

// Accept implements agent.Sink. From here on errors are told as the end of the response, and no longer as a refusal.
func (a *socketAnswer) Accept(how agent.Accepted) error {
	a.accepted = true
	return a.encoder.Accept(how)
}

// Event implements agent.Sink. It keeps nothing of e.
func (a *socketAnswer) Event(e *agent.Event) error { return a.encoder.Event(e) }

// Flush implements agent.Sink. Each event has been sent as a message of its own.
func (a *socketAnswer) Flush() error { return nil }

// empty answers a request with generate: false. Codex sends its instructions and tools so before the user has written
// anything, and continues that response. No upstream is asked: its runs can't wait without a prompt.
func (a *socketAnswer) empty() error {
	if err := a.Accept(agent.Accepted{}); err != nil {
		return err
	}
	// As a turn that ends at once would yield them.
	for _, e := range []agent.Event{
		{Kind: agent.UsageKind, Usage: &agent.Usage{}},
		{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}},
	} {
		if err := a.Event(&e); err != nil {
			return err
		}
	}
	return nil
}

// fail ends the answer with an error:
//
//	not accepted, client gone  nothing
//	not accepted               one error event, with the status that a POST would have had
//	ended                      nothing: the client knows the end
//	accepted, client gone      the response ends as cancelled, which is kept; nobody may read its last event
//	otherwise                  response.failed with e
func (a *socketAnswer) fail(e *agent.Error) error {
	switch {
	case !a.accepted:
		if e.Code == agent.Canceled {
			return nil
		}
		return a.out.error(e)
	case a.encoder.Response().Status.Ended():
		return nil
	case e.Code == agent.Canceled:
		return a.encoder.Cancel()
	}
	return a.encoder.Fail(e)
}

// A socketOut sends events as messages. It implements responses.Out; each event is sent as soon as it is whole. One
// goroutine uses it.
type socketOut struct {
	// socket is shared with the other lanes; it sends each message whole.
	socket *socket
	lane   string // stands in each event as stream_id; "" when the client named none
	// buf is used again for each event.
	buf []byte
}

// maxKeptBuffer is how large a buffer may be that is kept for the next event.
const maxKeptBuffer = 32 << 10

// Buffer implements responses.Out.
func (o *socketOut) Buffer() []byte { return o.buf[:0] }

// SetBuffer implements responses.Out: it sends the one event that b holds.
func (o *socketOut) SetBuffer(b []byte) error {
	// A large event (a whole response) comes once a turn, and its buffer would be kept for hours.
	if o.buf = b; cap(b) > maxKeptBuffer {
		o.buf = nil
	}
	_, data, ok := bytes.Cut(b, []byte("\ndata: "))
	if !ok {
		return nil // [DONE], which the API doesn't have here
	}
	return o.send(bytes.TrimRight(data, "\n"))
}

// Flush implements responses.Out.
func (o *socketOut) Flush() error { return nil }

// send writes one event, a JSON object, as a message, with the lane as its first member. It waits for a client that
// doesn't read, socketWriteTimeout at most; after that the connection is broken. The error is *agent.Error with the
// code Canceled.
func (o *socketOut) send(event []byte) error {
	if o.lane != "" {
		named := append([]byte(`{"stream_id":`), openai.AppendString(nil, []byte(o.lane))...)
		// The event is an object with members, so what follows its brace can be put behind a comma.
		named = append(named, ',')
		event = append(named, event[1:]...)
	}
	ctx, cancel := context.WithTimeout(o.socket.connCtx, socketWriteTimeout)
	defer cancel()
	if err := o.socket.conn.Write(ctx, websocket.MessageText, event); err != nil {
		return &agent.Error{Code: agent.Canceled, Err: err}
	}
	return nil
}

// socketError is the event that answers a request which was not accepted. Codex reads status,
// error and headers, as the HTTP answer would have had them; OpenAI's SDKs read the fields of
// the API's error event. Source: what Codex reads of it, and OpenAI's published error event.
type socketError struct {
	Type     string `json:"type"`
	Sequence int64  `json:"sequence_number"`
	// Status is the HTTP status, and Headers are those of the HTTP answer that a client may act on.
	Status  int               `json:"status"`
	Code    *string           `json:"code"`
	Message string            `json:"message"`
	Param   *string           `json:"param"`
	Error   jsontext.Value    `json:"error"`
	Headers map[string]string `json:"headers"`
}

// error sends the error event for e.
func (o *socketOut) error(e *agent.Error) error {
	row := openai.RowOf(e.Code)
	event := socketError{
		Type: "error", Status: row.Status, Message: openai.Message(e), Error: openai.ErrorObject(e), Headers: map[string]string{},
	}
	if row.Code != "" {
		event.Code = &row.Code
	}
	if e.Param != "" {
		event.Param = &e.Param
	}
	header := http.Header{}
	// Retry-After and what OpenAI's SDKs read beside it. A socket has no headers after its first
	// answer, so they are in the event.
	openai.SetRetryHeaders(header, e)
	for name := range header {
		event.Headers[name] = header.Get(name)
	}
	return o.send(openai.Encode(event))
}
