package service_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/api/responses/responsestest"
)

// A background response that is not to be stored can be fetched for ten minutes after its end, from the process that it
// ran in, and never reaches the disk.
func TestABackgroundResponseThatIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		const secret = "xyzzy-plugh-quux"
		r := w.create(say(`"background":true,"store":false,`, "text "+secret, "delay 10s", "text ."))
		if r.Status != "queued" || r.Store {
			t.Errorf("answered as %s, store: %v", r.Status, r.Store)
		}
		w.do("GET", "/responses/"+r.ID, "", "k:bob").is(404, "", "")
		other := w.again()
		other.do("GET", "/responses/"+r.ID, "").is(404, "", "")
		other.end()

		time.Sleep(11 * time.Second)
		if now := w.retrieve(r.ID); now.Status != "completed" || text(now) != secret+"." || now.Store {
			t.Errorf("in the end %+v", now)
		}
		events := w.do("GET", "/responses/"+r.ID+"?stream=true", "").events()
		if final := responsestest.Final(t, events); final.Status != "completed" {
			t.Errorf("its stream ends as %s", final.Status)
		}
		after := w.do("GET", "/responses/"+r.ID+"?stream=true&starting_after=2", "")
		if n := strings.Count(string(after.body), "event: "); n != len(events)-3 {
			t.Errorf("%d events after the third of %d", n, len(events))
		}
		if page := document[itemPage](w.do("GET", "/responses/"+r.ID+"/input_items", ""), "itemList"); len(page.Data) != 1 {
			t.Errorf("its input: %+v", page)
		}
		w.do("POST", "/responses", fmt.Sprintf(`{"model":"composer-2.5","previous_response_id":%q,"input":"go on"}`, r.ID)).
			is(400, "previous_response_not_found", "previous_response_id")

		time.Sleep(9 * time.Minute)
		w.retrieve(r.ID) // does not make it live longer
		time.Sleep(time.Minute)
		w.do("GET", "/responses/"+r.ID, "").is(404, "", "")
		w.do("GET", "/responses/"+r.ID+"?stream=true", "").is(404, "", "")
		w.end()
		files, err := filepath.Glob(w.path + "*")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			if data, err := os.ReadFile(file); err != nil || strings.Contains(string(data), secret) || strings.Contains(string(data), r.ID) {
				t.Errorf("%s holds what was not to be stored (%v)", filepath.Base(file), err)
			}
		}
	})
}

func TestABackgroundResponseThatIsNotStoredCanBeCancelledAndDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		r := w.create(slow(`"store":false,`))
		time.Sleep(time.Second)
		if now := w.do("POST", "/responses/"+r.ID+"/cancel", "").response(); now.Status != "cancelled" || text(now) != "One" {
			t.Errorf("cancelled: %+v", now)
		}
		streamed := make(chan *answer)
		go func() { streamed <- w.do("POST", "/responses", slow(`"store":false,"stream":true,`)) }()
		time.Sleep(time.Second)
		synctest.Wait()
		running := w.create(slow(`"store":false,`))
		time.Sleep(6 * time.Second) // a renewal of the leases
		document[map[string]any](w.do("DELETE", "/responses/"+running.ID, ""), "deleted")
		w.do("GET", "/responses/"+running.ID, "").is(404, "", "")
		time.Sleep(10 * time.Second)
		if n := w.active.Load(); n != 0 {
			t.Errorf("%d turns are still going on", n)
		}
		want := []string{"response.created", "response.queued", "response.in_progress"}
		if diff := cmp.Diff(want, responsestest.Types((<-streamed).events())[:3]); diff != "" {
			t.Error(diff)
		}
	})
}
