package storetest

import (
	"bytes"
	"fmt"
	"time"

	"composer-api/internal/store"
)

// The exam's questions about responses: what is stored, who works on it, what of it is deleted
// when, and the events of a background response.

// response is a finished response, created so many seconds after epoch, which expires after a
// day. Its previous response doesn't exist, which a store must not mind.
func response(owner, id string, seconds int) store.Response {
	return store.Response{
		Owner: owner, ID: id, Previous: "resp_0", Status: "completed", Object: []byte(`{"id":"` + id + `"}`), Input: []byte(`[]`),
		Created: at(time.Duration(seconds) * time.Second), Expires: at(24 * time.Hour), Revision: 1,
	}
}

// running is a response that runner works on in the background. A negative lease has ended
// before the test looks.
// Leases are relative, because the clock that they go by is the database's.
func running(owner, id, runner string, lease time.Duration) store.Response {
	r := response(owner, id, 0)
	r.Status, r.Runner, r.Lease = "in_progress", runner, lease
	return r
}

// sized is a response of the owner k:1 with so many bytes of content.
func sized(id string, seconds, size int) store.Response {
	r := response("k:1", id, seconds)
	r.Input, r.Object = nil, bytes.Repeat([]byte("x"), size)
	return r
}

// kept lists which of the owner's responses "a", "b" … are there, as one string.
// It asks for each by its id, so it needs no list, which responses don't have.
func kept(e *exam, owner string) (ids string) {
	for c := 'a'; c <= 'z'; c++ {
		if _, err := e.Response(e.ctx, owner, string(c)); err == nil {
			ids += string(c)
		}
	}
	return ids
}

// abandoned lists the owners of the responses that self finds abandoned, in order.
func abandoned(e *exam, s store.Store, self string, limit int) (owners []string) {
	e.Helper()
	for _, r := range get[[]store.Response](e)(s.AbandonedResponses(e.ctx, self, limit)) {
		owners = append(owners, r.Owner)
	}
	return owners
}

