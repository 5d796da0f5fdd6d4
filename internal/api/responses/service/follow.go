package service

import (
	"context"
	"errors"
	"net/http"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/responses"
	"composer-api/internal/sse"
	"composer-api/internal/store"
)

// streamStored answers with the events of a stored response that come after a sequence number.
func (s *Service) streamStored(w http.ResponseWriter, r *http.Request, row store.Response, after int64) error {
	object, err := responses.DecodeResponse(row.Object)
	if err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	if !object.Background {
		return agent.ParamError(agent.InvalidValue, "stream", "Only background responses can be streamed again. Leave 'stream' out to get the whole response.")
	}
	return s.stream(w, r, store.ResponseRef{Owner: row.Owner, ID: row.ID}, after)
}

// stream writes the events of a background response to w, up to its end.
func (s *Service) stream(w http.ResponseWriter, r *http.Request, ref store.ResponseRef, after int64) error {
	out := sse.NewWriter(w, s.cfg.SSE)
	defer out.Close()
	if err := out.Flush(); err != nil { // the headers, at once
		return err
	}
	f := follower{service: s, ref: ref, out: out, last: after}
	return f.follow(r.Context())
}

// A follower writes a background response's events to one client, wherever they are: in the journal of the job that
// makes them, or in the store.
type follower struct {
	service *Service
	ref     store.ResponseRef
	out     *sse.Writer
	last    int64 // sequence number of the last event written; -1 for none
	ended   bool  // that event was the last of all
}

const (
	// followEvery is how often the store is asked for the events of a job of another process.
	followEvery = 500 * time.Millisecond
	// endGrace is how long after the end of a response its last events may still be on their way into the store.
	endGrace  = 5 * time.Second
	followMax = 256 // events taken from the store at once
)

func (f *follower) follow(ctx context.Context) error {
	if j := f.service.job(f.ref); j != nil {
		if err := f.fromJournal(ctx, j.journal); err != nil {
			return err
		}
	}
	var endSeen time.Time
	for !f.ended {
		if err := f.fromStore(ctx); err != nil || f.ended {
			return err
		}
		row, err := f.service.load(ctx, f.ref.Owner, f.ref.ID)
		if err != nil {
			return err
		}
		if responses.Status(row.Status).Ended() {
			if endSeen.IsZero() {
				endSeen = time.Now()
			} else if time.Since(endSeen) >= endGrace {
				return f.makeEnd(ctx, &row)
			}
		}
		select {
		case <-ctx.Done():
			return &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
		case <-time.After(followEvery):
		}
	}
	return f.finish()
}

// fromJournal writes what the journal has until it ends.
func (f *follower) fromJournal(ctx context.Context, j *journal) error {
	for {
		events, ended, changed := j.from(int(f.last) + 1)
		for _, event := range events {
			if err := f.write(f.last+1, event); err != nil {
				return err
			}
		}
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

// fromStore writes what the store has now.
func (f *follower) fromStore(ctx context.Context) error {
	for {
		events, err := f.service.cfg.Store.ListEvents(ctx, f.ref.Owner, f.ref.ID, f.last, followMax)
		if err != nil {
			return storeError(err)
		}
		for _, e := range events {
			if err := f.write(e.Sequence, e.Data); err != nil {
				return err
			}
		}
		if f.ended {
			return f.finish()
		}
		if len(events) < followMax {
			return clientGone(f.out.Flush())
		}
	}
}

// makeEnd makes the events that nobody lived to write.
func (f *follower) makeEnd(ctx context.Context, row *store.Response) error {
	object, err := responses.DecodeResponse(row.Object)
	if err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	log, err := f.service.log(ctx, f.ref.Owner, f.ref.ID)
	if err != nil {
		return storeError(err)
	}
	rest, err := responses.Settle(object, log)
	if err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	for i, event := range rest {
		if err := f.write(int64(len(log)+i), event); err != nil {
			return err
		}
	}
	return f.finish()
}

func (f *follower) write(sequence int64, event []byte) error {
	f.last, f.ended = sequence, responses.IsEnd(event)
	return clientGone(f.out.SetBuffer(append(f.out.Buffer(), event...)))
}

// finish writes the line after the last event.
func (f *follower) finish() error {
	f.out.SetBuffer(append(f.out.Buffer(), responses.DoneLine...))
	return clientGone(f.out.Flush())
}

// clientGone marks an error of writing to the client.
func clientGone(err error) error {
	var ours *agent.Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	return &agent.Error{Code: agent.Canceled, Err: err}
}
