package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses/responsestest"
	"composer-api/internal/api/responses/service"
	"composer-api/internal/backend/demo"
	"composer-api/internal/gateway"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sqlstore"
)

// A world is one process that serves the Responses API: the real gateway and a real database, with the demo backend,
// whose answers the prompts say. Several worlds may share a database, at once or one after the other.
type world struct {
	t       testing.TB
	path    string
	ring    *seal.Ring
	store   *faulty
	db      *sqlstore.DB
	gateway *gateway.Gateway
	service *service.Service
	handler http.Handler
	active  atomic.Int32 // turns in progress
	log     bytes.Buffer // read it when the world has ended
	refuse  atomic.Bool  // refuses further turns on sockets
	panics  atomic.Bool  // turns meet a bug
	full    atomic.Bool  // there is no memory for further messages of sockets
	held    atomic.Int32 // messages of sockets that have memory
	told    atomic.Int32 // failures that clients were told of in their stream

	mu       sync.Mutex
	requests []*agent.Request // what the model was asked, in order
}

// ann asks when a test doesn't say who does.
const ann = "k:ann"

func newWorld(t testing.TB) *world {
	return bornWorld(t, filepath.Join(t.TempDir(), "test.db"), seal.Random())
}

func bornWorld(t testing.TB, path string, ring *seal.Ring) *world {
	t.Helper()
	return worldOn(t, sqlstore.Config{DSN: path}, ring)
}

