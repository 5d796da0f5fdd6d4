package service

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/kept"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// create answers POST /responses: with the whole response, a stream, or at once with a queued response when it is to
// run in the background.
//
// What can be refused is refused before anything is stored or started: the body, what it
// continues, its references.
func (s *Service) create(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	data, err := api.ReadBody(r)
	if err != nil {
		return err
	}
	req, err := responses.Decode(data, s.cfg.Sent.Of(call.Caller.Owner))
	// From here on the body's share of the memory is free: the request holds what it needs.
	api.Decoded(r)
	if err != nil {
		return err
	}
	turn, _, err := s.prepare(r.Context(), call, req, nil)
	if err != nil {
		return err
	}
	rec, err := s.newRecord(call, req, false)
	if err != nil {
		return err
	}
	if req.Background {
		return s.createInBackground(w, r, req, turn, rec)
	}
	// A response that isn't run in the background is stored once, at its end.
	opt := rec.options()
	opt.Keep = rec.keep
	// The status is sent with the first event, so an error before that is a document with a status
	// of its own.
	answer := responses.NewAnswer(w, req, opt)
	defer answer.Close()
	err = s.cfg.Turns.Turn(r.Context(), turn, answer)
	// Fail says whether something was sent before: then the error went out as an event, and the caller, which would
	// write an error document, must write nothing.
	if err != nil && answer.Fail(agent.AsError(err)) {
		return &api.Told{Err: err}
	}
	return err
}

// A record is a response's row in the making: what the next write to the store will hold. One goroutine uses it.
//
//	create   the row is written for the first time (or kept briefly)
//	set      what the next write says
//	update   the row is replaced; only jobs do so
//	keep     set and create in one, for a response that is written once
type record struct {
	service *Service
	// row is complete except for what set fills in. Its revision is that of the last write.
	row   store.Response
	brief bool // not to be stored
	// again says that an attempt before may have written under the same id, or still may (api.Attempt). What this one says counts.
	again bool

	conversation string              // that the response belongs to; "" when none
	conversed    bool                // what it says was added there
	now          *responses.Response // what set was given last
}

// newRecord begins the row of the response to req: with its id, what it continues, and its input, whose items get ids from the
// response's. The id is a new one, or that of all attempts if there may be several. It writes nothing yet. continued says that something can continue the response although it isn't stored,
// so that its input is needed: an agent without a store sends megabytes that nobody will ask for.
func (s *Service) newRecord(call *api.Call, req *responses.Request, continued bool) (*record, error) {
	id := responses.NewID()
	// One in the background has a process that works on it, and events: two attempts are two responses.
	attempts := call.Attempt.Name != "" && !req.Background
	if attempts {
		id = responses.IDOf(call.Attempt.Name)
	}
	var input []byte
	if req.Store || req.Background || req.ConversationID != "" || continued {
		items := req.Input
		if req.ConversationID != "" {
			items = responses.WithoutIDs(items) // a conversation has ids of ours only, so that no two of its items have the same
		}
		encoded, err := responses.EncodeItems(id, items)
		if err != nil {
			return nil, err
		}
		input = openai.Encode(encoded)
	}
	now := time.Now()
	return &record{service: s, brief: !req.Store, again: attempts && call.Attempt.Again, conversation: req.ConversationID, row: store.Response{
		Owner: call.Caller.Owner, ID: id, Previous: req.PreviousResponseID,
		Input: input, Created: now, Expires: now.Add(s.cfg.Age),
	}}, nil
}

// options are the encoder's for this response. What it seals can be opened only for the same purpose and owner, so one
// user's reasoning is of no use to another, and a compaction can't be sent as reasoning.
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

// storeTimeout bounds every use of the store. A store that hangs is as good as one that is away, and a client must not
// wait for it longer than for an error.
const storeTimeout = 3 * time.Second

// keep stores a response that has ended, if it is to be stored, and adds what it says to its conversation. The error is
// that one of the two failed. A store that is away is asked again for as long as storeTimeout allows, for both together.
//
// It uses a context of its own: the client's may have ended, and the response is to be found all the same.
func (rec *record) keep(r *responses.Response) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	appendErr := untilThere(ctx, func() error { return rec.appendToConversation(ctx, r) })
	if appendErr != nil {
		rec.service.cfg.Log.Error("a response could not be added to its conversation", "id", rec.row.ID, "err", appendErr)
	}
	if rec.brief {
		return appendErr
	}
	// Both are tried, whatever becomes of the other.
	return cmp.Or(rec.create(ctx, r), appendErr)
}

// againPause is how long untilThere waits before it tries again; then twice as long each time.
const againPause = 200 * time.Millisecond

