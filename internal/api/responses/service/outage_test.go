package service_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/api/responses/responsestest"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sealed"
	"composer-api/internal/store/sqlstore"
)

// outages are the ways in which a store can be away.
var outages = map[string]fault{
	"unavailable": {err: store.ErrUnavailable},
	"timed out":   {err: context.DeadlineExceeded},
	"hanging":     {hang: true},
}

// inOutages runs test once for each outage.
func inOutages(t *testing.T, test func(t *testing.T, w *world, outage fault)) {
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				defer w.end()
				test(t, w, outage)
			})
		})
	}
}

// isWhole checks that a response is kept as completed with all its text, and that its stream can be read again.
func (w *world) isWhole(id, want string) {
	w.t.Helper()
	now := w.retrieve(id)
	if now.Status != "completed" || text(now) != want {
		w.t.Errorf("kept as %s, %q: %+v", now.Status, text(now), now.Error)
	}
	if final := responsestest.Final(w.t, w.do("GET", "/responses/"+id+"?stream=true", "").events()); text(final) != want {
		w.t.Errorf("its stream ends as %s, %q", final.Status, text(final))
	}
}

func TestAResponseThatEndsWhileTheStoreIsAwayIsKept(t *testing.T) {
	inOutages(t, func(t *testing.T, w *world, outage fault) {
		r := w.create(slow(""))
		w.create(say(`"background":true,`, "text One", "delay 3h", "text , two.")) // renews its own lease all the time
		time.Sleep(8 * time.Second)
		w.store.fail(outage, allMethods()...)
		time.Sleep(2 * time.Minute)
		w.store.fail(noFault, allMethods()...)
		time.Sleep(10 * time.Second)
		w.isWhole(r.ID, "One, two.")
	})
}

// What has ended is there at once, also while only the writes fail.
func TestAnUnsavedEndCanBeRetrieved(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		r := w.create(slow(""))
		time.Sleep(8 * time.Second)
		w.store.fail(outages["unavailable"], allMethods()...)
		time.Sleep(5 * time.Second)
		if now := w.retrieve(r.ID); now.Status != "completed" || text(now) != "One, two." {
			t.Errorf("is %+v", now)
		}
		if now := w.do("POST", "/responses/"+r.ID+"/cancel", "").response(); now.Status != "completed" {
			t.Errorf("cancelling it makes it %s", now.Status)
		}
		w.store.fail(noFault, allMethods()...)
		time.Sleep(10 * time.Second)
		w.isWhole(r.ID, "One, two.")
	})
}

// The first write of a background response is tried again for a while: its client is still there and waits.
func TestABackgroundResponseBeginsAfterAShortOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		w.store.fail(outages["unavailable"], createResponse)
		time.AfterFunc(1200*time.Millisecond, func() { w.store.fail(noFault, createResponse) })
		began := time.Now()
		r := w.create(slow(""))
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it began after %s", took)
		}
		time.Sleep(20 * time.Second)
		w.isWhole(r.ID, "One, two.")
	})
}

// So is what a response adds to its conversation, whose client is told otherwise that nothing of it is kept.
func TestAConversationIsAddedToAfterAShortOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		c := w.converse(`{}`)
		w.store.fail(outages["unavailable"], addParts, createResponse)
		time.AfterFunc(1200*time.Millisecond, func() { w.store.fail(noFault, allMethods()...) })
		began := time.Now()
		if r := w.create(in(c.ID, "", "One?", "One.")); !r.Store {
			t.Error("it is not kept")
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
		if got := w.said(c.ID); !slices.Equal(got, []string{"user: One?", "assistant: One."}) {
			t.Errorf("the conversation holds %q", got)
		}
	})
}

func TestABackgroundResponseOfALongOutageIsRefusedInTime(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		w.store.fail(outages["unavailable"], allMethods()...)
		began := time.Now()
		a := w.do("POST", "/responses", slow(""))
		a.is(503, "server_is_overloaded", "")
		if took := time.Since(began); took < time.Second || took > 3*time.Second || a.header.Get("Retry-After") == "" {
			t.Errorf("refused after %s, with %v", took, a.header)
		}
		if w.active.Load() != 0 {
			t.Error("the turn began")
		}
		w.store.fail(noFault, allMethods()...)
		w.create(slow(""))
		time.Sleep(20 * time.Second)
	})
}

