package replicas

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// Three replicas behind nginx, which sends each request to the next one, and clients in the middle of tool loops while
// replicas are killed and started again.

// What a completion says, as far as a loop needs it.
type completion struct {
	Choices []struct {
		Message struct {
			Content   string            `json:"content"`
			ToolCalls []json.RawMessage `json:"tool_calls"`
		} `json:"message"`
	} `json:"choices"`
}

// calls is how many tool calls the model makes in a loop, one after the other.
const calls = 4

// A tally is what came of many loops. It is safe for concurrent use.
type tally struct {
	mu       sync.Mutex
	loops    int            // that have ended with the right answer
	parked   int            // of these, all of whose results found their run
	resumed  map[string]int // how requests went on
	again    int            // requests that were sent again
	failures []error
	// result, when not nil, is told of each result that has found its run, and how many have.
	result func(found int)
}

// asked counts a request, by its answer's header.
func (t *tally) asked(how string, tries int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.resumed == nil {
		t.resumed = map[string]int{}
	}
	t.resumed[how]++
	t.again += tries - 1
	if how == "parked" && t.result != nil {
		t.result(t.resumed[how])
	}
}

// ended counts a loop.
func (t *tally) ended(n int, parked bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		t.failures = append(t.failures, fmt.Errorf("loop %d: %w", n, err))
	case parked:
		t.parked++
		fallthrough
	default:
		t.loops++
	}
}

// check fails the test for every loop that did not end well.
func (t *tally) check(test *testing.T) {
	test.Helper()
	for i, err := range t.failures {
		if i == 5 {
			test.Errorf("and %d more", len(t.failures)-i)
			return
		}
		test.Error(err)
	}
}

// loop is one client: it answers each call with a text of its own, until the model is done. Its tool takes think, or half of
// that.
func (c *cluster) loop(n int, think time.Duration, into *tally) {
	parked, err := c.runLoop(n, think, into)
	into.ended(n, parked, err)
}

// runLoop reports whether the loop was one run from beginning to end. The error is that it got a wrong answer, or none.
func (c *cluster) runLoop(n int, think time.Duration, into *tally) (parked bool, err error) {
	script := ""
	for i := range calls {
		script += fmt.Sprintf("sim: call look {\\\"at\\\":%d}\\n", i)
	}
	messages := fmt.Sprintf(`{"role":"user","content":"loop %d\n%ssim: text done {results}"}`, n, script)
	const tools = `"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]`
	var last string
	parked = true
	for step := range 20 * calls { // a run that is begun again makes its calls again
		a, tries := c.insist(http.MethodPost, "/v1/chat/completions", cursorKey, `{"model":"composer-2.5","messages":[`+messages+`],`+tools+`}`)
		if !a.ok() {
			return false, fmt.Errorf("step %d: status %d, %v: %s", step, a.status, a.err, a.body)
		}
		how := a.header.Get("X-Composer-Resume")
		into.asked(how, tries)
		parked = parked && (step == 0 || how == "parked")
		var said completion
		if err := json.Unmarshal([]byte(a.body), &said); err != nil || len(said.Choices) != 1 {
			return false, fmt.Errorf("step %d: %v: %s", step, err, a.body)
		}
		message := said.Choices[0].Message
		if len(message.ToolCalls) == 0 {
			if !strings.Contains(message.Content, "done") || !strings.Contains(message.Content, last) {
				return false, fmt.Errorf("it ended with %q, and the last result was %q", message.Content, last)
			}
			return parked, nil
		}
		if think > 0 {
			c.wait(think/2 + rand.N(think/2))
		}
		var made []string
		var results []string
		for _, call := range message.ToolCalls {
			var id struct{ ID string }
			if err := json.Unmarshal(call, &id); err != nil {
				return false, err
			}
			last = fmt.Sprintf("result %d of loop %d", step, n)
			made = append(made, string(call))
			results = append(results, fmt.Sprintf(`{"role":"tool","tool_call_id":%q,"content":%q}`, id.ID, last))
		}
		messages += fmt.Sprintf(`,{"role":"assistant","content":%q,"tool_calls":[%s]},%s`, message.Content, strings.Join(made, ","), strings.Join(results, ","))
	}
	return false, fmt.Errorf("it did not end")
}

// TestToolLoopsOnThreeReplicas: with all replicas alive each loop is one upstream run, although nginx sends each request
// to another replica. With replicas that are killed, every loop still ends with the right answer. The storm does more of it.
func TestToolLoopsOnThreeReplicas(t *testing.T) {
	c := newCluster(t, harness.NewPostgres(t), 3, "10s")
	const loops = 30
	run := func(from int, into *tally) {
		var wg sync.WaitGroup
		for n := range loops {
			wg.Go(func() { c.loop(from+n, 0, into) })
		}
		wg.Wait()
		into.check(t)
	}

	var calm tally
	run(0, &calm)
	runs := len(c.sim.Runs())
	t.Logf("%d loops of %d calls each: %d upstream runs, requests went on as %v", loops, calls, runs, calm.resumed)
	// On a machine that is very busy, the database may not answer within two seconds, or a replica within a half. Then a loop begins
	// again, and the log says why.
	slow := 0
	for _, r := range c.replicas {
		for _, why := range []string{"other replicas can't know", "which replica holds a run is not known", "a replica can't be reached"} {
			slow += strings.Count(r.Output(), why)
		}
	}
	switch {
	case slow > 0:
		t.Logf("the machine was too slow %d times: the figures say nothing", slow)
	case calm.resumed["parked"] < loops*calls || runs > loops:
		t.Errorf("that are more runs than loops")
	}

	// A replica is killed whenever as many results have found their run as there are loops: each time in the middle of all.
	kill := make(chan struct{}, 1)
	killed := tally{result: func(found int) {
		if found%loops == loops/2 {
			select {
			case kill <- struct{}{}:
			default: // one is on its way
			}
		}
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(loops, &killed)
	}()
	kills := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-kill:
			i := kills % len(c.replicas)
			c.replicas[i].Kill()
			c.start(i)
			kills++
		}
	}
	if kills == 0 {
		t.Error("no replica was killed")
	}
	t.Logf("%d loops of %d calls each while replicas were killed %d times: requests went on as %v", loops, calls, kills, killed.resumed)
	if v := c.sim.Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
}
