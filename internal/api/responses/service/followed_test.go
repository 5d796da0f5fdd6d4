package service_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/api/responses/responsestest"
	"composer-api/internal/store"
)

const done = "data: [DONE]\n\n"

// streamOf reads the stream of a stored response from after an event on; -1 is from the beginning.
func (w *world) streamOf(id string, after int) *answer {
	query := "?stream=true"
	if after >= 0 {
		query += fmt.Sprintf("&starting_after=%d", after)
	}
	return w.do("GET", "/responses/"+id+query, "")
}

// A process may store the end of a response, and die before it has stored the last events. Whoever follows makes them up from the
// response, the same each time.
func TestTheLastEventsThatNobodyHasStoredAreMadeUp(t *testing.T) {
	inBubble(t, func(t *testing.T, here *world) {
		there := here.again()
		defer there.end()
		r := here.create(say(`"background":true,`, "text One", "delay 2s", "text , two."))
		followed := make(chan *answer)
		go func() { followed <- there.streamOf(r.ID, -1) }()
		time.Sleep(time.Second)
		here.store.fail(outages["unavailable"], appendEvents)
		time.Sleep(2 * time.Second)
		here.die()
		began := time.Now()
		whole := <-followed
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the follower waited %v for the last events", took)
		}
		events := whole.events()
		if final := responsestest.Final(t, events); final.Status != "completed" || text(final) != "One, two." {
			t.Errorf("the stream ends as %s, %q", final.Status, text(final))
		}
		if again := there.streamOf(r.ID, -1); !bytes.Equal(again.body, whole.body) {
			t.Errorf("read again it is\n%s\nand was\n%s", again.body, whole.body)
		}
		// Whoever has had a part gets the rest, also within what was made up.
		for after := range len(events) {
			rest := bytes.Join(bytes.SplitAfter(whole.body, []byte("\n\n"))[after+1:], nil)
			if got := there.streamOf(r.ID, after); !bytes.Equal(got.body, rest) {
				t.Errorf("after event %d:\n%s\nwant\n%s", after, got.body, rest)
			}
		}
	})
}

// Nothing comes after the last event.
func TestAfterTheLastEventThereIsOnlyTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		r := w.create(say(`"background":true,`, "text Hi."))
		time.Sleep(10 * time.Second)
		last := len(w.streamOf(r.ID, -1).events()) - 1
		if got := w.streamOf(r.ID, last); string(got.body) != done {
			t.Errorf("got %q", got.body)
		}
		if got := w.streamOf(r.ID, last-1); strings.Count(string(got.body), "data: ") != 2 {
			t.Errorf("after the last but one: %s", got.body)
		}
	})
}

// A follower that meets a fault which does not pass ends without an end, so that its client comes back.
func TestAFollowerThatCannotGoOnDoesNotPretend(t *testing.T) {
	inBubble(t, func(t *testing.T, here *world) {
		defer here.end()
		there := here.again()
		defer there.end()
		r := here.create(slow(""))
		followed := make(chan *answer)
		go func() { followed <- there.streamOf(r.ID, -1) }()
		time.Sleep(2 * time.Second)
		there.store.fail(fault{err: errors.New("disk on fire"), once: true}, listEvents)
		if body := (<-followed).body; bytes.Contains(body, []byte(done)) || !bytes.Contains(body, []byte("response.in_progress")) {
			t.Errorf("the stream was %s", body)
		}
		if final := responsestest.Final(t, there.streamOf(r.ID, -1).events()); text(final) != "One, two." {
			t.Errorf("read again it ends as %s, %q", final.Status, text(final))
		}
	})
}

// A client that leaves ends its own stream alone, wherever the response runs.
func TestAClientThatLeavesEndsItsStreamAlone(t *testing.T) {
	for name, elsewhere := range map[string]bool{"here": false, "elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, here *world) {
				defer here.end()
				reader := here
				if elsewhere {
					reader = here.again()
					defer reader.end()
				}
				r := here.create(slow(""))
				ctx, cancel := context.WithCancel(t.Context())
				followed := make(chan *answer)
				go func() { followed <- reader.doContext(ctx, "GET", "/responses/"+r.ID+"?stream=true", "") }()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				cancel()
				began := time.Now()
				if body := (<-followed).body; bytes.Contains(body, []byte(done)) || time.Since(began) > 0 {
					t.Errorf("after %v the stream was %s", time.Since(began), body)
				}
				time.Sleep(20 * time.Second)
				here.isWhole(r.ID, "One, two.")
			})
		})
	}
}