func TestWhatWaitsForTheStoreCountsAsRunning(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		for range 3 {
			w.create(slow(""))
		}
		time.Sleep(8 * time.Second)
		w.store.fail(outages["unavailable"], updateResponse)
		time.Sleep(time.Minute)
		w.do("POST", "/responses", slow("")).is(429, "rate_limit_exceeded", "")
		w.store.fail(noFault, updateResponse)
		time.Sleep(10 * time.Second)
		w.create(slow(""))
		time.Sleep(11 * time.Second)
	})
}

func TestAResponseCancelledWhileTheStoreIsAwayIsKeptAsCancelled(t *testing.T) {
	inOutages(t, func(t *testing.T, w *world, outage fault) {
		r := w.create(slow(""))
		time.Sleep(2 * time.Second)
		w.store.fail(outage, updateResponse, readResponse, appendEvents, renewLeases)
		if now := w.do("POST", "/responses/"+r.ID+"/cancel", "").response(); now.Status != "cancelled" {
			t.Errorf("cancelling it makes it %s", now.Status)
		}
		if w.active.Load() != 0 {
			t.Error("the turn goes on")
		}
		time.Sleep(time.Minute)
		w.store.fail(noFault, allMethods()...)
		time.Sleep(10 * time.Second)
		if now := w.retrieve(r.ID); now.Status != "cancelled" || text(now) != "One" {
			t.Errorf("kept as %+v", now)
		}
		w.do("GET", "/responses/"+r.ID+"?stream=true", "").events()
	})
}

func TestALivingJobIsNotDeclaredDead(t *testing.T) {
	t.Run("by its own process, when only leases can't be renewed", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			defer w.end()
			r := w.create(say(`"background":true,`, "text One", "delay 60s", "text , two."))
			time.Sleep(6 * time.Second)
			w.store.fail(outages["unavailable"], renewLeases)
			time.Sleep(21 * time.Second)
			w.store.fail(noFault, renewLeases)
			time.Sleep(time.Minute)
			w.isWhole(r.ID, "One, two.")
		})
	})
	t.Run("by another, after an outage for both", func(t *testing.T) {
		inBubble(t, func(t *testing.T, here *world) {
			defer here.end()
			there := here.again()
			defer there.end()
			r := here.create(say(`"background":true,`, "text One", "delay 3m", "text , two."))
			time.Sleep(18 * time.Second)
			for _, w := range []*world{here, there} {
				w.store.fail(outages["unavailable"], allMethods()...)
			}
			time.Sleep(time.Minute)
			there.store.fail(noFault, allMethods()...) // is back first
			time.Sleep(9 * time.Second)
			here.store.fail(noFault, allMethods()...)
			time.Sleep(3 * time.Minute)
			here.isWhole(r.ID, "One, two.")
		})
	})
	t.Run("by another whose clock is fast", func(t *testing.T) {
		inBubble(t, func(t *testing.T, here *world) {
			defer here.end()
			there := worldOn(t, sqlstore.Config{DSN: here.path, Now: func() time.Time { return time.Now().Add(20 * time.Second) }}, here.ring)
			defer there.end()
			r := here.create(say(`"background":true,`, "text One", "delay 60s", "text , two."))
			time.Sleep(2 * time.Minute)
			here.isWhole(r.ID, "One, two.")
		})
	})
}

// Only this process lost the database, so another was right to take it for dead. Its answer is worth more all the same.
func TestAnAnswerReplacesTheFailureOfAProcessTakenForDead(t *testing.T) {
	inBubble(t, func(t *testing.T, here *world) {
		defer here.end()
		there := here.again()
		defer there.end()
		r := here.create(say(`"background":true,`, "text One", "delay 60s", "text , two."))
		time.Sleep(16 * time.Second)
		here.store.fail(outages["unavailable"], allMethods()...)
		time.Sleep(30 * time.Second)
		here.store.fail(noFault, allMethods()...)
		if now := there.retrieve(r.ID); !now.Interrupted() {
			t.Fatalf("the test proves nothing: %+v", now)
		}
		time.Sleep(time.Minute)
		here.isWhole(r.ID, "One, two.")
	})
}

