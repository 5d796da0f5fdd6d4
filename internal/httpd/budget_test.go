package httpd_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/api"
	"composer-api/internal/httpd"
)

// A reader of bodies is a surface that takes a second to decode each body, and notes how much is held at once.
type reader struct {
	held, most atomic.Int64
	decoding   time.Duration
}

func (d *reader) routes() []api.Route {
	return []api.Route{{Pattern: "POST /read", Turn: true, Handle: func(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
		body, err := api.ReadBody(r)
		if err != nil {
			return err
		}
		now := d.held.Add(int64(len(body)))
		d.most.Store(max(d.most.Load(), now))
		time.Sleep(d.decoding)
		d.held.Add(-int64(len(body)))
		api.Decoded(r)
		time.Sleep(time.Minute) // the answer
		return api.WriteJSON(w, []byte("{}"))
	}}}
}

// large is a body of so many megabytes.
func large(megabytes int) string { return `{"x":"` + strings.Repeat("x", megabytes<<20-8) + `"}` }

// postBody sends a body as an owner does, and returns the answer.
func postBody(t *testing.T, s *httpd.Server, owner, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/read", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer crsr_"+owner)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// Large prompts that come at once are read by turns: never more at once than there is memory for, and all of them in the end. What
// an answer takes doesn't count.
func TestLargeBodiesAreReadByTurns(t *testing.T) {
	body := large(30)
	synctest.Test(t, func(t *testing.T) {
		d := &reader{decoding: time.Second}
		s := httpd.New(httpd.Config{Surfaces: d.routes(), BodyMemory: 64 << 20})
		var wg sync.WaitGroup
		began := time.Now()
		for i := range 6 {
			wg.Go(func() {
				if w := postBody(t, s, string(rune('a'+i%3)), body); w.Code != http.StatusOK {
					t.Errorf("status %d: %s", w.Code, w.Body)
				}
			})
		}
		wg.Wait()
		if most := d.most.Load(); most > 2*int64(len(body)) {
			t.Errorf("%d bytes at once, want %d", most, 2*len(body))
		}
		// Two by two, or one after the other where two that have come in part wait for each other's room.
		if took := time.Since(began); took < time.Minute+3*time.Second || took > time.Minute+6*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// Who waits too long is told to come back. Small requests are never held up, and everything is given back.
func TestWithoutRoomLargeBodiesAreRefused(t *testing.T) {
	body := large(20)
	synctest.Test(t, func(t *testing.T) {
		d := &reader{decoding: time.Minute}
		s := httpd.New(httpd.Config{Surfaces: d.routes(), BodyMemory: 32 << 20})
		var wg sync.WaitGroup
		wg.Go(func() {
			if w := postBody(t, s, "ann", body); w.Code != http.StatusOK {
				t.Errorf("the first: status %d", w.Code)
			}
		})
		synctest.Wait()
		began := time.Now()
		w := postBody(t, s, "bob", body)
		if e := errorOf(t, w.Body.Bytes()); w.Code != 503 || w.Header().Get("Retry-After") == "" || e.Code == nil || *e.Code != "server_is_overloaded" {
			t.Errorf("status %d, %v: %s", w.Code, w.Header(), w.Body)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("refused after %v", took)
		}
		d.decoding = 0
		if w := postBody(t, s, "bob", `{"x":1}`); w.Code != http.StatusOK {
			t.Errorf("a small one: status %d", w.Code)
		}
		wg.Wait()
		if w := postBody(t, s, "bob", body); w.Code != http.StatusOK {
			t.Errorf("when there is room: status %d", w.Code)
		}
	})
}

// What counts of a compressed body is what it becomes.
func TestCompressedBodiesCountByWhatTheyBecome(t *testing.T) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	io.WriteString(zip, large(20))
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		d := &reader{decoding: time.Second}
		s := httpd.New(httpd.Config{Surfaces: d.routes(), BodyMemory: 48 << 20})
		var wg sync.WaitGroup
		var fine, refused atomic.Int64
		for _, owner := range []string{"ann", "bob", "eve"} {
			wg.Go(func() {
				switch w := postBody(t, s, owner, packed.String(), "Content-Encoding", "gzip"); w.Code {
				case http.StatusOK:
					fine.Add(1)
				case http.StatusServiceUnavailable:
					refused.Add(1)
				default:
					t.Errorf("status %d: %s", w.Code, w.Body)
				}
			})
		}
		wg.Wait()
		if most := d.most.Load(); most > 48<<20 || fine.Load() == 0 || refused.Load() == 0 {
			t.Errorf("%d bytes at once; %d read, %d refused", most, fine.Load(), refused.Load())
		}
		if w := postBody(t, s, "ann", packed.String(), "Content-Encoding", "gzip"); w.Code != http.StatusOK {
			t.Errorf("when there is room: status %d: %s", w.Code, w.Body)
		}
	})
}

