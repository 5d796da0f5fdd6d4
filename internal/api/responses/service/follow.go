package service

import (
	"context"
	"errors"
	"net/http"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/kept"
	"composer-api/internal/api/responses"
	"composer-api/internal/sse"
	"composer-api/internal/store"
)

// streamStored answers with the events of a stored response whose sequence number is greater than after, and with those
// to come while it runs. Other responses than background ones have no events in the store.
func (s *Service) streamStored(w http.ResponseWriter, r *http.Request, row store.Response, after int64) error {
	object, err := responses.DecodeResponse(row.Object)
	if err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	if !object.Background {
		return agent.ParamError(agent.InvalidValue, "stream", "Only background responses can be streamed again. Leave 'stream' out to get the whole response.")
	}
	return s.stream(w, r, row, after)
}

// stream writes the events of a background response to w, up to its end. The client that leaves
// ends only the stream. Once the headers are out, an error can only end the stream; the client
// comes back with starting_after.
func (s *Service) stream(w http.ResponseWriter, r *http.Request, row store.Response, after int64) error {
	out := sse.NewWriter(w, s.cfg.SSE)
	defer out.Close()
	if err := out.Flush(); err != nil { // the headers, at once
		return err
	}
	f := follower{service: s, row: row, out: out, last: after}
	return f.follow(r.Context())
}

// A follower writes a background response's events to one client, wherever they are: in the journal of the job that
// makes them, or in the store. While the store is away it waits. The last event is always that of the response's end.
//
// It goes through these states, of which the first is left out when the job runs elsewhere or has ended:
//
//	journal ─► store, again and again ─► last event seen ─────────────► [DONE]
//	                    │                                                  ▲
//	                    └─► row ended, but the last events don't come ─────┘
//	                        within endGrace, or never (dead process): they are made from the row
//
// It belongs to the goroutine of its request.
type follower struct {
	// service has the store and the jobs of this process.
	service *Service
	row     store.Response // as it was last seen
	out     *sse.Writer
	last    int64 // sequence number of the last event written, or that the client had before; -1 for none
	wrote   bool  // something was written
	ended   bool  // that event was the last of all
}

const (
	// The store tells of the events of a job of another process. How often it is asked all the same: followEvery while it
	// can't tell of them, or doesn't answer, and lookEvery otherwise, because a notice may get lost.
	followEvery = 500 * time.Millisecond
	lookEvery   = 5 * time.Second
	// endGrace is how long after the end of a response its last events may still be on their way into the store.
	endGrace  = 5 * time.Second
	followMax = 256 // events taken from the store at once
)

// follow runs to the end of the response, of the client, or to an error that doesn't pass. The error is *agent.Error.
//
// A job that runs here has all events in its journal, from the first on, so the store is read
// only after the journal's end.
func (f *follower) follow(ctx context.Context) error {
	if j := f.service.job(store.ResponseRef{Owner: f.row.Owner, ID: f.row.ID}); j != nil {
		if err := f.fromJournal(ctx, j.journal); err != nil {
			return err
		}
	}
	// Before the first look, so that nothing comes between.
	watch := f.service.store.WatchResponse(store.ResponseRef{Owner: f.row.Owner, ID: f.row.ID}, true)
	defer watch.Stop()
	var endSeen time.Time
	for !f.ended {
		end, err := f.fromStore(ctx, &endSeen)
		switch {
		case f.ended, err == nil && end:
			return f.finish()
		// Not there yet, or the store is away: asked again in a moment. The client sees comment
		// lines meanwhile, which keep its connection.
		case err == nil, kept.IsUnavailable(err) && ctx.Err() == nil:
		default:
			return f.failed(ctx, err)
		}
		again := followEvery
		if err == nil && endSeen.IsZero() && watch.Complete() {
			again = lookEvery
		}
		select {
		case <-ctx.Done():
			return &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
		case <-watch.Changed():
		case <-time.After(again):
		}
	}
	return f.finish()
}

// failed is the error of a follower that can't go on.
func (f *follower) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
	}
	var ours *agent.Error
	if errors.As(err, &ours) {
		return err
	}
	return storeError(err)
}

// fromJournal writes what the journal has until it ends. A slow client holds up nobody but
// itself: the journal keeps all events until the job is over.
func (f *follower) fromJournal(ctx context.Context, j *journal) error {
	for {
		// Event numbers are indexes into the journal. changed is closed with the next event.
		events, ended, changed := j.from(int(f.last) + 1)
		for _, event := range events {
			if err := f.write(f.last+1, event); err != nil {
				return err
			}
		}
		// Once for all events that there were, so a client that is behind catches up in few writes.
		if err := f.out.Flush(); err != nil {
			return clientGone(err)
		}
		if ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
		case <-changed:
		}
	}
}