func TestEventsAreSavedAfterAFailure(t *testing.T) {
	inOutages(t, func(t *testing.T, w *world, outage fault) {
		r := w.create(say(`"background":true,`, "text One", "delay 10s", "text two", "delay 2m", "text three"))
		time.Sleep(5 * time.Second)
		w.store.fail(outage, appendEvents)
		time.Sleep(time.Minute)
		w.store.fail(noFault, appendEvents)
		time.Sleep(2 * time.Minute)
		w.isWhole(r.ID, "Onetwothree")
	})
}

// The database did what it was asked for, and the connection broke before it could say so.
func TestALostAcknowledgementHarmsNothing(t *testing.T) {
	for m, name := range map[method]string{createResponse: "create", updateResponse: "update", appendEvents: "events"} {
		for nth, at := range []time.Duration{0, 9 * time.Second} {
			t.Run(fmt.Sprint(name, nth), func(t *testing.T) {
				inBubble(t, func(t *testing.T, w *world) {
					defer w.end()
					lost := fault{loses: true, once: true}
					if at == 0 {
						w.store.fail(lost, m)
					}
					r := w.create(slow(""))
					time.Sleep(at)
					if at != 0 {
						w.store.fail(lost, m)
					}
					time.Sleep(time.Minute)
					w.isWhole(r.ID, "One, two.")
				})
			})
		}
	}
}

// A response of which nobody learned that it was created is nobody's: it must not stay for ever.
func TestAResponseThatWasCreatedUnnoticedIsDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		w.store.fail(fault{loses: true}, createResponse)
		w.store.fail(outages["unavailable"], readResponse)
		w.do("POST", "/responses", slow("")).is(503, "server_is_overloaded", "")
		w.store.fail(noFault, allMethods()...)
		time.Sleep(time.Minute)
		if rows, err := w.db.AbandonedResponses(t.Context(), "", 10); err != nil || len(rows) != 0 {
			t.Errorf("still there: %v, %v", rows, err)
		}
	})
}

func TestAFollowerWaitsForTheStore(t *testing.T) {
	inOutages(t, func(t *testing.T, here *world, outage fault) {
		there := here.again()
		defer there.end()
		r := here.create(slow(""))
		done := make(chan *answer)
		go func() { done <- there.do("GET", "/responses/"+r.ID+"?stream=true", "") }()
		time.Sleep(3 * time.Second)
		there.store.fail(outage, allMethods()...)
		time.Sleep(time.Minute)
		there.store.fail(noFault, allMethods()...)
		if final := responsestest.Final(t, (<-done).events()); text(final) != "One, two." {
			t.Errorf("ended as %+v", final)
		}
	})
}

func TestAStreamEndsWithAnEvent(t *testing.T) {
	script := []string{}
	for range 100 {
		script = append(script, "text x", "delay 100ms")
	}
	for name, stop := range map[string]func(w *world, id string){
		"when it is cancelled": func(w *world, id string) { w.do("POST", "/responses/"+id+"/cancel", "").response() },
		"when it is deleted":   func(w *world, id string) { w.do("DELETE", "/responses/"+id, "") },
	} {
		for _, elsewhere := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " elsewhere ", elsewhere), func(t *testing.T) {
				inBubble(t, func(t *testing.T, here *world) {
					defer here.end()
					there := here.again()
					defer there.end()
					done, far := make(chan *answer), make(chan *answer)
					go func() {
						done <- here.do("POST", "/responses", say(`"background":true,"stream":true,`, script...))
					}()
					time.Sleep(2950 * time.Millisecond)
					here.store.mu.Lock()
					id := here.store.created[0]
					here.store.mu.Unlock()
					go func() { far <- there.do("GET", "/responses/"+id+"?stream=true", "") }()
					time.Sleep(time.Second)
					w := here
					if elsewhere {
						w = there
					}
					stop(w, id)
					if final := responsestest.Final(t, (<-done).events()); final.Status != "cancelled" {
						t.Errorf("the stream ends as %s", final.Status)
					}
					body := (<-far).body
					if !bytes.Contains(body, []byte("event: response.incomplete\n")) || !bytes.HasSuffix(body, []byte("data: [DONE]\n\n")) {
						t.Errorf("the stream of another process ends in %s", body[max(0, len(body)-300):])
					}
				})
			})
		}
	}
}

