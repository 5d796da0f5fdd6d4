package service_test

import (
	"bytes"
	"testing"
	"time"

	"composer-api/internal/store"
)

// The end of a response may be stored before its last events are. Who follows it in another process waits for them.
func TestAFollowerElsewhereGetsTheLastEventsAsTheyWere(t *testing.T) {
	inBubble(t, func(t *testing.T, here *world) {
		defer here.end()
		there := here.again()
		defer there.end()
		r := here.create(say(`"background":true,`, "text One", "delay 1s", "text two", "delay 1s", "text three", "delay 100ms", "text four"))
		done := make(chan *answer)
		go func() { done <- there.do("GET", "/responses/"+r.ID+"?stream=true", "") }()
		time.Sleep(1500 * time.Millisecond)
		here.store.fail(outages["unavailable"], appendEvents)
		time.Sleep(2 * time.Second)
		here.store.fail(noFault, appendEvents)
		followed := <-done
		time.Sleep(10 * time.Second)
		if kept := here.do("GET", "/responses/"+r.ID+"?stream=true", ""); !bytes.Equal(followed.body, kept.body) {
			t.Errorf("followed\n%s\nkept\n%s", followed.body, kept.body)
		}
	})
}

// What was deleted through another process ends with its next event, long before its lease is looked after.
func TestWhatIsDeletedElsewhereStopsAtItsNextEvent(t *testing.T) {
	inBubble(t, func(t *testing.T, here *world) {
		defer here.end()
		there := here.again()
		defer there.end()
		script := []string{}
		for range 100 {
			script = append(script, "text x", "delay 100ms")
		}
		r := here.create(say(`"background":true,`, script...))
		time.Sleep(time.Second)
		there.do("DELETE", "/responses/"+r.ID, "")
		time.Sleep(time.Second)
		if here.active.Load() != 0 {
			t.Error("the turn goes on")
		}
	})
}

// Another process may write the row between our reading and our writing.
func TestACancellationThatMeetsAnotherWriteIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, here *world) {
		defer here.end()
		there := here.again()
		defer there.end()
		r := here.create(slow(""))
		time.Sleep(time.Second)
		there.store.fail(fault{err: store.ErrConflict, once: true}, updateResponse)
		if cancelled := there.do("POST", "/responses/"+r.ID+"/cancel", "").response(); cancelled.Status != "cancelled" {
			t.Errorf("cancelled as %s", cancelled.Status)
		}
	})
}
