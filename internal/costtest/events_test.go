package costtest

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"composer-api/internal/traces"
)

var asked = regexp.MustCompile(`say ([0-9]+) words`)

// asManyWords is an upstream that says as many words as its prompt asks for.
func asManyWords(prompt []byte, _ io.Reader, out *voice) {
	if m := asked.FindSubmatch(prompt); m != nil {
		n, _ := strconv.Atoi(string(m[1]))
		out.words(n)
	}
	out.end()
}

// allocated is how many allocations, and bytes, do takes in the whole process.
func allocated(do func()) (objects, size uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// An event allocates nothing between upstream's stream and the client's. What HTTP allocates for a frame depends on how the
// goroutines meet, so only what our own packages allocate is counted, by the profile of memory.
func TestAnEventAllocatesNothing(t *testing.T) {
	for name, traced := range map[string]func(testing.TB) *traces.Traces{"without traces": func(testing.TB) *traces.Traces { return nil }, "with traces": newTraces} {
		t.Run(name, func(t *testing.T) { eventAllocatesNothing(t, newTracedWorld(t, asManyWords, traced(t))) })
	}
}

func eventAllocatesNothing(t *testing.T, w *world) {
	defer func(rate int) { runtime.MemProfileRate = rate }(runtime.MemProfileRate)
	runtime.MemProfileRate = 1 // every allocation
	ask := func(n int) map[string]int64 {
		before := ownAllocations()
		answer := w.ask(t, request(message{Role: "user", Content: fmt.Sprintf("say %d words", n)}))
		if got := bytes.Count(answer, []byte(`"content":"`)); got < n {
			t.Fatalf("%d chunks of %d", got, n)
		}
		made := ownAllocations()
		for name, n := range before {
			made[name] -= n
		}
		return made
	}
	const few, many = 500, 4500
	ask(many) // what is made once, and what was to be allocated until the new rate counts
	less, more := ask(few), ask(many)
	perEvent := 0.0
	for name := range more {
		if each := float64(more[name]-less[name]) / (many - few); each > 0.02 {
			t.Logf("%.3f allocations an event: %s", each, name)
			perEvent += each
		}
	}
	if perEvent > 0.75 { // an allocation an event would be 1; the race detector lets pools forget a quarter
		t.Errorf("the gateway makes %.3f allocations an event", perEvent)
	}
	if total := sum(more); total == 0 {
		t.Error("nothing was counted")
	}
}

// ownAllocations is how many allocations the product's own functions have made so far, by function: those that they asked
// for themselves, or by way of a library other than net/http. The names end with the line.
func ownAllocations() map[string]int64 {
	runtime.GC() // the profile knows what was allocated before the last collection but one
	runtime.GC()
	records := make([]runtime.MemProfileRecord, 0)
	for n, ok := runtime.MemProfile(nil, true); !ok; {
		records = make([]runtime.MemProfileRecord, n+100)
		n, ok = runtime.MemProfile(records, true)
		records = records[:min(n, len(records))]
	}
	made := map[string]int64{}
	for _, record := range records {
		frames := runtime.CallersFrames(record.Stack())
		for more := true; more; {
			var frame runtime.Frame
			frame, more = frames.Next()
			if strings.HasPrefix(frame.Function, "net/http.") || strings.HasPrefix(frame.Function, "net/http/") ||
				strings.HasPrefix(frame.Function, "composer-api/internal/costtest.") {
				break
			}
			if strings.HasPrefix(frame.Function, "composer-api/") {
				made[fmt.Sprintf("%s:%d", frame.Function, frame.Line)] += record.AllocObjects
				break
			}
		}
	}
	return made
}

// sum adds up all values.
func sum(of map[string]int64) (all int64) {
	for _, n := range of {
		all += n
	}
	return all
}

// maxPerRequest is about a quarter more than a request with a short prompt allocates today, client and upstream included.
const maxPerRequest = 665

// maxPerTrace is as much more with traces, what sends them included.
const maxPerTrace = 200

func TestAShortRequestAllocatesLittle(t *testing.T) {
	plain := perRequest(t, newWorld(t, asManyWords))
	traced := perRequest(t, newTracedWorld(t, asManyWords, newTraces(t)))
	t.Logf("%d allocations a request, and %d with traces", plain, traced)
	if plain > maxPerRequest {
		t.Errorf("%d allocations a request, more than %d", plain, maxPerRequest)
	}
	if traced > maxPerRequest+maxPerTrace {
		t.Errorf("%d allocations a request with traces, more than %d", traced, maxPerRequest+maxPerTrace)
	}
}

// perRequest is how many allocations a request with a short prompt takes.
func perRequest(t *testing.T, w *world) uint64 {
	t.Helper()
	body := request(message{Role: "user", Content: "say 3 words"})
	const n = 200
	ask := func() {
		for range n {
			w.ask(t, body)
		}
	}
	ask()
	objects, size := allocated(ask)
	t.Logf("%d allocations, %d bytes a request", objects/n, size/n)
	return objects / n
}

// Nothing of a finished stream stays: neither memory nor goroutines.
func TestFinishedStreamsLeaveNothing(t *testing.T) {
	w := newWorld(t, asManyWords)
	body := request(message{Role: "user", Content: "say 1 words"})
	ask := func(n int) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range n / 4 {
					w.ask(t, body)
				}
			})
		}
		all.Wait()
	}
	ask(finished / 10) // pools and caches fill up
	goroutines, memory := runtime.NumGoroutine(), live()
	ask(finished)
	after := live()
	if grown := int64(after) - int64(memory); grown > finished*64 {
		t.Errorf("%d bytes more after %d streams", grown, finished)
	}
	// The last handlers may still be returning.
	for range 1_000_000 {
		if runtime.NumGoroutine() <= goroutines+4 {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d goroutines, there were %d", runtime.NumGoroutine(), goroutines)
}

// live is how many bytes are in use. Pools give up what they have in the second collection.
func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
