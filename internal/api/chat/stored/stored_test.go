package stored_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/chat"
	"composer-api/internal/api/chat/stored"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/published"
	"composer-api/internal/backend/demo"
	"composer-api/internal/gateway"
	"composer-api/internal/store"
	"composer-api/internal/store/sqlstore"
)

// A world serves chat completions with the real gateway and a real database; the demo backend says what the prompt asks
// for.
type world struct {
	*testing.T
	path    string
	db      store.Store
	handler http.Handler
}

func newWorld(t *testing.T, front func(store.Store) store.Store) *world {
	t.Helper()
	w := &world{T: t, path: filepath.Join(t.TempDir(), "test.db")}
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: w.path})
	if err != nil {
		t.Fatal(err)
	}
	w.db = db
	if front != nil {
		w.db = front(db)
	}
	g := gateway.New(gateway.Config{Backends: []agent.Backend{demo.New(nil)}})
	shelf := stored.New(stored.Config{Store: w.db})
	mux := http.NewServeMux()
	for _, route := range slices.Concat(chat.Routes(g, shelf, nil), shelf.Routes()) {
		mux.HandleFunc(route.Pattern, func(rw http.ResponseWriter, r *http.Request) {
			if err := route.Handle(rw, r, &api.Call{Caller: agent.Caller{Owner: r.Header.Get("X-Owner")}}); err != nil {
				openai.WriteError(rw, err)
			}
		})
	}
	w.handler = mux
	t.Cleanup(func() {
		if err := errors.Join(g.Close(context.Background()), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// do sends a request as owner, or as ann when there is none, and checks a good answer against OpenAI's schema.
func (w *world) do(method, path, body, schema string, owner ...string) (status int, answer []byte) {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), method, path, strings.NewReader(body))
	r.Header.Set("X-Owner", append(owner, "k:ann")[0])
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	answer = rec.Body.Bytes()
	switch {
	case rec.Code != http.StatusOK:
		published.Valid(w, "ErrorResponse", answer)
	case schema != "":
		published.Valid(w, schema, answer)
	}
	return rec.Code, answer
}

// get is do for what must be answered well.
func get[T any](w *world, method, path, body, schema string) (v T) {
	w.Helper()
	status, answer := w.do(method, path, body, schema)
	if status != http.StatusOK {
		w.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if err := json.Unmarshal(answer, &v); err != nil {
		w.Fatal(err)
	}
	return v
}

type completion struct {
	ID, Model string
	Metadata  map[string]string
	Choices   []struct {
		Message struct{ Content string }
	}
}

type list struct {
	Data    []completion
	FirstID string `json:"first_id"`
	LastID  string `json:"last_id"`
	HasMore bool   `json:"has_more"`
}

// ask is a request whose answer is text.
func ask(members, text string) string {
	return `{"model":"composer-2.5",` + members + `"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Say it.\nsim: text ` + text + `"}]}`
}

const completions = "/chat/completions"

func TestACompletionIsKeptOnRequestOnly(t *testing.T) {
	w := newWorld(t, nil)
	made := get[completion](w, "POST", completions, ask(`"store":true,"metadata":{"topic":"greeting"},`, "Hi."), "CreateChatCompletionResponse")
	kept := get[completion](w, "GET", completions+"/"+made.ID, "", "CreateChatCompletionResponse")
	made.Metadata = map[string]string{"topic": "greeting"}
	if diff := cmp.Diff(made, kept); diff != "" || kept.Choices[0].Message.Content != "Hi." {
		t.Errorf("made and kept differ (-made +kept):\n%s", diff)
	}
	const secret = "xyzzy-plugh-quux"
	for _, members := range []string{``, `"store":false,`, `"store":null,`, `"metadata":{"a":{"any":"thing"}},`} {
		other := get[completion](w, "POST", completions, ask(members, secret), "CreateChatCompletionResponse")
		if status, _ := w.do("GET", completions+"/"+other.ID, "", ""); status != http.StatusNotFound {
			t.Errorf("with %s it is kept: %d", members, status)
		}
	}
	files, err := filepath.Glob(w.path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if data, err := os.ReadFile(file); err != nil || strings.Contains(string(data), secret) {
			t.Errorf("%s holds what was not to be stored (%v)", filepath.Base(file), err)
		}
	}
}

// A stream is kept as the document that it would have been, and is there when its client reads the end.
func TestAStreamIsKept(t *testing.T) {
	w := newWorld(t, nil)
	_, stream := w.do("POST", completions, ask(`"store":true,"stream":true,`, "Hi."), "")
	_, rest, _ := strings.Cut(string(stream), `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	if kept := get[completion](w, "GET", completions+"/"+id, "", "CreateChatCompletionResponse"); kept.Choices[0].Message.Content != "Hi." {
		t.Errorf("kept as %+v", kept)
	}
}

func TestTheMessagesOfACompletion(t *testing.T) {
	w := newWorld(t, nil)
	made := get[completion](w, "POST", completions, `{"model":"composer-2.5","store":true,"messages":[
		{"role":"developer","content":[{"type":"text","text":"Be kind."}]},
		{"role":"user","name":"ann","content":[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]},
		{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"call_1","content":"A cat.\nsim: text A cat."}]}`, "CreateChatCompletionResponse")
	type message struct {
		ID, Role, Content, Name string
		Parts                   []json.RawMessage `json:"content_parts"`
		Calls                   []json.RawMessage `json:"tool_calls"`
		CallID                  string            `json:"tool_call_id"`
	}
	type page struct {
		Data    []message
		HasMore bool `json:"has_more"`
	}
	path := completions + "/" + made.ID + "/messages"
	all := get[page](w, "GET", path, "", "ChatCompletionMessageList")
	want := []message{
		{ID: made.ID + "-0", Role: "developer", Parts: []json.RawMessage{[]byte(`{"type":"text","text":"Be kind."}`)}},
		{ID: made.ID + "-1", Role: "user", Name: "ann", Parts: []json.RawMessage{
			[]byte(`{"type":"text","text":"What is it?"}`), []byte(`{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}`)}},
		{ID: made.ID + "-2", Role: "assistant", Calls: []json.RawMessage{[]byte(`{"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}`)}},
		{ID: made.ID + "-3", Role: "tool", CallID: "call_1", Content: "A cat.\nsim: text A cat."},
	}
	if diff := cmp.Diff(want, all.Data); diff != "" || all.HasMore {
		t.Error(diff)
	}
	two := get[page](w, "GET", path+"?limit=2&order=desc&after="+want[3].ID, "", "ChatCompletionMessageList")
	if diff := cmp.Diff([]message{want[2], want[1]}, two.Data); diff != "" || !two.HasMore {
		t.Error(diff)
	}
}

func TestCompletionsAreListed(t *testing.T) {
	w := newWorld(t, nil)
	if empty := get[list](w, "GET", completions, "", "ChatCompletionList"); len(empty.Data) != 0 || empty.HasMore {
		t.Errorf("nothing is listed as %+v", empty)
	}
	for i := range 5 {
		model := []string{"composer-2.5", "composer-2"}[i%2]
		body := strings.Replace(ask(fmt.Sprintf(`"store":true,"metadata":{"even":"%v","n":"%d"},`, i%2 == 0, i), "Hi."), "composer-2.5", model, 1)
		get[completion](w, "POST", completions, body, "")
	}
	all := get[list](w, "GET", completions, "", "ChatCompletionList")
	if len(all.Data) != 5 || all.HasMore || all.FirstID != all.Data[0].ID || all.LastID != all.Data[4].ID {
		t.Fatalf("listed as %+v", all)
	}
	for query, want := range map[string]int{
		"?metadata[even]=true": 3, "?metadata[even]=true&metadata[n]=2": 1, "?metadata[odd]=": 0, "?model=composer-2": 2,
		"?model=composer-2&metadata[even]=true": 0, "?limit=2": 2, "?limit=2&metadata[even]=true": 2,
		"?after=" + all.Data[2].ID: 2, "?order=desc&after=" + all.Data[2].ID: 2,
	} {
		page := get[list](w, "GET", completions+query, "", "ChatCompletionList")
		if len(page.Data) != want || page.HasMore != strings.HasPrefix(query, "?limit") {
			t.Errorf("%s: %d, has_more %v", query, len(page.Data), page.HasMore)
		}
	}
	for query, param := range map[string]string{"?limit=0": "limit", "?limit=x": "limit", "?order=up": "order", "?after=chatcmpl-x": "after"} {
		if status, answer := w.do("GET", completions+query, "", ""); status != 400 || !strings.Contains(string(answer), `"param":"`+param+`"`) {
			t.Errorf("%s: %d %s", query, status, answer)
		}
	}
}

func TestACompletionIsChangedAndDeleted(t *testing.T) {
	w := newWorld(t, nil)
	path := completions + "/" + get[completion](w, "POST", completions, ask(`"store":true,`, "Hi."), "").ID
	changed := get[completion](w, "POST", path, `{"metadata":{"a":"b"}}`, "CreateChatCompletionResponse")
	again := get[completion](w, "GET", path, "", "CreateChatCompletionResponse")
	if diff := cmp.Diff(changed, again); diff != "" || again.Metadata["a"] != "b" || again.Choices[0].Message.Content != "Hi." {
		t.Errorf("changed to %+v\n%s", again, diff)
	}
	for body, param := range map[string]string{`{}`: "metadata", `{"metadata":[]}`: "metadata", `{"metadata":{"` + strings.Repeat("k", 65) + `":""}}`: "metadata"} {
		if status, answer := w.do("POST", path, body, ""); status != 400 || !strings.Contains(string(answer), `"param":"`+param+`"`) {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	for _, c := range []struct{ method, path, body string }{
		{"GET", path, ""}, {"POST", path, `{"metadata":{}}`}, {"DELETE", path, ""}, {"GET", path + "/messages", ""},
	} {
		if status, answer := w.do(c.method, c.path, c.body, "", "k:bob"); status != 404 {
			t.Errorf("another owner's %s %s: %d %s", c.method, c.path, status, answer)
		}
	}
	if mine := get[list](w, "GET", completions, "", "ChatCompletionList"); len(mine.Data) != 1 {
		t.Errorf("listed as %+v", mine)
	}
	if status, _ := w.do("DELETE", path, "", "ChatCompletionDeleted"); status != 200 {
		t.Errorf("deleted: %d", status)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if status, _ := w.do(method, path, "", ""); status != 404 {
			t.Errorf("%s after it was deleted: %d", method, status)
		}
	}
}

// away is a store that is away.
type away struct{ store.Store }

func (away) CreateDocument(context.Context, store.Document, []store.DocumentPart) error {
	return store.ErrUnavailable
}

func (away) ListDocuments(context.Context, string, string, store.Page) ([]store.Document, error) {
	return nil, store.ErrUnavailable
}

// The answer counts more than that it is kept.
func TestAnAnswerIsGivenAlsoWhenItCannotBeKept(t *testing.T) {
	w := newWorld(t, func(s store.Store) store.Store { return away{s} })
	made := get[completion](w, "POST", completions, ask(`"store":true,`, "Hi."), "CreateChatCompletionResponse")
	if made.Choices[0].Message.Content != "Hi." {
		t.Errorf("answered %+v", made)
	}
	if status, _ := w.do("GET", completions+"/"+made.ID, "", ""); status != 404 {
		t.Errorf("it is there: %d", status)
	}
	if status, _ := w.do("GET", completions, "", ""); status != 503 {
		t.Errorf("the list: %d, want 503", status)
	}
}
