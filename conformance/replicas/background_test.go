package replicas

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// words is how many pieces of text the model says in a background response; then it says nothing until it is ended.
const words = 20

// slowWords is what the model says: a word every 150 ms.
func slowWords() string {
	var b strings.Builder
	b.WriteString("turn always\n")
	for i := range words {
		fmt.Fprintf(&b, "text word%d\ndelay 150ms\n", i)
	}
	b.WriteString("hold\n")
	return b.String()
}

// A followed is a stream as one follower got it.
type followed struct {
	events []string    // whole
	at     []time.Time // when each came
}

// follow reads the stream of a response at a base URL to its end. come is called with each event.
func (c *cluster) follow(base, id string, come func(event string)) (f followed, err error) {
	resp, err := c.request(c.t.Context(), http.MethodGet, base+"/responses/"+id+"?stream=true", cursorKey, "")
	if err != nil {
		return f, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if event, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			f.events, f.at = append(f.events, event), append(f.at, time.Now())
			come(event)
		}
	}
	return f, lines.Err()
}

// later is how much later each event came to f than to first, in order of size.
func (f *followed) later(first *followed) (late []time.Duration) {
	for i := range f.at {
		late = append(late, f.at[i].Sub(first.at[i]))
	}
	slices.Sort(late)
	return late
}

// TestABackgroundResponseOnEveryReplica: it is followed on all three at once, and cancelled on one that does not run it. All
// followers get the same events, the last of which says that it is cancelled; and upstream hears of it.
func TestABackgroundResponseOnEveryReplica(t *testing.T) {
	c := newCluster(t, harness.NewPostgres(t), 3, "10s")
	c.sim.Play(slowWords())
	a := c.ask(http.MethodPost, c.replicas[0].BaseURL()+"/responses", cursorKey, `{"model":"composer-2.5","background":true,"input":"talk"}`)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || !a.ok() || made.ID == "" {
		t.Fatalf("%+v", a)
	}

	streams := make([]followed, len(c.replicas))
	var all, said sync.WaitGroup
	said.Add(len(streams)) // each has got the last word
	for i := range streams {
		all.Go(func() {
			last := sync.OnceFunc(said.Done)
			defer last()
			f, err := c.follow(c.replicas[i].BaseURL(), made.ID, func(event string) {
				if isLastWord(event) {
					last()
				}
			})
			if err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
			streams[i] = f
		})
	}
	said.Wait()
	begin := time.Now()
	cancelled := c.ask(http.MethodPost, c.replicas[2].BaseURL()+"/responses/"+made.ID+"/cancel", cursorKey, "")
	if !cancelled.ok() || !strings.Contains(cancelled.body, `"status":"cancelled"`) {
		t.Errorf("cancel: %+v", cancelled)
	}
	answered := time.Since(begin)
	runs := c.sim.AwaitIdle()
	ended := time.Since(begin)
	all.Wait()
	if len(runs) != 1 || runs[0].End != "left" {
		t.Errorf("the run: %s", harness.Summary(runs))
	}
	for i, f := range streams {
		if len(f.events) == 0 || !slices.Equal(f.events, streams[0].events) {
			t.Errorf("replica %d gave %d events, not the %d of the one that ran it; the last are %q and %q", i, len(f.events), len(streams[0].events), tail(f.events), tail(streams[0].events))
			continue
		}
		if end := f.events[max(0, len(f.events)-2)]; !strings.Contains(end, `"status":"cancelled"`) {
			t.Errorf("replica %d: the end is %s", i, end)
		}
		late := f.later(&streams[0])
		t.Logf("replica %d: events come later than on the one that runs it by %v (half of them), %v (the last), the end %v after the cancel",
			i, late[len(late)/2].Round(time.Millisecond), late[len(late)-1].Round(time.Millisecond), f.at[len(f.at)-1].Sub(begin).Round(time.Millisecond))
	}
	t.Logf("cancelled elsewhere: answered after %v, ended upstream after %v", answered.Round(time.Millisecond), ended.Round(time.Millisecond))
}

// isLastWord reports whether an event is the model's last word.
func isLastWord(event string) bool { return strings.Contains(event, fmt.Sprintf("word%d\"", words-1)) }

// tail is the last of the events.
func tail(events []string) string { return strings.Join(events[max(0, len(events)-1):], "") }