// fromStore writes what the store has now, and, when the response has ended and nobody is going to write its last
// events any more, those. It reports whether that was all. endSeen is when the response was first seen to have ended.
// Errors are the store's, or of writing to the client.
func (f *follower) fromStore(ctx context.Context, endSeen *time.Time) (end bool, err error) {
	if err := f.events(ctx); err != nil || f.ended {
		return f.ended, err
	}
	row, err := f.service.row(ctx, f.row.Owner, f.row.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		// It was deleted, or has expired.
		if !responses.Status(f.row.Status).Ended() {
			// A response in progress that is deleted is stopped; that is what its followers see.
			f.row.Status = string(responses.Cancelled)
		}
		return true, f.writeEnd()
	case err != nil:
		return false, err
	}
	f.row = row
	if !responses.Status(row.Status).Ended() {
		return false, nil
	}
	if endSeen.IsZero() {
		*endSeen = time.Now()
	}
	// Who ends the response of a dead process writes no events, so there is nothing to wait for.
	if time.Since(*endSeen) < endGrace && !interrupted(&row) {
		return false, nil
	}
	return f.synthesizeEnd(ctx)
}

// events writes the events that the store has now. That the response is gone (store.ErrNotFound) is not an error here:
// fromStore finds that out from its row.
func (f *follower) events(ctx context.Context) error {
	for {
		events, err := f.service.listEvents(ctx, f.row.Owner, f.row.ID, f.last, followMax)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		for _, e := range events {
			if err := f.write(e.Sequence, e.Data); err != nil {
				return err
			}
		}
		// Fewer than asked for are all that there are now.
		if len(events) < followMax || f.ended {
			return clientGone(f.out.Flush())
		}
	}
}

// synthesizeEnd makes the final events of a job whose process died, from the row and the events that are stored. It reports
// false when there are stored events to be written first. A client that comes back with starting_after gets the same
// ones again: they are made from the same row with the same numbers.
//
// It writes nothing to the store: another follower, or the process that is late, may do so at
// the same time.
func (f *follower) synthesizeEnd(ctx context.Context) (end bool, err error) {
	log, err := f.service.log(ctx, f.row.Owner, f.row.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	stored := int64(len(log))
	switch {
	case f.last+1 < stored:
		return false, nil // these came just now
	case stored > 0 && responses.IsEnd(log[stored-1]) && !f.wrote:
		return true, nil // the client had them all
	}
	object, err := responses.DecodeResponse(f.row.Object)
	if err != nil {
		return false, &agent.Error{Code: agent.Internal, Err: err}
	}
	rest, err := responses.Settle(object, log)
	if err != nil || f.wrote && f.last+1 > stored {
		// The events can't be read, or the client has seen more of them than were stored.
		return true, f.writeEnd()
	}
	for i, event := range rest {
		if number := stored + int64(i); number > f.last {
			if err := f.write(number, event); err != nil {
				return false, err
			}
		}
	}
	// A client that comes back with the number of the last of them has had the end, and one with a greater number has seen events
	// that died with the process. Where the process died, the two can't be told apart: an end that a client has had already
	// does no harm, and without one it would come back for ever.
	if !f.ended && (f.last >= stored+int64(len(rest)) || interrupted(&f.row)) {
		return true, f.writeEnd()
	}
	return true, nil
}

// writeEnd writes the event of the response's end as the next one.
func (f *follower) writeEnd() error {
	object, err := responses.DecodeResponse(f.row.Object)
	if err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	// The object is as it was stored; the status may be what fromStore has put in its place.
	object.Status = responses.Status(f.row.Status)
	return f.write(f.last+1, responses.EndEvent(object, f.last+1))
}

// write sends one event, whose sequence number is sequence.
func (f *follower) write(sequence int64, event []byte) error {
	f.last, f.wrote, f.ended = sequence, true, responses.IsEnd(event)
	return clientGone(f.out.SetBuffer(append(f.out.Buffer(), event...)))
}

// finish writes the line after the last event, data: [DONE].
func (f *follower) finish() error {
	f.out.SetBuffer(append(f.out.Buffer(), responses.DoneLine...))
	return clientGone(f.out.Flush())
}

// clientGone marks an error of writing to the client as agent.Canceled, so that it is neither logged as a fault nor
// answered. Errors that are *agent.Error already, and nil, stay.
func clientGone(err error) error {
	var ours *agent.Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	return &agent.Error{Code: agent.Canceled, Err: err}
}
