package respond

import (
	"context"
	"net/http"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
	"composer-api/internal/sse"
	"composer-api/internal/store"
)

// create answers POST /responses.
func (s *Service) create(w http.ResponseWriter, r *http.Request, call Call) error {
	data, err := readBody(r)
	if err != nil {
		return err
	}
	req, err := responses.Decode(data)
	if err != nil {
		return err
	}
	turn, _, err := s.prepare(r.Context(), call, req)
	if err != nil {
		return err
	}
	rec, err := s.newRecord(call, req)
	if err != nil {
		return err
	}
	if req.Background {
		return s.createInBackground(w, r, req, turn, rec)
	}
	sink := &foreground{service: s, w: w, req: req, rec: rec}
	defer sink.close()
	return sink.finish(s.cfg.Turns.Turn(r.Context(), turn, sink))
}

// A foreground is the sink of a turn whose client waits for it. It owns the answer to the HTTP request from the
// moment that upstream has accepted the run.
type foreground struct {
	service *Service
	w       http.ResponseWriter
	req     *responses.Request
	rec     *record

	stream  *sse.Writer        // nil for a body
	encoder *responses.Encoder // nil until the run was accepted
}

// Accept implements gateway.Sink.
func (f *foreground) Accept(a agent.Accepted) error {
	openai.SetAccepted(f.w.Header(), a)
	opt := f.rec.options()
	if f.req.Store {
		opt.Keep = f.rec.create
	}
	if f.req.Stream {
		f.stream = sse.NewWriter(f.w, f.service.cfg.SSE)
		f.encoder = responses.NewStream(f.req, opt, f.stream)
	} else {
		f.encoder = responses.NewBody(f.req, opt)
	}
	return f.encoder.Accept(a)
}

// Event implements gateway.Sink.
func (f *foreground) Event(e *agent.Event) error { return f.encoder.Event(e) }

// Flush implements gateway.Sink.
func (f *foreground) Flush() error { return f.encoder.Flush() }

// finish answers the request after a turn that ended with err.
func (f *foreground) finish(err error) error {
	switch {
	case err == nil && f.stream == nil:
		return writeJSON(f.w, f.encoder.Response().Encode())
	case err == nil:
		return nil
	case f.stream == nil:
		return err // nothing was sent: the error can have its own status
	case agent.CodeOf(err) == agent.Canceled:
		f.encoder.Cancel() // nobody listens, but the response's id was given out
		return err
	}
	f.encoder.Fail(agent.AsError(err))
	return err
}

func (f *foreground) close() {
	if f.stream != nil {
		f.stream.Close()
	}
}

// A record is a response's row in the making.
type record struct {
	service *Service
	row     store.Response
	queued  []byte // a background response's object before anything has happened
}

// newRecord begins the row of the response to req.
func (s *Service) newRecord(call Call, req *responses.Request) (*record, error) {
	id := responses.NewID()
	input, err := responses.EncodeItems(id, req.Input)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &record{service: s, row: store.Response{
		Owner: call.Caller.Owner, ID: id, Previous: req.PreviousResponseID,
		Input: encodeList(input), Created: now, Expires: now.Add(s.cfg.Age),
	}}, nil
}

// options are the encoder's for this response.
func (rec *record) options() responses.Options {
	purpose := func(purpose string) func([]byte) (string, error) {
		return func(plain []byte) (string, error) { return rec.service.seal(plain, purpose, rec.row.Owner) }
	}
	return responses.Options{
		ID:             rec.row.ID,
		SealReasoning:  purpose(sealReasoning),
		SealCompaction: purpose(sealCompaction),
	}
}

// storeTimeout bounds a write that outlives its request.
const storeTimeout = 10 * time.Second

// create stores the response as it stands.
func (rec *record) create(r *responses.Response) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	rec.row.Status, rec.row.Object = string(r.Status), r.Encode()
	err := rec.service.cfg.Store.CreateResponse(ctx, rec.row)
	if err != nil {
		rec.service.cfg.Log.Error("a response could not be stored", "id", rec.row.ID, "err", err)
	}
	rec.row.Revision = 1
	return err
}

// update replaces the stored response by r.
func (rec *record) update(r *responses.Response) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	rec.row.Status, rec.row.Object = string(r.Status), r.Encode()
	err := rec.service.cfg.Store.UpdateResponse(ctx, rec.row)
	if err == nil {
		rec.row.Revision++
	}
	return err
}

// appendEvents stores events, of which the first has the sequence number first.
func (rec *record) appendEvents(first int, events [][]byte) error {
	rows := make([]store.Event, len(events))
	for i, event := range events {
		rows[i] = store.Event{Sequence: int64(first + i), Data: event}
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return rec.service.cfg.Store.AppendEvents(ctx, rec.row.Owner, rec.row.ID, rows)
}