// An answer that is too large for the store has an end all the same.
func TestABackgroundResponseThatIsTooLargeEndsAsFailed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		r := w.create(slow(""))
		time.Sleep(5 * time.Second)
		w.store.fail(fault{err: store.ErrTooLarge, once: true}, updateResponse)
		time.Sleep(10 * time.Second)
		if now := w.retrieve(r.ID); now.Status != "failed" || !strings.Contains(now.Error.Message, "too large to be stored") {
			t.Errorf("kept as %s, %+v", now.Status, now.Error)
		}
	})
}

// A row that is gone when the turn begins ends the turn: nobody can ever read it.
func TestABackgroundResponseWhoseRowIsGoneEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		w.store.fail(fault{err: store.ErrNotFound, once: true}, updateResponse)
		w.create(slow(""))
		time.Sleep(time.Second)
		if w.active.Load() != 0 {
			t.Error("the turn goes on")
		}
	})
}

// A response that was refused because the store's answers were lost is there all the same, queued for ever. It is deleted when
// the store is back, however often that takes.
func TestWhatWasStoredWithoutTellingIsDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		w.store.fail(fault{loses: true}, createResponse)
		w.store.fail(outages["unavailable"], readResponse, deleteResponse)
		for range 2 {
			w.do("POST", "/responses", slow("")).is(503, "server_is_overloaded", "")
		}
		w.store.fail(noFault, createResponse, readResponse)
		time.Sleep(time.Minute)
		w.store.mu.Lock()
		created := w.store.created
		w.store.mu.Unlock()
		for _, id := range created {
			if w.do("GET", "/responses/"+id, "").status != 200 {
				t.Errorf("%s was deleted while the store refused it", id)
			}
		}
		w.store.fail(noFault, deleteResponse)
		time.Sleep(time.Minute)
		for _, id := range created {
			w.do("GET", "/responses/"+id, "").is(404, "", "")
		}
	})
}

// What a dead process has left is ended although looking for it fails at first, in any of its steps.
func TestWhatIsAbandonedIsEndedInTheEnd(t *testing.T) {
	for name, in := range map[string]method{"looking": abandonedResponses, "reading events": listEvents, "ending": updateResponse} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				first, second := w.create(slow("")), w.create(slow(""))
				time.Sleep(time.Second)
				w.die()
				w = w.again()
				defer w.end()
				w.store.fail(outages["unavailable"], in)
				time.Sleep(2 * time.Minute)
				for _, id := range []string{first.ID, second.ID} {
					if now := w.retrieve(id); now.Status != "in_progress" {
						t.Errorf("while the store fails it is %s", now.Status)
					}
				}
				w.store.fail(noFault, in)
				time.Sleep(2 * time.Minute)
				for _, id := range []string{first.ID, second.ID} {
					if now := w.retrieve(id); !now.Interrupted() {
						t.Errorf("in the end it is %+v", now)
					}
				}
			})
		})
	}
}

// The store may be away when another process's response is to be cancelled.
func TestACancellationElsewhereNeedsTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, here *world) {
		defer here.end()
		there := here.again()
		defer there.end()
		r := here.create(slow(""))
		time.Sleep(time.Second)
		there.store.fail(outages["unavailable"], updateResponse)
		there.do("POST", "/responses/"+r.ID+"/cancel", "").is(503, "server_is_overloaded", "")
		there.store.fail(noFault, updateResponse)
		there.store.fail(outages["unavailable"], appendEvents) // the end alone counts
		if now := there.do("POST", "/responses/"+r.ID+"/cancel", "").response(); now.Status != "cancelled" {
			t.Errorf("cancelled as %s", now.Status)
		}
		time.Sleep(20 * time.Second)
	})
}
