package service_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/api/responses/responsestest"
	"composer-api/internal/store/seal"
)

// inBubble runs test in a world whose time passes when nothing else happens.
func inBubble(t *testing.T, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		test(t, bornWorld(t, filepath.Join(t.TempDir(), "test.db"), seal.Random()))
	})
}

// slow is a background request whose answer takes ten seconds.
func slow(members string) string {
	return say(`"background":true,`+members, "text One", "delay 10s", "text , two.")
}

func TestABackgroundResponseRunsOn(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		r := w.create(slow(""))
		if r.Status != "queued" {
			t.Errorf("answered as %s", r.Status)
		}
		synctest.Wait()
		if now := w.retrieve(r.ID); now.Status != "in_progress" {
			t.Errorf("then %s", now.Status)
		}
		w.do("POST", "/responses", say(fmt.Sprintf(`"previous_response_id":%q,`, r.ID), "text x")).is(400, "invalid_value", "previous_response_id")
		time.Sleep(11 * time.Second)
		if now := w.retrieve(r.ID); now.Status != "completed" || text(now) != "One, two." {
			t.Errorf("in the end %+v", now)
		}
	})
}

// A name that nobody knows is told at once, and nothing is queued for it.
func TestABackgroundResponseNeedsAModel(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		w.do("POST", "/responses", `{"model":"nobody","input":"x","background":true}`).is(404, "model_not_found", "model")
		synctest.Wait()
		if len(w.requests) != 0 {
			t.Errorf("%d turns", len(w.requests))
		}
	})
}

func TestABackgroundStreamCanBeReadAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		first := w.do("POST", "/responses", slow(`"stream":true,`))
		events := first.events()
		want := []string{"response.created", "response.queued", "response.in_progress"}
		if diff := cmp.Diff(want, responsestest.Types(events)[:3]); diff != "" {
			t.Error(diff)
		}
		id := responsestest.Final(t, events).ID
		again := w.do("GET", "/responses/"+id+"?stream=true", "")
		if !bytes.Equal(first.body, again.body) {
			t.Errorf("first\n%s\nthen\n%s", first.body, again.body)
		}
		rest := w.do("GET", "/responses/"+id+"?stream=true&starting_after=4", "")
		if at := bytes.Index(first.body, rest.body); at < 0 || !bytes.HasPrefix(events[5].Raw, []byte(`{"type":`)) || !bytes.Contains(rest.body[:300], events[5].Raw[:50]) {
			t.Errorf("after number 4 comes\n%s", rest.body)
		}
		w.do("GET", "/responses/"+id+"?stream=true&starting_after=x", "").is(400, "invalid_value", "starting_after")
		w.do("GET", "/responses/"+id+"?stream=maybe", "").is(400, "invalid_value", "stream")
		plain := w.create(say("", "text Hi."))
		w.do("GET", "/responses/"+plain.ID+"?stream=true", "").is(400, "invalid_value", "stream")
	})
}

func TestABackgroundResponseOutlivesItsClient(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		left := w.doContext(ctx, "POST", "/responses", slow(`"stream":true,`))
		id := responseID(left.body)
		if bytes.Contains(left.body, []byte("two")) || id == "" {
			t.Fatalf("the client got %s", left.body)
		}
		// It comes back while the response is still running, and misses nothing.
		events := w.do("GET", "/responses/"+id+"?stream=true", "").events()
		if final := responsestest.Final(t, events); text(final) != "One, two." {
			t.Errorf("got %+v", final)
		}
	})
}

