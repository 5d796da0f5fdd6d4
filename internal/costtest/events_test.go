package costtest

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"testing"
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

// An event allocates nothing between upstream's stream and the client's. Client and upstream live in this process, too; what
// HTTP/2 costs them is measured without the gateway and taken off.
func TestAnEventAllocatesNothing(t *testing.T) {
	w := newWorld(t, asManyWords)
	const few, many = 500, 4500
	// The upstream's server starts a goroutine for a frame now and then, so of several measurements the least counts.
	perEvent := func(ask func(n int)) float64 {
		ask(few) // what is made once
		least := math.Inf(1)
		for range 3 {
			less, _ := allocated(func() { ask(few) })
			more, _ := allocated(func() { ask(many) })
			least = min(least, (float64(more)-float64(less))/(many-few))
		}
		return least
	}
	whole := perEvent(func(n int) {
		answer := w.ask(t, request(message{Role: "user", Content: fmt.Sprintf("say %d words", n)}))
		if got := bytes.Count(answer, []byte(`"content":"`)); got < n {
			t.Fatalf("%d chunks of %d", got, n)
		}
	})
	bare := perEvent(func(n int) { w.upstream(t, fmt.Appendf(nil, "say %d words", n)) })
	t.Logf("%.3f allocations an event, %.3f of them without the gateway", whole, bare)
	if whole-bare > 0.6 { // an allocation an event would be 1
		t.Errorf("the gateway makes %.3f allocations an event", whole-bare)
	}
}

// maxPerRequest is about a fifth more than a request with a short prompt allocates today, client and upstream included.
const maxPerRequest = 720

func TestAShortRequestAllocatesLittle(t *testing.T) {
	w := newWorld(t, asManyWords)
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
	if objects/n > maxPerRequest {
		t.Errorf("%d allocations a request, more than %d", objects/n, maxPerRequest)
	}
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
