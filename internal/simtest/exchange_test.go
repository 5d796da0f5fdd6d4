package simtest

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// exchanges is what goes wrong where keys are exchanged for access tokens: it stands before the simulated Cursor. It is safe for
// concurrent use.
type exchanges struct {
	mu    sync.Mutex
	seen  map[string]int // exchanges of each key
	fails []*failedExchange
}

// A failedExchange is one that has failed or is about to. Requests wait for it that came after it had begun.
type failedExchange struct {
	key          string
	began, ended time.Time // ended is zero before
}

// before is the simulated Cursor with all that goes wrong before it.
func (e *exchanges) before(w *world) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth/exchange_user_api_key" {
			if kind, failed := e.meets(w.plan, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); kind != "" {
				defer func() {
					e.mu.Lock()
					defer e.mu.Unlock()
					failed.ended = time.Now().Add(2 * w.plan.Latency) // when the gateway knows it
				}()
				w.say("upstream", "an exchange of a key fails: %s", kind)
				w.situation("exchange " + kind + " × " + w.plan.Upstream)
				failExchange(kind, rw, r)
				return
			}
		}
		w.sim.ServeHTTP(rw, r)
	})
}

// meets counts an exchange of a key, and says what goes wrong with it; "" when nothing does. Of people who share a key, the first
// decides.
func (e *exchanges) meets(p *plan, key string) (kind string, failed *failedExchange) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen == nil {
		e.seen = map[string]int{}
	}
	n := e.seen[key]
	e.seen[key]++
	for _, who := range p.People {
		if f := who.Exchange; f != nil && keyOf(who.Key) == key {
			if n < f.Word || n >= f.Word+f.Times {
				return "", nil
			}
			failed = &failedExchange{key: key, began: time.Now()}
			e.fails = append(e.fails, failed)
			return f.Kind, failed
		}
	}
	return "", nil
}

// failed is how many failing exchanges of a key were under way between two times. Each takes one of a turn's retries.
func (e *exchanges) failed(key int, from, to time.Time) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.fails {
		if f.key == keyOf(key) && !f.began.After(to) && (f.ended.IsZero() || !f.ended.Before(from)) {
			n++
		}
	}
	return n
}

// failExchange is one of exchangeFaults.
func failExchange(kind string, w http.ResponseWriter, r *http.Request) {
	switch kind {
	case "status 500":
		http.Error(w, `{"code":"internal","message":"simulated"}`, http.StatusInternalServerError)
	case "status 503":
		http.Error(w, `{"code":"unavailable","message":"simulated"}`, http.StatusServiceUnavailable)
	case "reset":
		panic(http.ErrAbortHandler)
	case "silent": // until the client gives up, which is noticed once its request has been read
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	default:
		panic("no fault of an exchange is called " + kind)
	}
}