// A row that was sealed with a key that is gone, of a process that died.
func TestAnAbandonedResponseWithoutItsKeyIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := sqlstore.Config{DSN: filepath.Join(t.TempDir(), "test.db")}
		old := worldSealed(t, cfg, seal.Random())
		lost := old.create(slow(""))
		time.Sleep(2 * time.Second)
		old.die()
		fresh := worldSealed(t, cfg, seal.Random())
		defer fresh.end()
		time.Sleep(time.Minute)
		if rows, err := fresh.db.AbandonedResponses(t.Context(), "", 10); err != nil || len(rows) != 0 {
			t.Errorf("still abandoned: %v, %v", rows, err)
		}
		if now := fresh.retrieve(lost.ID); !now.Interrupted() {
			t.Errorf("kept as %+v", now)
		}
		a := fresh.do("GET", "/responses/"+lost.ID+"?stream=true", "")
		if !bytes.Contains(a.body, []byte("event: response.failed\n")) {
			t.Errorf("its stream is %s", a.body)
		}
		if items := fresh.do("GET", "/responses/"+lost.ID+"/input_items", ""); items.status != 200 {
			t.Errorf("its input is %d %s", items.status, items.body)
		}
	})
}

// worldSealed keeps everything encrypted with ring.
func worldSealed(t *testing.T, cfg sqlstore.Config, ring *seal.Ring) *world {
	w := worldOn(t, cfg, ring, func(db store.Store) store.Store { return sealed.New(db, ring) })
	return w
}

// Never 500, and never longer than the deadline.
func TestARequestThatNeedsAStoreThatIsAway(t *testing.T) {
	inOutages(t, func(t *testing.T, w *world, outage fault) {
		r := w.create(say("", "text Hi."))
		w.store.fail(outage, allMethods()...)
		for _, request := range [][2]string{
			{"GET", "/responses/" + r.ID}, {"DELETE", "/responses/" + r.ID}, {"GET", "/responses/" + r.ID + "/input_items"},
			{"POST", "/responses/" + r.ID + "/cancel"}, {"GET", "/responses/" + r.ID + "?stream=true"},
		} {
			began := time.Now()
			w.do(request[0], request[1], "").is(503, "server_is_overloaded", "")
			if d := time.Since(began); d > 4*time.Second {
				t.Errorf("%s took %s", request, d)
			}
		}
		began := time.Now()
		w.do("POST", "/responses", say(fmt.Sprintf(`"previous_response_id":%q,`, r.ID), "text x")).is(503, "server_is_overloaded", "")
		w.do("POST", "/responses", slow("")).is(503, "server_is_overloaded", "")
		if unkept := w.create(say("", "text Hi.")); unkept.Store || text(unkept) != "Hi." {
			t.Errorf("answered %+v", unkept)
		}
		if d := time.Since(began); d > 12*time.Second {
			t.Errorf("took %s", d)
		}
		w.store.fail(noFault, allMethods()...)
	})
}

// A store that hangs doesn't hold up a shutdown.
func TestAShutdownWithAStoreThatIsAway(t *testing.T) {
	inOutages(t, func(t *testing.T, w *world, outage fault) {
		w.create(slow(""))
		time.Sleep(2 * time.Second)
		w.store.fail(outage, allMethods()...)
		began := time.Now()
		w.service.Close()
		if d := time.Since(began); d > 6*time.Second {
			t.Errorf("took %s", d)
		}
	})
}