// worldOn is a world on a database that is used through fronts.
func worldOn(t testing.TB, cfg sqlstore.Config, ring *seal.Ring, fronts ...func(store.Store) store.Store) *world {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var front store.Store = db
	for _, f := range fronts {
		front = f(front)
	}
	w := &world{t: t, path: cfg.DSN, ring: ring, db: db, store: &faulty{Store: front}}
	models := catalog.New(catalog.Config{})
	w.gateway = gateway.New(gateway.Config{Backends: []agent.Backend{demo.New(nil)}, Catalog: models})
	w.service = service.New(service.Config{
		Turns: w, Model: models.Resolve, Store: w.store, Seal: ring, MaxJobs: 5, MaxJobsPerOwner: 3, MaxEventBytes: 1 << 20, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	mux := http.NewServeMux()
	for _, route := range w.service.Routes() {
		mux.HandleFunc(route.Pattern, func(rw http.ResponseWriter, r *http.Request) {
			call := &api.Call{Caller: agent.Caller{Owner: r.Header.Get("X-Owner")}, Attempt: api.Attempt{Name: r.Header.Get("X-Attempt"), Again: r.Header.Get("X-Again") != ""}}
			call.Again = func(context.Context) (*api.Call, func(), error) {
				if w.refuse.Load() {
					return nil, nil, &agent.Error{Code: agent.InvalidKey}
				}
				next := *call
				return &next, func() {}, nil
			}
			call.Within = w.within
			err := route.Handle(rw, r, call)
			var told *api.Told
			switch {
			case err == nil, agent.CodeOf(err) == agent.Canceled:
			case errors.As(err, &told):
				w.told.Add(1)
			default:
				openai.WriteError(rw, err)
			}
		})
	}
	w.handler = mux
	return w
}

// Turn implements service.Turner.
func (w *world) Turn(ctx context.Context, req *agent.Request, sink agent.Sink) error {
	w.mu.Lock()
	w.requests = append(w.requests, req)
	w.mu.Unlock()
	if w.panics.Load() {
		panic("a bug")
	}
	w.active.Add(1)
	defer w.active.Add(-1)
	return w.gateway.Turn(ctx, req, sink)
}

// within counts messages of sockets, and has no room for some, as httpd's budget does.
func (w *world) within(_ context.Context, message io.Reader) (io.Reader, func()) {
	if w.full.Load() {
		return io.MultiReader(io.LimitReader(message, 4), iotest.ErrReader(&agent.Error{Code: agent.Overloaded, RetryAfter: 5 * time.Second})), func() {}
	}
	w.held.Add(1)
	return message, sync.OnceFunc(func() { w.held.Add(-1) })
}

// end shuts the world down in good order.
func (w *world) end() {
	w.t.Helper()
	w.service.Close()
	if err := w.gateway.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
	if err := w.db.Close(); err != nil {
		w.t.Error(err)
	}
	for _, said := range []string{"Please.", "sim:", "text Hi", "hunter2"} {
		if strings.Contains(w.log.String(), said) {
			w.t.Errorf("the log holds %q:\n%s", said, &w.log)
		}
	}
}

// die ends the world as a lost machine does: nothing more is written.
func (w *world) die() {
	w.t.Helper()
	w.store.dead.Store(true)
	w.end()
}

// again is the next process on the same database.
func (w *world) again() *world { return bornWorld(w.t, w.path, w.ring) }

// An answer is what the client got.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// do sends a request as ann, or as owner[0].
func (w *world) do(method, path, body string, owner ...string) *answer {
	w.t.Helper()
	return w.doContext(context.Background(), method, path, body, owner...)
}

func (w *world) doContext(ctx context.Context, method, path, body string, owner ...string) *answer {
	w.t.Helper()
	req := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	req.Header.Set("X-Owner", append(owner, ann)[0])
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	return &answer{w.t, rec.Code, rec.Header(), rec.Body.Bytes()}
}

// attempt sends a request to make a response as one of several attempts; again says that there was one before.
func (w *world) attempt(name string, again bool, body string) *answer {
	w.t.Helper()
	req := httptest.NewRequestWithContext(context.Background(), "POST", "/responses", strings.NewReader(body))
	req.Header.Set("X-Owner", ann)
	req.Header.Set("X-Attempt", name)
	if again {
		req.Header.Set("X-Again", "yes")
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	return &answer{w.t, rec.Code, rec.Header(), rec.Body.Bytes()}
}

// create makes a response and returns it.
func (w *world) create(body string, owner ...string) responsestest.Response {
	w.t.Helper()
	return w.do("POST", "/responses", body, owner...).response()
}

// retrieve gets a stored response.
func (w *world) retrieve(id string) responsestest.Response {
	w.t.Helper()
	return w.do("GET", "/responses/"+id, "").response()
}

// response is the answer as a valid response object.
func (a *answer) response() responsestest.Response {
	a.t.Helper()
	if a.status != http.StatusOK {
		a.t.Fatalf("status %d: %s", a.status, a.body)
	}
	responsestest.Valid(a.t, "response", a.body)
	var r responsestest.Response
	if err := json.Unmarshal(a.body, &r); err != nil {
		a.t.Fatal(err)
	}
	return r
}

// events is the answer as a valid stream.
func (a *answer) events() []responsestest.Event {
	a.t.Helper()
	if a.status != http.StatusOK {
		a.t.Fatalf("status %d: %s", a.status, a.body)
	}
	return responsestest.Stream(a.t, a.body)
}

// is checks that the answer is a valid error.
func (a *answer) is(status int, code, param string) {
	a.t.Helper()
	var doc struct {
		Error struct{ Code, Param *string }
	}
	responsestest.Valid(a.t, "error", a.body)
	if err := json.Unmarshal(a.body, &doc); err != nil {
		a.t.Fatalf("not an error: %s", a.body)
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	if a.status != status || text(doc.Error.Code) != code || text(doc.Error.Param) != param {
		a.t.Errorf("status %d, want %d with code %q and param %q: %s", a.status, status, code, param, a.body)
	}
}

// document is the answer as a valid document of another kind.
func document[T any](a *answer, def string) T {
	a.t.Helper()
	if a.status != http.StatusOK {
		a.t.Fatalf("status %d: %s", a.status, a.body)
	}
	responsestest.Valid(a.t, def, a.body)
	var v T
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatal(err)
	}
	return v
}

// text is what the messages of a response say.
func text(r responsestest.Response) string {
	var b strings.Builder
	for _, raw := range r.Output {
		var item struct {
			Content []struct{ Text string }
		}
		json.Unmarshal(raw, &item)
		for _, part := range item.Content {
			b.WriteString(part.Text)
		}
	}
	return b.String()
}

// An outputItem is what tests look at of an item.
type outputItem struct {
	ID, Type, Name, Status string
	CallID                 string `json:"call_id"`
	EncryptedContent       string `json:"encrypted_content"`
}

func items(t testing.TB, r responsestest.Response) []outputItem {
	t.Helper()
	list := make([]outputItem, len(r.Output))
	for i, raw := range r.Output {
		if err := json.Unmarshal(raw, &list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// quote is s as a JSON string.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(s)
	return strings.TrimSpace(b.String())
}

// say is a request whose answer is fixed: the lines are the demo backend's script.
func say(members string, script ...string) string {
	prompt := "Please.\nsim: " + strings.Join(script, "\nsim: ")
	return `{"model":"composer-2.5",` + members + `"input":` + quote(prompt) + `}`
}