// Whatever becomes of a body, its room is given back.
func TestRoomIsGivenBack(t *testing.T) {
	body := large(20)
	for name, end := range map[string]func(r *http.Request){
		"it ends early": func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(body[:len(body)/2])) },
		"it breaks": func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:1<<20]), broken{}))
		},
		"it is no gzip": func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
		"it has too much": func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(body[:1<<20] + "\"" + strings.Repeat("[", len(body))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := httpd.New(httpd.Config{Surfaces: new(reader).routes(), BodyMemory: 32 << 20})
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/read", strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer crsr_ann")
				r.Header.Set("Content-Type", "application/json")
				end(r)
				s.Handler().ServeHTTP(httptest.NewRecorder(), r)
				began := time.Now()
				if w := postBody(t, s, "bob", body); w.Code != http.StatusOK || time.Since(began) != time.Minute {
					t.Errorf("then: status %d after %v", w.Code, time.Since(began))
				}
			})
		})
	}
}

// broken is a connection that broke.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Messages of WebSockets have the same memory: what one socket holds is not there for bodies, nor for other sockets. One that has no
// room at first waits, and one that outgrows its share is refused.
func TestMessagesOfSocketsShareTheMemoryWithBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		d := &reader{}
		socket := api.Route{Pattern: "GET /socket", Handle: func(w http.ResponseWriter, r *http.Request, call *api.Call) error {
			message := strings.NewReader(large(20))
			if r.URL.RawQuery == "small" {
				message = strings.NewReader(`{"x":"small"}`)
			}
			within, release := call.Within(r.Context(), message)
			defer release()
			data, err := api.ReadAll(within)
			if err != nil {
				return err
			}
			if r.URL.RawQuery == "hold" {
				<-hold
			}
			release() // once more does no harm
			return api.WriteJSON(w, []byte(strconv.Itoa(len(data))))
		}}
		s := httpd.New(httpd.Config{Surfaces: append(d.routes(), socket), BodyMemory: 32 << 20})
		open := func(owner, query string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/socket?"+query, nil)
			r.Header.Set("Authorization", "Bearer crsr_"+owner)
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			return w
		}
		held := make(chan *httptest.ResponseRecorder)
		go func() { held <- open("ann", "hold") }()
		synctest.Wait()
		began := time.Now()
		if w := postBody(t, s, "bob", large(20)); w.Code != http.StatusServiceUnavailable || time.Since(began) != 10*time.Second {
			t.Errorf("a body beside the message: status %d after %v", w.Code, time.Since(began))
		}
		if w := open("bob", ""); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("a message beside the other: status %d, %v", w.Code, w.Header())
		}
		if w := open("bob", "small"); w.Code != http.StatusOK {
			t.Errorf("a small message: status %d", w.Code)
		}
		close(hold)
		if w := <-held; w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != strconv.Itoa(20<<20) {
			t.Errorf("the message that was held: status %d: %s", w.Code, w.Body)
		}
		if w := open("bob", ""); w.Code != http.StatusOK {
			t.Errorf("when there is room: status %d: %s", w.Code, w.Body)
		}
	})
}