func TestABackgroundResponseCanBeCancelled(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		r := w.create(slow(""))
		synctest.Wait()
		cancelled := w.do("POST", "/responses/"+r.ID+"/cancel", "").response()
		if cancelled.Status != "cancelled" || text(cancelled) != "One" {
			t.Errorf("cancelled as %+v", cancelled)
		}
		if w.active.Load() != 0 {
			t.Error("the turn goes on")
		}
		if again := w.do("POST", "/responses/"+r.ID+"/cancel", "").response(); again.Status != "cancelled" {
			t.Errorf("then %s", again.Status)
		}
		w.do("GET", "/responses/"+r.ID+"?stream=true", "").events()

		done := w.create(say(`"background":true,`, "text Hi."))
		time.Sleep(time.Second)
		if kept := w.do("POST", "/responses/"+done.ID+"/cancel", "").response(); kept.Status != "completed" {
			t.Errorf("what is done was cancelled: %s", kept.Status)
		}
		foreground := w.create(say("", "text Hi."))
		w.do("POST", "/responses/"+foreground.ID+"/cancel", "").is(400, "invalid_value", "")
		w.do("POST", "/responses/resp_gone/cancel", "").is(404, "", "")
	})
}

func TestADeletedBackgroundResponseStops(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		r := w.create(slow(""))
		synctest.Wait()
		w.do("DELETE", "/responses/"+r.ID, "")
		synctest.Wait()
		if w.active.Load() != 0 {
			t.Error("the turn goes on")
		}
		w.do("GET", "/responses/"+r.ID, "").is(404, "", "")
	})
}

func TestABackgroundFailureIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		for script, code := range map[string]string{"status 503 Busy.": "server_is_overloaded", "error unavailable Gone.": "server_is_overloaded"} {
			r := w.create(say(`"background":true,`, script))
			time.Sleep(time.Second)
			if failed := w.retrieve(r.ID); failed.Status != "failed" || failed.Error.Code != code {
				t.Errorf("%s: kept as %+v", script, failed)
			}
			w.do("GET", "/responses/"+r.ID+"?stream=true", "").events()
		}
	})
}

// A call that a background response ended in waits like any other.
func TestACallOfABackgroundResponseCanBeAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		r := w.create(`{"model":"composer-2.5","background":true,` + readTool + `"input":"Go.\nsim: call read {}\nsim: text Got {result 1}."}`)
		time.Sleep(time.Second)
		call := items(t, w.retrieve(r.ID))[0]
		a := w.do("POST", "/responses", fmt.Sprintf(`{"model":"composer-2.5",%s"previous_response_id":%q,"input":[{"type":"function_call_output","call_id":%q,"output":"one"}]}`, readTool, r.ID, call.CallID))
		if got := text(a.response()); got != "Got one." || a.header.Get("X-Composer-Resume") != "parked" {
			t.Errorf("the model says %q, resumed from %s", got, a.header.Get("X-Composer-Resume"))
		}
	})
}

func TestAShutdownFailsWhatRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.create(slow(""))
		synctest.Wait()
		w.end()
		w = w.again()
		defer w.end()
		if failed := w.retrieve(r.ID); !failed.Interrupted() {
			t.Errorf("kept as %+v", failed)
		}
		w.do("GET", "/responses/"+r.ID+"?stream=true", "").events()
	})
}

func TestWhatADeadProcessRanIsFailed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.create(slow(""))
		time.Sleep(2 * time.Second) // some of its events are written down
		w.die()
		w = w.again()
		defer w.end()
		if now := w.retrieve(r.ID); now.Status != "in_progress" {
			t.Errorf("at once %s: another process might be working on it", now.Status)
		}
		// Who follows its stream sees its end all the same.
		events := w.do("GET", "/responses/"+r.ID+"?stream=true", "").events()
		for _, end := range []responsestest.Response{responsestest.Final(t, events), w.retrieve(r.ID)} {
			if !end.Interrupted() {
				t.Errorf("ended as %+v", end)
			}
		}
	})
}

func TestAnotherProcessSeesAndStopsWhatRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, here *world) {
		defer here.end()
		there := here.again()
		defer there.end()

		r := here.create(slow(""))
		synctest.Wait()
		if seen := there.retrieve(r.ID); seen.Status != "in_progress" {
			t.Errorf("the other process sees %s", seen.Status)
		}
		if final := responsestest.Final(t, there.do("GET", "/responses/"+r.ID+"?stream=true", "").events()); text(final) != "One, two." {
			t.Errorf("the other process streams %+v", final)
		}

		r = here.create(slow(""))
		synctest.Wait()
		if cancelled := there.do("POST", "/responses/"+r.ID+"/cancel", "").response(); cancelled.Status != "cancelled" {
			t.Errorf("the other process cancels it as %s", cancelled.Status)
		}
		time.Sleep(6 * time.Second)
		if here.active.Load() != 0 {
			t.Error("the turn goes on where it runs")
		}
		if kept := here.retrieve(r.ID); kept.Status != "cancelled" {
			t.Errorf("kept as %s", kept.Status)
		}
	})
}

