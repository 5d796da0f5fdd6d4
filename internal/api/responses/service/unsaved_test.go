package service_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/store"
)

// What a background response has ended with while the store could not be written. Whoever was shown that end goes on from it.

// after is a request that continues a response.
func after(id, script string) string {
	return say(fmt.Sprintf(`"previous_response_id":%q,`, id), script)
}

// endsUnsaved makes a background response that has ended and can't be stored: only reading and new rows work. It is read as
// completed.
func (w *world) endsUnsaved() (id string) {
	w.t.Helper()
	r := w.create(slow(""))
	time.Sleep(8 * time.Second)
	w.store.fail(outages["unavailable"], updateResponse)
	time.Sleep(5 * time.Second)
	if now := w.retrieve(r.ID); now.Status != "completed" {
		w.t.Fatalf("the test proves nothing: %+v", now)
	}
	if row, err := w.db.Response(w.t.Context(), ann, r.ID); err != nil || row.Status != "in_progress" {
		w.t.Fatalf("the test proves nothing: stored as %s, %v", row.Status, err)
	}
	return r.ID
}

// messages is how many messages the model was shown last.
func (w *world) messages() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.requests[len(w.requests)-1].Messages)
}

func TestEverybodySeesAnEndThatWaitsForTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		first := w.endsUnsaved()
		began := time.Now()
		second := w.create(after(first, "text Two."))
		third := w.create(after(second.ID, "text Three.")) // the first is now what another one continues
		if text(third) != "Three." || w.messages() != 5 {
			t.Errorf("the third is %+v, after %d messages", third, w.messages())
		}
		listed := string(w.do("GET", "/responses/"+third.ID+"/input_items?order=asc", "").body)
		if one, two := strings.Index(listed, "One, two."), strings.Index(listed, `"Two."`); one < 0 || two < one {
			t.Errorf("its input items are %s", listed)
		}
		if a := w.do("POST", "/responses/input_tokens", fmt.Sprintf(`{"previous_response_id":%q,"input":"Hi"}`, second.ID)); a.status != 200 {
			t.Errorf("its tokens: %d %s", a.status, a.body)
		}
		if a := w.do("POST", "/responses/compact", after(second.ID, "text A summary.")); a.status != 200 {
			t.Errorf("compacted: %d %s", a.status, a.body)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it waited for %v", took)
		}
		w.store.fail(noFault, allMethods()...)
		time.Sleep(10 * time.Second)
		w.isWhole(first, "One, two.")
	})
}

// Another process knows no more than the store. It waits for as long as it takes the first one to write an end down.
func TestAnEndOfAnotherProcessIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, here *world) {
		defer here.end()
		there := here.again()
		defer there.end()
		first := here.endsUnsaved()
		began := time.Now()
		there.do("POST", "/responses", after(first, "text x")).is(400, "invalid_value", "previous_response_id")
		if took := time.Since(began); took < 5*time.Second || took > 7*time.Second {
			t.Errorf("it was refused after %v", took)
		}
		here.store.fail(noFault, allMethods()...)
		if second := there.create(after(first, "text Two.")); text(second) != "Two." || there.messages() != 3 {
			t.Errorf("%+v, after %d messages", second, there.messages())
		}
	})
}

// What is deleted is gone at once, also while its end waits.
func TestAnEndThatWaitsIsDeleted(t *testing.T) {
	t.Run("after it could be stored", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			defer w.end()
			first := w.endsUnsaved()
			second := w.create(after(first, "text Two."))
			w.store.fail(noFault, allMethods()...)
			w.do("DELETE", "/responses/"+first, "")
			w.do("GET", "/responses/"+first, "").is(404, "", "")
			if third := w.create(after(second.ID, "text Three.")); text(third) != "Three." || w.messages() != 5 {
				t.Errorf("what went on from it: %+v, after %d messages", third, w.messages())
			}
		})
	})
	t.Run("and never stored", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			defer w.end()
			first := w.endsUnsaved()
			second := w.create(after(first, "text Two."))
			w.do("DELETE", "/responses/"+first, "")
			w.do("GET", "/responses/"+first, "").is(404, "", "")
			w.store.fail(noFault, allMethods()...)
			time.Sleep(10 * time.Second)
			// Its words are lost, and half a conversation is none.
			w.do("POST", "/responses", after(second.ID, "text x")).is(400, "previous_response_not_found", "previous_response_id")
			if a := w.do("GET", "/responses/"+second.ID+"/input_items", ""); a.status != 200 {
				t.Errorf("its input items: %d %s", a.status, a.body)
			}
		})
	})
}

// A conversation has the words of a response that its client has seen the end of, or can't be read.
func TestAConversationHasWhatWaitsForTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		c := w.converse(``)
		r := w.create(fmt.Sprintf(`{"model":"composer-2.5","background":true,"conversation":%q,"input":"Go.\nsim: text One\nsim: delay 10s\nsim: text , two."}`, c.ID))
		time.Sleep(8 * time.Second)
		w.store.fail(fault{err: store.ErrUnavailable}, addParts)
		time.Sleep(5 * time.Second)
		if now := w.retrieve(r.ID); now.Status != "completed" {
			t.Fatalf("the test proves nothing: %+v", now)
		}
		w.do("POST", "/responses", in(c.ID, "", "And?", "Three.")).is(503, "server_is_overloaded", "")
		w.store.fail(noFault, allMethods()...)
		if next := w.create(in(c.ID, "", "And?", "Three.")); text(next) != "Three." || w.messages() != 3 {
			t.Errorf("%+v, after %d messages", next, w.messages())
		}
		if diff := cmp.Diff([]string{"user: Go.", "assistant: One, two.", "user: And?", "assistant: Three."}, w.said(c.ID)); diff != "" {
			t.Error(diff)
		}
	})
}