// responseCases are about responses and the leases of those that run.
var responseCases = []examCase{
	// Content is bytes, not text: NUL and invalid UTF-8 included.
	{name: "a response comes back as it was stored", run: func(e *exam) {
		r := running("k:1", "resp_1", "host-1", time.Minute)
		// 64 KB of bytes that are no text, and nothing at all.
		r.Object, r.Input = bytes.Repeat([]byte("\x00\xff{}"), 1<<14), nil
		e.ok(e.CreateResponse(e.ctx, r))
		r.Lease = 0 // is only written
		e.same(get[store.Response](e)(e.Response(e.ctx, "k:1", "resp_1")), r)
	}},
	// An id of another owner must not even be told to exist.
	{name: "ids are unique for an owner, and two owners never meet", run: func(e *exam) {
		mine, theirs := response("k:1", "resp_1", 0), response("k:2", "resp_1", 0)
		theirs.Object = []byte("theirs")
		e.ok(e.CreateResponse(e.ctx, mine))
		e.ok(e.CreateResponse(e.ctx, theirs))
		e.fails(e.CreateResponse(e.ctx, mine), store.ErrConflict)
		e.same(get[store.Response](e)(e.Response(e.ctx, "k:1", "resp_1")), mine)
		e.same(get[store.Response](e)(e.Response(e.ctx, "k:2", "resp_1")), theirs)
		e.ok(e.DeleteResponse(e.ctx, "k:2", "resp_1"))
		e.fails(e.DeleteResponse(e.ctx, "k:2", "resp_1"), store.ErrNotFound)
		e.same(get[store.Response](e)(e.Response(e.ctx, "k:1", "resp_1")), mine)
	}},
	// The job finishes while a client cancels: whoever read the older revision loses.
	{name: "an update needs the revision that it has read", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, running("k:1", "resp_1", "host-1", time.Minute)))
		mine := response("k:1", "resp_1", 0) // completed, no runner
		e.ok(e.UpdateResponse(e.ctx, mine))
		// It has revision 1, which the update above has made 2.
		late := response("k:1", "resp_1", 0)
		late.Status = "cancelled"
		e.fails(e.UpdateResponse(e.ctx, late), store.ErrConflict)
		mine.Revision = 2
		e.same(get[store.Response](e)(e.Response(e.ctx, "k:1", "resp_1")), mine)
		e.fails(e.UpdateResponse(e.ctx, response("k:1", "resp_2", 0)), store.ErrNotFound)
		e.fails(e.UpdateResponse(e.ctx, response("k:2", "resp_1", 0)), store.ErrNotFound)
	}},
	// The same on two connections at the same moment.
	{name: "of two updates at once one wins", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, response("k:1", "resp_1", 0)))
		other := e.open()
		// together fails on errors, so they are kept here: one is expected.
		errs := make([]error, 2)
		e.together(2, func(i int) error {
			errs[i] = []store.Store{e.Store, other}[i].UpdateResponse(e.ctx, response("k:1", "resp_1", 0))
			return nil
		})
		if (errs[0] == nil) == (errs[1] == nil) {
			e.Fatalf("both ended alike: %v, %v", errs[0], errs[1])
		}
	}},
	// Nobody sweeps here: an expired row has to be invisible to every method, and in nobody's way.
	{name: "after its end a response is gone", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, running("k:1", "resp_1", "host-1", -time.Minute)))
		e.ok(e.AppendEvents(e.ctx, "k:1", "resp_1", []store.Event{{Data: []byte("x")}}))
		e.pass(24 * time.Hour)
		_, err := e.Response(e.ctx, "k:1", "resp_1")
		e.fails(err, store.ErrNotFound)
		e.fails(e.UpdateResponse(e.ctx, response("k:1", "resp_1", 0)), store.ErrNotFound)
		e.fails(e.DeleteResponse(e.ctx, "k:1", "resp_1"), store.ErrNotFound)
		e.fails(e.AppendEvents(e.ctx, "k:1", "resp_1", []store.Event{{Sequence: 1, Data: []byte("x")}}), store.ErrNotFound)
		e.same(len(get[[]store.Event](e)(e.ListEvents(e.ctx, "k:1", "resp_1", -1, 10))), 0)
		e.same(len(get[[]store.Response](e)(e.AbandonedResponses(e.ctx, "host-2", 10))), 0)
		next := response("k:1", "resp_1", 0)
		next.Expires = at(48 * time.Hour)
		e.ok(e.CreateResponse(e.ctx, next))
	}},
	// Leases go by the database's clock, which a test can't move. A negative lease has ended at once.
	{name: "what outlives its runner's lease is abandoned", run: func(e *exam) {
		// Three have ended, at different times, and one has not. The longest abandoned comes first.
		for i, lease := range []time.Duration{-3, -5, -4, 9} {
			e.ok(e.CreateResponse(e.ctx, running(fmt.Sprint("k:", i), "resp_1", "host-1", lease*time.Minute)))
		}
		e.ok(e.CreateResponse(e.ctx, response("k:9", "resp_1", 0))) // finished
		e.same(abandoned(e, e, "host-2", 10), []string{"k:1", "k:2", "k:0"})
		e.same(abandoned(e, e, "host-2", 2), []string{"k:1", "k:2"})
		e.ok(e.UpdateResponse(e.ctx, response("k:1", "resp_1", 0)))
		e.same(abandoned(e, e, "host-2", 10), []string{"k:2", "k:0"})
	}},
	// Every write of the runner shows that it is alive.
	{name: "an update gives a new lease", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, running("k:1", "resp_1", "host-1", -time.Minute)))
		// It was abandoned; with the new lease it is not.
		e.ok(e.UpdateResponse(e.ctx, running("k:1", "resp_1", "host-1", time.Minute)))
		e.same(abandoned(e, e, "host-2", 10), []string(nil))
		again := running("k:1", "resp_1", "host-1", -time.Minute)
		again.Revision = 2
		e.ok(e.UpdateResponse(e.ctx, again))
		e.same(abandoned(e, e, "host-2", 10), []string{"k:1"})
	}},
	// A process knows which jobs it works on; see decisions/0016.
	{name: "nobody finds its own responses abandoned", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, running("k:1", "resp_1", "host-1", -time.Minute)))
		e.ok(e.CreateResponse(e.ctx, running("k:2", "resp_1", "host-2", -time.Minute)))
		e.same(abandoned(e, e, "host-1", 10), []string{"k:2"})
		e.same(abandoned(e, e, "host-2", 10), []string{"k:1"})
	}},
	// An hour on the clock that stores are given must not end a lease.
	{name: "leases don't depend on the clocks of the processes", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, running("k:1", "resp_1", "host-1", time.Minute)))
		e.ok(e.CreateResponse(e.ctx, running("k:2", "resp_1", "host-1", -time.Minute)))
		e.pass(time.Hour) // both replicas see this clock
		e.same(abandoned(e, e.open(), "host-2", 10), []string{"k:2"})
		e.same(len(get[[]store.ResponseRef](e)(e.open().RenewLeases(e.ctx, "host-1", []store.ResponseRef{{Owner: "k:2", ID: "resp_1"}}, time.Minute))), 1)
		e.same(abandoned(e, e, "host-2", 10), []string(nil))
	}},
	// What another has cancelled or taken over must not be renewed, and the runner has to find out.
	{name: "a runner renews the leases of its jobs and learns what it has lost", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, running("k:1", "resp_1", "host-1", -time.Minute)))
		e.ok(e.CreateResponse(e.ctx, running("k:2", "resp_2", "host-1", -time.Minute)))
		e.ok(e.CreateResponse(e.ctx, running("k:3", "resp_3", "host-2", -time.Minute)))
		e.ok(e.CreateResponse(e.ctx, running("k:4", "resp_4", "host-1", -time.Minute)))
		e.ok(e.UpdateResponse(e.ctx, response("k:2", "resp_2", 0))) // cancelled by somebody
		jobs := []store.ResponseRef{{Owner: "k:1", ID: "resp_1"}, {Owner: "k:2", ID: "resp_2"}, {Owner: "k:3", ID: "resp_3"}, {Owner: "k:5", ID: "resp_1"}}
		// Of the four: one is host-1's, one has no runner any more, one is host-2's, and one
		// doesn't exist.
		e.same(get[[]store.ResponseRef](e)(e.RenewLeases(e.ctx, "host-1", jobs, time.Minute)), jobs[:1])
		// A renewed lease is no change of the response: its runner still holds the revision that it
		// knows.
		e.same(get[store.Response](e)(e.Response(e.ctx, "k:1", "resp_1")).Revision, int64(1))
		// What host-1 no longer names is not renewed, whoever holds it.
		e.same(abandoned(e, e, "host-3", 10), []string{"k:3", "k:4"})
		// No name holds nothing, although rows without a runner have an empty one.
		e.same(len(get[[]store.ResponseRef](e)(e.RenewLeases(e.ctx, "", jobs, time.Minute))), 0)
		e.same(len(get[[]store.ResponseRef](e)(e.RenewLeases(e.ctx, "host-1", nil, time.Minute))), 0)
	}},
	// At its last millisecond a response is still there, and its lease can be renewed; then no longer.
	{name: "the lease of what has expired is not renewed", run: func(e *exam) {
		r := running("k:1", "resp_1", "host-1", time.Minute)
		e.ok(e.CreateResponse(e.ctx, r))
		jobs := []store.ResponseRef{{Owner: "k:1", ID: "resp_1"}}
		e.pass(r.Expires.Sub(e.clock()) - time.Millisecond)
		e.same(get[[]store.ResponseRef](e)(e.RenewLeases(e.ctx, "host-1", jobs, time.Minute)), jobs)
		e.pass(time.Millisecond)
		e.same(len(get[[]store.ResponseRef](e)(e.RenewLeases(e.ctx, "host-1", jobs, time.Minute))), 0)
	}},
	// a ◄── b ◄── c ◄── d, and b ◄── e. Deleting a and b hides them; they go with the last of c, d and e.
	{name: "what was deleted stays as the context of what continues it, hidden from all else", run: func(e *exam) {
		chain := func(id, previous string) {
			r := response("k:1", id, 0)
			r.Previous = previous
			e.ok(e.CreateResponse(e.ctx, r))
		}
		ancestors := func() (ids string) {
			for c := 'a'; c <= 'z'; c++ {
				if _, err := e.Ancestor(e.ctx, "k:1", string(c)); err == nil {
					ids += string(c)
				}
			}
			return ids
		}
		// Each link is an id and what it continues.
		for _, link := range []string{"a", "ba", "cb", "dc", "eb"} { // b is continued twice
			chain(link[:1], link[1:])
		}
		e.ok(e.AppendEvents(e.ctx, "k:1", "b", events(0, 3)))
		e.ok(e.DeleteResponse(e.ctx, "k:1", "a"))
		e.ok(e.DeleteResponse(e.ctx, "k:1", "b"))
		// Hidden from whoever asks for a response, and there for whoever continues one.
		e.same(kept(e, "k:1"), "cde")
		e.same(ancestors(), "abcde")
		// What a continued turn needs of it is all there: content and predecessor.
		b := get[store.Response](e)(e.Ancestor(e.ctx, "k:1", "b"))
		e.same(b.Previous+string(b.Object), `a{"id":"b"}`)
		e.fails(e.DeleteResponse(e.ctx, "k:1", "b"), store.ErrNotFound)
		e.fails(e.UpdateResponse(e.ctx, b), store.ErrNotFound)
		e.fails(e.AppendEvents(e.ctx, "k:1", "b", events(3, 4)), store.ErrNotFound)
		e.same(len(get[[]store.Event](e)(e.ListEvents(e.ctx, "k:1", "b", -1, 10))), 0)
		_, err := e.Ancestor(e.ctx, "k:2", "b")
		e.fails(err, store.ErrNotFound)
		// Neither has anything expired, nor is a hidden response without descendants.
		e.same(get[int64](e)(e.Sweep(e.ctx)), int64(0))
		// From the end: nobody continues d, and then nobody c. b is still needed by e.
		e.ok(e.DeleteResponse(e.ctx, "k:1", "d"))
		e.ok(e.DeleteResponse(e.ctx, "k:1", "c"))
		e.same(ancestors(), "abe")
		e.ok(e.DeleteResponse(e.ctx, "k:1", "e"))
		e.same(ancestors(), "")
	}},
	// Nobody deletes c, so only the sweep can find out that a and b aren't needed any more.
	{name: "what was deleted goes when what continues it expires", run: func(e *exam) {
		for i, id := range []string{"a", "b", "c"} {
			r := response("k:1", id, 0)
			r.Previous = []string{"", "a", "b"}[i]
			if id == "c" {
				r.Expires = at(time.Hour)
			}
			e.ok(e.CreateResponse(e.ctx, r))
		}
		e.ok(e.DeleteResponse(e.ctx, "k:1", "a"))
		e.ok(e.DeleteResponse(e.ctx, "k:1", "b"))
		e.pass(2 * time.Hour)
		// c by its time, and with it what only c still needed.
		e.same(get[int64](e)(e.Sweep(e.ctx)), int64(3))
		_, err := e.Ancestor(e.ctx, "k:1", "a")
		e.fails(err, store.ErrNotFound)
	}},
	// A hidden response has no runner, so its job can't renew the lease and stops.
	{name: "one that runs stops when it is deleted, also if another continues it", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, running("k:1", "a", "host-1", -time.Minute)))
		next := response("k:1", "b", 0)
		next.Previous = "a"
		e.ok(e.CreateResponse(e.ctx, next))
		e.ok(e.DeleteResponse(e.ctx, "k:1", "a"))
		e.same(abandoned(e, e, "host-2", 10), []string(nil))
		e.same(len(get[[]store.ResponseRef](e)(e.RenewLeases(e.ctx, "host-1", []store.ResponseRef{{Owner: "k:1", ID: "a"}}, time.Minute))), 0)
	}},
	// Another owner's bytes don't count, and what alone is over the limit changes nothing.
	{name: "over the owner's bytes the oldest go", limits: store.Limits{OwnerBytes: 100_000}, run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, sized("a", 1, 30_000)))
		e.ok(e.CreateResponse(e.ctx, sized("b", 2, 30_000)))
		e.ok(e.CreateResponse(e.ctx, sized("c", 3, 30_000)))
		e.same(kept(e, "k:1"), "abc")
		e.ok(e.CreateResponse(e.ctx, sized("d", 4, 30_000)))
		e.same(kept(e, "k:1"), "bcd")
		grown := sized("b", 2, 60_000) // the oldest that grows isn't its own victim
		e.ok(e.UpdateResponse(e.ctx, grown))
		e.same(kept(e, "k:1"), "bd")
		// Another owner has a limit of its own.
		others := sized("a", 9, 90_000)
		others.Owner = "k:2"
		e.ok(e.CreateResponse(e.ctx, others))
		e.same(kept(e, "k:1"), "bd")
		// What no eviction can make room for is refused, and evicts nothing.
		e.fails(e.CreateResponse(e.ctx, sized("e", 5, 110_000)), store.ErrTooLarge)
		e.fails(e.UpdateResponse(e.ctx, sized("d", 4, 110_000)), store.ErrTooLarge)
		e.same(kept(e, "k:1"), "bd")
	}},
	// The oldest goes although its own content is small enough: the events of a younger one need the room.
	{name: "events count towards the owner's bytes", limits: store.Limits{OwnerBytes: 100_000}, run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, sized("a", 1, 30_000)))
		e.ok(e.CreateResponse(e.ctx, sized("b", 2, 10_000)))
		e.ok(e.AppendEvents(e.ctx, "k:1", "b", []store.Event{{Data: bytes.Repeat([]byte("x"), 60_000)}}))
		e.ok(e.CreateResponse(e.ctx, sized("c", 3, 10_000)))
		e.same(kept(e, "k:1"), "bc")
	}},
	// A running response counts but is not evicted, so an owner may be over the limit for a while.
	{name: "over the owner's count the oldest go, but never one that runs", limits: store.Limits{OwnerRows: 2}, run: func(e *exam) {
		r := running("k:1", "a", "host-1", time.Minute)
		e.ok(e.CreateResponse(e.ctx, r))
		for i, id := range []string{"b", "c", "d"} {
			e.ok(e.CreateResponse(e.ctx, response("k:1", id, i+1)))
		}
		e.same(kept(e, "k:1"), "ad")
		e.ok(e.UpdateResponse(e.ctx, response("k:1", "a", 0))) // finished, but this is its own update
		// It can't be its own victim: its job would lose the row that it has just written.
		e.same(kept(e, "k:1"), "ad")
		e.ok(e.CreateResponse(e.ctx, response("k:1", "e", 9)))
		e.same(kept(e, "k:1"), "de")
	}},
}