// untilThere asks a store that is away again until ctx ends. The error is the last one, or the first of another kind.
func untilThere(ctx context.Context, ask func() error) error {
	err := ask()
	for pause := againPause; kept.IsUnavailable(err) && wait(ctx, pause); pause *= 2 {
		err = ask()
	}
	return err
}

// create stores the response as it stands, for the first time, or keeps it briefly when it isn't to be stored. A store that is away
// is asked again until ctx ends.
//
// ctx is not the request's: a client that leaves at the last event still finds what it has paid for. An
// error doesn't mean that the row isn't there: the answer of the store may have been lost (see forget).
func (rec *record) create(ctx context.Context, r *responses.Response) error {
	if rec.brief {
		rec.set(r)
		rec.row.Revision = 1
		rec.service.store.create(rec.row)
		return nil
	}
	rec.set(r)
	err := untilThere(ctx, func() error { return rec.insert(ctx) })
	if err != nil {
		rec.service.cfg.Log.Error("a response could not be stored", "id", rec.row.ID, "err", err)
	}
	// Also after an error, for a job that tries to update what may be there.
	rec.row.Revision = 1
	return err
}

// wait returns true after d, or false as soon as it is clear that ctx ends before that.
func wait(ctx context.Context, d time.Duration) bool {
	// No point in waiting for what can't happen any more.
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d || ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// insert tries once. That the row exists already is no error when it holds the same. What an attempt before has stored is replaced.
func (rec *record) insert(ctx context.Context) error {
	err := rec.service.store.CreateResponse(ctx, rec.row)
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	// Nobody else makes this id but another attempt, so this is most likely what an earlier try has stored without telling.
	now, readErr := rec.service.store.Response(ctx, rec.row.Owner, rec.row.ID)
	switch {
	case readErr != nil:
		return readErr
	case rec.holds(&now):
		return nil
	case rec.again:
		rec.row.Revision = now.Revision
		return rec.service.store.UpdateResponse(ctx, rec.row)
	}
	return err
}

// set makes r what the next write stores.
func (rec *record) set(r *responses.Response) {
	rec.now = r
	rec.row.Status, rec.row.Object = string(r.Status), r.Encode()
}

// holds reports whether the stored row now says the same as rec.
func (rec *record) holds(now *store.Response) bool {
	return now.Status == rec.row.Status && bytes.Equal(now.Object, rec.row.Object)
}

// updateTries bounds how often update follows a row that others change. Only cancelling and ending it from another
// process change it, which is rare; renewing its lease doesn't.
const updateTries = 3

// update replaces the stored response by rec. It may be called again after a failure, also when the store has done what
// it was asked for and only its answer was lost.
//
// What another process wrote meanwhile stays, and the error is store.ErrConflict, unless it took this process for dead:
// what the model answered counts more than that.
//
// What a conflict means depends on what the row says now:
//
//	the row now                                  the error
//	holds the same, with the same runner         none: an earlier try was stored, and its answer lost
//	is still this process's                      tried again with the new revision
//	was ended as interrupted                     the same: we are not dead, and have the answer
//	anything else                                store.ErrConflict
func (rec *record) update() error {
	ctx, cancel := context.WithTimeout(rec.service.writes, storeTimeout)
	defer cancel()
	// First the conversation: a response that is stored as completed is one whose words are in it.
	if err := rec.appendToConversation(ctx, rec.now); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := rec.service.store.UpdateResponse(ctx, rec.row)
		if err == nil {
			rec.row.Revision++
			return nil
		}
		if !errors.Is(err, store.ErrConflict) || try == updateTries {
			return err
		}
		now, readErr := rec.service.store.Response(ctx, rec.row.Owner, rec.row.ID)
		switch {
		case readErr != nil:
			return readErr
		case rec.holds(&now) && now.Runner == rec.row.Runner: // an earlier try
			rec.row.Revision = now.Revision
			return nil
		// The next round writes over it.
		case now.Runner == rec.service.runner, interrupted(&now):
			rec.row.Revision = now.Revision
		default:
			return err
		}
	}
}

// interrupted reports whether a row was ended because its process was taken for dead, or ended by a shutdown.
func interrupted(row *store.Response) bool {
	if responses.Status(row.Status) != responses.Failed {
		return false
	}
	object, err := responses.DecodeResponse(row.Object)
	return err == nil && object.Interrupted()
}

// appendEvents stores events of a response, of which the first has the sequence number first. Errors
// are the store's. ErrConflict means that an event with one of these numbers is there already.
func appendEvents(ctx context.Context, to store.Events, row *store.Response, first int, events [][]byte) error {
	rows := make([]store.Event, len(events))
	for i, event := range events {
		rows[i] = store.Event{Sequence: int64(first + i), Data: event}
	}
	return to.AppendEvents(ctx, row.Owner, row.ID, rows)
}