// A job that runs for long keeps its lease; nobody takes it for dead.
func TestALongJobKeepsItsLease(t *testing.T) {
	inBubble(t, func(t *testing.T, here *world) {
		defer here.end()
		there := here.again()
		defer there.end()
		r := here.create(say(`"background":true,`, "text One", "delay 20m", "text , two."))
		time.Sleep(21 * time.Minute)
		if done := there.retrieve(r.ID); done.Status != "completed" || text(done) != "One, two." {
			t.Errorf("kept as %+v", done)
		}
	})
}

// A store that is away for a moment costs nothing of what was said.
func TestABackgroundResponseWaitsForItsStore(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		r := w.create(slow(""))
		time.Sleep(9 * time.Second)
		w.store.dead.Store(true)
		time.Sleep(3 * time.Second)
		w.store.dead.Store(false)
		time.Sleep(3 * time.Second)
		if done := w.retrieve(r.ID); done.Status != "completed" || text(done) != "One, two." {
			t.Errorf("kept as %+v", done)
		}
		w.do("GET", "/responses/"+r.ID+"?stream=true", "").events()
	})
}

// The events of what runs are in memory; an answer without an end must not fill it.
func TestTheEventsOfBackgroundResponsesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		long := w.create(say(`"background":true,`, "delay 1s", "text "+strings.Repeat("x", 1<<20), "text and the end"))
		time.Sleep(9 * time.Second)
		done := w.retrieve(long.ID)
		if done.Status != "failed" || done.Error == nil || !strings.Contains(done.Error.Message, "as many events") {
			t.Errorf("kept as %+v", done)
		}
		w.do("GET", "/responses/"+long.ID+"?stream=true", "").events()
		// There is room again.
		short := w.create(slow(""))
		time.Sleep(11 * time.Second)
		if done := w.retrieve(short.ID); done.Status != "completed" {
			t.Errorf("the next one is %+v", done)
		}
	})
}

func TestBackgroundResponsesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		for range 3 {
			w.create(slow(""))
		}
		w.do("POST", "/responses", slow("")).is(429, "rate_limit_exceeded", "")
		w.create(slow(""), "k:bob")
		w.create(slow(""), "k:bob")
		w.do("POST", "/responses", slow(""), "k:bob").is(503, "server_is_overloaded", "")
		time.Sleep(11 * time.Second)
		w.create(slow(""))
		time.Sleep(11 * time.Second)
	})
}

// A panic ends one background response, which is kept as failed. It takes nothing along: not the process, not the place
// that it had, not the leases of others.
func TestAPanicInABackgroundResponseFailsItAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		other := w.create(slow(""))
		synctest.Wait() // until its turn has begun, which panics would hit otherwise
		w.panics.Store(true)
		for range 3 { // as many as one owner may have
			r := w.create(slow(""), "k:bob")
			synctest.Wait()
			if now := w.do("GET", "/responses/"+r.ID, "", "k:bob").response(); now.Status != "failed" || now.Error == nil || strings.Contains(now.Error.Message, "bug") {
				t.Errorf("kept as %+v", now)
			}
			w.do("GET", "/responses/"+r.ID+"?stream=true", "", "k:bob").events()
		}
		w.panics.Store(false)
		w.create(slow(""), "k:bob")
		time.Sleep(time.Minute)
		if now := w.retrieve(other.ID); now.Status != "completed" {
			t.Errorf("the other one is %+v", now)
		}
		w.end()
		if !strings.Contains(w.log.String(), "a bug") {
			t.Error("the log does not say so")
		}
	})
}