// events are those with the sequence numbers from … to-1.
func events(from, to int64) (events []store.Event) {
	for i := from; i < to; i++ {
		events = append(events, store.Event{Sequence: i, Data: fmt.Appendf(nil, "event %d", i)})
	}
	return events
}

// eventCases are about the events of a background response, which a client may read again and again.
var eventCases = []examCase{
	// A client that was cut off asks for what follows the last number that it has; -1 is the beginning.
	{name: "events are read from any place on", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, response("k:1", "resp_1", 0)))
		e.ok(e.AppendEvents(e.ctx, "k:1", "resp_1", events(0, 5)))
		e.ok(e.AppendEvents(e.ctx, "k:1", "resp_1", events(5, 12)))
		// From the beginning, from the middle with a limit, and from the end on.
		e.same(get[[]store.Event](e)(e.ListEvents(e.ctx, "k:1", "resp_1", -1, 100)), events(0, 12))
		e.same(get[[]store.Event](e)(e.ListEvents(e.ctx, "k:1", "resp_1", 3, 4)), events(4, 8))
		e.same(len(get[[]store.Event](e)(e.ListEvents(e.ctx, "k:1", "resp_1", 11, 100))), 0)
	}},
	// A job that retries an append must not store half of it twice.
	{name: "a batch with a known number is refused as a whole", run: func(e *exam) {
		e.ok(e.CreateResponse(e.ctx, response("k:1", "resp_1", 0)))
		e.ok(e.AppendEvents(e.ctx, "k:1", "resp_1", events(0, 5)))
		// 5 is new, 4 is known.
		e.fails(e.AppendEvents(e.ctx, "k:1", "resp_1", []store.Event{{Sequence: 5}, {Sequence: 4}}), store.ErrConflict)
		e.same(get[[]store.Event](e)(e.ListEvents(e.ctx, "k:1", "resp_1", -1, 100)), events(0, 5))
	}},
	// A new response with the id of a deleted one must not inherit its events.
	{name: "events belong to their response and its owner", run: func(e *exam) {
		e.fails(e.AppendEvents(e.ctx, "k:1", "resp_1", events(0, 1)), store.ErrNotFound)
		e.ok(e.CreateResponse(e.ctx, response("k:1", "resp_1", 0)))
		e.ok(e.AppendEvents(e.ctx, "k:1", "resp_1", events(0, 1)))
		e.fails(e.AppendEvents(e.ctx, "k:2", "resp_1", events(1, 2)), store.ErrNotFound)
		e.same(len(get[[]store.Event](e)(e.ListEvents(e.ctx, "k:2", "resp_1", -1, 100))), 0)
		e.ok(e.DeleteResponse(e.ctx, "k:1", "resp_1"))
		e.ok(e.CreateResponse(e.ctx, response("k:1", "resp_1", 0)))
		e.same(len(get[[]store.Event](e)(e.ListEvents(e.ctx, "k:1", "resp_1", -1, 100))), 0)
	}},
}

