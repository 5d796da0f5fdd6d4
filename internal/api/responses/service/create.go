package service

import (
	"context"
	"net/http"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// create answers POST /responses.
func (s *Service) create(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	data, err := api.ReadBody(r)
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
	opt := rec.options()
	if req.Store {
		opt.Keep = rec.create
	}
	answer := responses.NewAnswer(w, req, opt)
	defer answer.Close()
	err = s.cfg.Turns.Turn(r.Context(), turn, answer)
	if err != nil && answer.Fail(agent.AsError(err)) {
		return &api.Told{Err: err}
	}
	return err
}

// A record is a response's row in the making.
type record struct {
	service *Service
	row     store.Response
	queued  []byte // a background response's object before anything has happened
}

// newRecord begins the row of the response to req.
func (s *Service) newRecord(call *api.Call, req *responses.Request) (*record, error) {
	id := responses.NewID()
	input, err := responses.EncodeItems(id, req.Input)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &record{service: s, row: store.Response{
		Owner: call.Caller.Owner, ID: id, Previous: req.PreviousResponseID,
		Input: openai.Encode(input), Created: now, Expires: now.Add(s.cfg.Age),
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
		SSE:            rec.service.cfg.SSE,
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

// appendEvents stores events of a response, of which the first has the sequence number first.
func appendEvents(ctx context.Context, to store.Events, row *store.Response, first int, events [][]byte) error {
	rows := make([]store.Event, len(events))
	for i, event := range events {
		rows[i] = store.Event{Sequence: int64(first + i), Data: event}
	}
	return to.AppendEvents(ctx, row.Owner, row.ID, rows)
}
