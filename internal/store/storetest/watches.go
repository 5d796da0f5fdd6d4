package storetest

import (
	"time"

	"composer-api/internal/store"
)

// watchLimit is how long a case waits for a notice, which takes a millisecond.
// Real time, because a notice of PostgreSQL comes over a real connection.
const watchLimit = 20 * time.Second

// told fails the exam unless w is told of something in time.
func (e *exam) told(w store.Watch) {
	e.Helper()
	select {
	case <-w.Changed():
	case <-time.After(watchLimit):
		e.Fatal("nobody was told of a change")
	}
}

// untold fails the exam if w was told of something.
func (e *exam) untold(w store.Watch) {
	e.Helper()
	select {
	case <-w.Changed():
		e.Fatal("somebody was told of what is not his")
	default:
	}
}

// completed waits until w is told of the changes of all processes, and takes what it was told of so far.
func (e *exam) completed(w store.Watch) {
	e.Helper()
	for !w.Complete() {
		e.told(w)
	}
	select {
	case <-w.Changed():
	default:
	}
}

// aRef is the response that these cases are about.
var aRef = store.ResponseRef{Owner: "k:1", ID: "resp_1"}

// watchCases are about what a process is told of its own writes, before they return.
var watchCases = []examCase{
	// A watch that is told of too much would make its reader ask the database for nothing.
	{name: "whoever waits for a response is told of its row, of its events if asked for, and of nothing else", run: func(e *exam) {
		all, row, others := e.WatchResponse(aRef, true), e.WatchResponse(aRef, false), e.WatchResponse(store.ResponseRef{Owner: "k:2", ID: "resp_1"}, true)
		defer all.Stop()
		defer row.Stop()
		defer others.Stop()
		// A store that begins to hear from other processes says so once; here that may happen at any time, so others have an end.
		e.ok(e.CreateResponse(e.ctx, response("k:1", "resp_1", 0)))
		e.ok(e.AppendEvents(e.ctx, "k:1", "resp_1", []store.Event{{Sequence: 0, Data: []byte("x")}}))
		e.told(all)
		r := get[store.Response](e)(e.Response(e.ctx, "k:1", "resp_1"))
		e.ok(e.UpdateResponse(e.ctx, r))
		e.told(all)
		e.told(row)
		e.ok(e.DeleteResponse(e.ctx, "k:1", "resp_1"))
		e.told(all)
		e.told(row)
	}},
	// Stop may be called twice: by whoever reads the stream, and by its end.
	{name: "a watch that has ended is told of nothing, and another one still is", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, response("k:1", "resp_1", 0)))
		ended, other := e.WatchResponse(aRef, true), e.WatchResponse(aRef, true)
		defer other.Stop()
		ended.Stop()
		ended.Stop()
		select { // what came before the end
		case <-ended.Changed():
		default:
		}
		e.ok(e.AppendEvents(e.ctx, "k:1", "resp_1", []store.Event{{Sequence: 0, Data: []byte("x")}}))
		e.told(other)
		e.untold(ended)
	}},
}

// completeCases are about what a process is told of the writes of others.
var completeCases = []examCase{
	// A background response may run in one process and be read in another.
	{name: "a change by one process is told to another", run: func(e *exam) {
		there := e.open()
		all, row, others := there.WatchResponse(aRef, true), there.WatchResponse(aRef, false), there.WatchResponse(store.ResponseRef{Owner: "k:2", ID: "resp_1"}, true)
		// Until a process hears from the others a notice may be lost, so nothing is written before.
		for _, w := range []store.Watch{all, row, others} {
			defer w.Stop()
			e.completed(w)
		}
		e.ok(e.CreateResponse(e.ctx, response("k:1", "resp_1", 0)))
		e.ok(e.AppendEvents(e.ctx, "k:1", "resp_1", []store.Event{{Sequence: 0, Data: []byte("x")}}))
		e.told(all)
		e.untold(row)
		e.ok(e.UpdateResponse(e.ctx, get[store.Response](e)(e.Response(e.ctx, "k:1", "resp_1"))))
		e.told(all)
		e.told(row)
		e.ok(e.DeleteResponse(e.ctx, "k:1", "resp_1"))
		e.told(all)
		e.told(row)
		e.untold(others)
	}},
	// What is told of is there to be read: a reader that is told before the commit would wait for the next notice.
	{name: "who is told finds the change", run: func(e *exam) {
		there := e.open()
		w := there.WatchResponse(aRef, true)
		defer w.Stop()
		e.completed(w)
		e.ok(e.CreateResponse(e.ctx, response("k:1", "resp_1", 0)))
		for i := range int64(20) {
			e.ok(e.AppendEvents(e.ctx, "k:1", "resp_1", []store.Event{{Sequence: i, Data: []byte("x")}}))
			e.told(w)
			// At once, without waiting: the notice comes after the commit.
			if events := get[[]store.Event](e)(there.ListEvents(e.ctx, "k:1", "resp_1", i-1, 10)); len(events) != 1 {
				e.Fatalf("event %d was told of, and %d are there", i, len(events))
			}
		}
	}},
}