// conversation is one that expires after a day.
func conversation(owner, hash string, seconds int) store.Conversation {
	return store.Conversation{
		Owner: owner, Hash: []byte(hash), Backend: "localagent", Data: []byte("checkpoint of " + hash),
		Created: at(time.Duration(seconds) * time.Second), Expires: at(24 * time.Hour),
	}
}

// conversationCases are about upstream's half of a conversation, as the gateway keeps it.
var conversationCases = []examCase{
	// A hash is bytes; one must not be cut off at a NUL.
	{name: "a conversation is found by owner, backend and hash", run: func(e *exam) {
		c := conversation("k:1", "hash\x00\xff", 0)
		e.ok(e.PutConversation(e.ctx, c))
		e.same(get[store.Conversation](e)(e.Conversation(e.ctx, "k:1", "localagent", c.Hash)), c)
		for _, other := range []struct{ owner, backend, hash string }{
			// Each differs in one of the three; the last is the same up to the NUL.
			{"k:2", "localagent", "hash\x00\xff"}, {"k:1", "chat", "hash\x00\xff"}, {"k:1", "localagent", "hash"},
		} {
			_, err := e.Conversation(e.ctx, other.owner, other.backend, []byte(other.hash))
			e.fails(err, store.ErrNotFound)
		}
	}},
	// The same transcript may be finished twice; the newer state counts. Forgetting twice is no error.
	{name: "a conversation can be replaced and forgotten", run: func(e *exam) {
		e.ok(e.PutConversation(e.ctx, conversation("k:1", "hash", 0)))
		c := conversation("k:1", "hash", 5)
		c.Data = []byte("newer")
		e.ok(e.PutConversation(e.ctx, c))
		e.same(get[store.Conversation](e)(e.Conversation(e.ctx, "k:1", "localagent", c.Hash)), c)
		e.ok(e.DeleteConversation(e.ctx, "k:1", "localagent", c.Hash))
		e.ok(e.DeleteConversation(e.ctx, "k:1", "localagent", c.Hash))
		_, err := e.Conversation(e.ctx, "k:1", "localagent", c.Hash)
		e.fails(err, store.ErrNotFound)
	}},
	// As with responses, nobody sweeps here.
	{name: "after its end a conversation is gone", run: func(e *exam) {
		e.ok(e.PutConversation(e.ctx, conversation("k:1", "hash", 0)))
		e.pass(24 * time.Hour)
		_, err := e.Conversation(e.ctx, "k:1", "localagent", []byte("hash"))
		e.fails(err, store.ErrNotFound)
	}},
	// A replaced conversation is as new as its replacement.
	{name: "over the owner's bytes and count the oldest go", limits: store.Limits{OwnerBytes: 100_000, OwnerRows: 3}, run: func(e *exam) {
		put := func(owner, hash string, seconds, size int) error {
			c := conversation(owner, hash, seconds)
			c.Data = bytes.Repeat([]byte("x"), size)
			return e.PutConversation(e.ctx, c)
		}
		kept := func() (kept string) {
			for c := 'a'; c <= 'z'; c++ {
				if _, err := e.Conversation(e.ctx, "k:1", "localagent", []byte{byte(c)}); err == nil {
					kept += string(c)
				}
			}
			return kept
		}
		// Four where three may be.
		for i, hash := range []string{"a", "b", "c", "d"} {
			e.ok(put("k:1", hash, i, 1000))
		}
		e.same(kept(), "bcd")
		e.ok(put("k:2", "a", 9, 90_000))
		e.same(kept(), "bcd")
		e.ok(put("k:1", "b", 8, 90_000)) // replaced, so it is the newest now
		e.same(kept(), "bcd")
		e.ok(put("k:1", "e", 9, 20_000))
		e.same(kept(), "e")
		e.fails(put("k:1", "f", 10, 110_000), store.ErrTooLarge)
		e.same(kept(), "e")
	}},
}