// A shutdown gives background responses the time that everybody gets.
func TestADrainWaitsForWhatRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		short := w.create(slow(""))
		long := w.create(say(`"background":true,`, "text One", "delay 3h", "text , two."))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		drained := make(chan error)
		go func() { drained <- w.service.Drain(ctx) }()
		synctest.Wait()
		w.do("POST", "/responses", slow("")).is(503, "server_is_overloaded", "")
		if err := <-drained; err == nil {
			t.Error("what runs for hours was waited for")
		}
		w.isWhole(short.ID, "One, two.")
		w.end()
		w = w.again()
		defer w.end()
		if now := w.retrieve(long.ID); !now.Interrupted() {
			t.Errorf("kept as %+v", now)
		}
		if err := w.service.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What a client deletes is gone for it; the conversations that went on from there are other responses.
func TestAConversationGoesOnWithoutADeletedAncestor(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	first := w.create(say("", "text One."))
	second := w.create(say(fmt.Sprintf(`"previous_response_id":%q,`, first.ID), "text Two."))
	third := w.create(say(fmt.Sprintf(`"previous_response_id":%q,`, second.ID), "text Three."))
	for _, r := range []responsestest.Response{first, second} {
		w.do("DELETE", "/responses/"+r.ID, "")
		w.do("GET", "/responses/"+r.ID, "").is(404, "", "")
		w.do("POST", "/responses", say(fmt.Sprintf(`"previous_response_id":%q,`, r.ID), "text x")).is(400, "previous_response_not_found", "previous_response_id")
	}
	if next := w.create(say(fmt.Sprintf(`"previous_response_id":%q,`, third.ID), "text Four.")); text(next) != "Four." {
		t.Errorf("answered %+v", next)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.requests[len(w.requests)-1].Messages); n != 7 {
		t.Errorf("the model is shown %d messages, want 7", n)
	}
}

// The process ended before it could store all events, but after it had stored the response.
func TestMissingEventsAreMadeFromTheResponse(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.create(slow(""))
		time.Sleep(5 * time.Second)
		w.store.fail(outages["unavailable"], appendEvents)
		time.Sleep(10 * time.Second)
		w.end()
		w = w.again()
		defer w.end()
		w.isWhole(r.ID, "One, two.")
	})
}

// A response that could not be stored says so, in itself and in a header, so that nobody builds on its id.
func TestAResponseThatCouldNotBeStoredSaysSo(t *testing.T) {
	inOutages(t, func(t *testing.T, w *world, outage fault) {
		w.store.fail(outage, createResponse)
		whole := w.do("POST", "/responses", say("", "text One."))
		r := whole.response()
		if got := whole.header.Get("Warning"); r.Store || text(r) != "One." || !strings.HasPrefix(got, "199 composer-api ") {
			t.Errorf("store is %t, the text %q, the warning %q", r.Store, text(r), got)
		}
		stream := w.do("POST", "/responses", say(`"stream":true,`, "text One."))
		final := responsestest.Final(t, stream.events())
		if got := stream.header.Get(http.TrailerPrefix + "Warning"); final.Store || text(final) != "One." || !strings.HasPrefix(got, "199 composer-api ") {
			t.Errorf("a stream: store is %t, the text %q, the warning %q", final.Store, text(final), got)
		}
		failed := w.do("POST", "/responses", say(`"stream":true,`, "text One.", "error internal Oh."))
		if got := failed.header.Get(http.TrailerPrefix + "Warning"); responsestest.Final(t, failed.events()).Store || got == "" {
			t.Errorf("a stream that fails: the warning is %q", got)
		}
		w.do("GET", "/responses/"+r.ID, "").is(404, "", "")
		w.store.fail(noFault, createResponse)
		for _, options := range []string{"", `"store":false,`} {
			a := w.do("POST", "/responses", say(options, "text One."))
			if got := a.header.Get("Warning"); got != "" || a.response().Store != (options == "") {
				t.Errorf("with %s the warning is %q", options, got)
			}
		}
	})
}
