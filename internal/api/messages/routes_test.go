package messages_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/messages"
	"composer-api/internal/api/models"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/gateway"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/httpd"
	"composer-api/internal/store/seal"
)

// A world is the surface in a real server, before a real gateway, in front of an upstream in memory.
type world struct {
	t        *testing.T
	upstream *backendtest.Fake
	server   *httpd.Server
	ring     *seal.Ring
}

// newWorld makes a world whose runs say what play tells them.
func newWorld(t *testing.T, play func(*agent.Request) (backendtest.Turns, error)) *world {
	t.Helper()
	w := &world{t: t, upstream: backendtest.NewFake("fake", play), ring: seal.Random()}
	cat := catalog.New(catalog.Config{Aliases: []catalog.Alias{{Pattern: "claude-*", Model: "composer-2.5-fast"}}})
	g := gateway.New(gateway.Config{Backends: []agent.Backend{w.upstream}, Catalog: cat})
	t.Cleanup(func() { g.Close(context.Background()) })
	w.server = httpd.New(httpd.Config{
		Surfaces:   slices.Concat(messages.Routes(messages.Config{Turns: g, Seal: w.ring}), models.Routes(cat, g)),
		ErrorForms: []api.ErrorForm{messages.ErrorForm()},
		MaxBody:    1 << 20,
		ResolveKey: func(_ context.Context, token string) (agent.Caller, error) {
			if token != "cmp_ann" {
				return agent.Caller{}, agent.Errorf(agent.InvalidKey, "This key is not valid.")
			}
			return agent.Caller{Owner: "a:acct_ann", CursorKey: agent.NewSecret("crsr_ann")}, nil
		},
	})
	return w
}

// says is a world that says one text.
func says(text string) func(*agent.Request) (backendtest.Turns, error) {
	return func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.Say(text), backendtest.End("agent-1")}}, nil
	}
}

// send sends a request as an Anthropic SDK does. headers are pairs of a name and a value; "" removes one.
func (w *world) send(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("X-Api-Key", "crsr_key")
	r.Header.Set("Anthropic-Version", "2023-06-01")
	r.Header.Set("Anthropic-Beta", "some-feature-2031-01-01")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
		if pair[1] == "" {
			r.Header.Del(pair[0])
		}
	}
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, r)
	return rec
}

// ask sends a Messages request with these members and returns the answer.
func (w *world) ask(members string, headers ...string) message {
	w.t.Helper()
	rec := w.send("POST", "/v1/messages?beta=true", `{"model":"composer-2.5","max_tokens":32000,`+members+`}`, headers...)
	var m message
	if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil || rec.Code != 200 {
		w.t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	return m
}

const hello = `{"model":"composer-2.5","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}`

func TestRoutes(t *testing.T) {
	w := newWorld(t, says("Hi."))
	streamed := strings.Replace(hello, "{", `{"stream":true,`, 1)
	for _, tt := range []struct {
		name, line, body string
		headers          []string
		status           int
		kind             string // of the error; "" for none
	}{
		{"a message", "POST /v1/messages", hello, nil, 200, ""},
		{"with a query string", "POST /v1/messages?beta=true", hello, nil, 200, ""},
		{"a stream", "POST /v1/messages", streamed, nil, 200, ""},
		{"a bearer key", "POST /v1/messages", hello, []string{"X-Api-Key", "", "Authorization", "Bearer crsr_key"}, 200, ""},
		{"no version", "POST /v1/messages", hello, []string{"Anthropic-Version", ""}, 200, ""},
		{"a base URL with a slash at its end", "POST //v1/messages", hello, nil, 200, ""},
		{"a hosted key", "POST /v1/messages", hello, []string{"X-Api-Key", "cmp_ann"}, 200, ""},
		{"the address of an account", "POST /u/acct_ann/v1/messages", hello, []string{"X-Api-Key", "cmp_ann"}, 200, ""},
		{"count on the address of an account", "POST /u/acct_ann/v1/messages/count_tokens", hello, []string{"X-Api-Key", "cmp_ann"}, 200, ""},
		{"a model by an alias", "POST /v1/messages", strings.Replace(hello, "composer-2.5", "claude-sonnet-5", 1), nil, 200, ""},
		{"count", "POST /v1/messages/count_tokens", hello, nil, 200, ""},
		{"models", "GET /v1/models?limit=1000", "", nil, 200, ""},
		{"a model", "GET /v1/models/composer-2.5", "", nil, 200, ""},
		{"the root", "HEAD /", "", []string{"X-Api-Key", ""}, 200, ""},

		{"no JSON", "POST /v1/messages", "{", nil, 400, "invalid_request_error"},
		{"no JSON to count", "POST /v1/messages/count_tokens", "{", nil, 400, "invalid_request_error"},
		{"no key", "POST /v1/messages", hello, []string{"X-Api-Key", ""}, 401, "authentication_error"},
		{"no key and no version", "POST /v1/messages", hello, []string{"X-Api-Key", "", "Anthropic-Version", ""}, 401, "authentication_error"},
		{"a key that is not valid", "POST /v1/messages", hello, []string{"X-Api-Key", "cmp_bob"}, 401, "authentication_error"},
		{"the address of another account", "POST /u/acct_bob/v1/messages", hello, []string{"X-Api-Key", "cmp_ann"}, 403, "permission_error"},
		{"an unknown model", "POST /v1/messages", strings.Replace(hello, "composer-2.5", "gpt-9", 1), nil, 404, "not_found_error"},
		{"an unknown model to look at", "GET /v1/models/gpt-9", "", nil, 404, "not_found_error"},
		{"an unknown path", "POST /v1/messages/batches", "{}", nil, 404, "not_found_error"},
		{"a base URL with /v1", "POST /v1/v1/messages", hello, nil, 404, "not_found_error"},
		{"a wrong method", "GET /v1/messages", "", nil, 405, "invalid_request_error"},
		{"too much", "POST /v1/messages", `{"model":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "request_too_large"},
		{"no JSON by its type", "POST /v1/messages", hello, []string{"Content-Type", "text/plain"}, 415, "invalid_request_error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			method, target, _ := strings.Cut(tt.line, " ")
			rec := w.send(method, target, tt.body, tt.headers...)
			if rec.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", rec.Code, tt.status, rec.Body)
			}
			id := rec.Header().Get("X-Request-Id")
			if strings.Contains(target, "/v1/") && rec.Header().Get("Request-Id") != id || id == "" {
				t.Errorf("the request is %q and %q", rec.Header().Get("Request-Id"), id)
			}
			if tt.kind == "" {
				return
			}
			var e struct {
				Type      string
				Error     struct{ Type, Message string }
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || e.Type != "error" || e.Error.Type != tt.kind || e.Error.Message == "" || e.RequestID != id {
				t.Errorf("%v: %s", err, rec.Body)
			}
		})
	}
}

func TestAnErrorInAStreamNamesItsRequest(t *testing.T) {
	w := newWorld(t, func(*agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.Say("Hi"), backendtest.Fail(agent.Errorf(agent.Overloaded, "Too many."))}}, nil
	})
	rec := w.send("POST", "/v1/messages", strings.Replace(hello, "{", `{"stream":true,`, 1), "X-Request-Id", "req_mine")
	want := "event: error\ndata: " + `{"type":"error","error":{"type":"overloaded_error","message":"Too many."},"request_id":"req_mine"}` + "\n\n"
	if rec.Code != 200 || !strings.HasSuffix(rec.Body.String(), want) {
		t.Errorf("status %d: %s", rec.Code, rec.Body)
	}
}

func TestModelsAreListedInAnthropicsForm(t *testing.T) {
	w := newWorld(t, says("Hi."))
	var page struct {
		Data []struct {
			Type, ID    string
			DisplayName string `json:"display_name"`
			CreatedAt   string `json:"created_at"`
			Lifecycle   string
		}
		HasMore *bool  `json:"has_more"`
		FirstID string `json:"first_id"`
		LastID  string `json:"last_id"`
	}
	body := w.send("GET", "/v1/models", "").Body.Bytes()
	if err := json.Unmarshal(body, &page); err != nil {
		t.Fatal(err)
	}
	last := len(page.Data) - 1
	if last < 1 || page.HasMore == nil || *page.HasMore || page.FirstID != page.Data[0].ID || page.LastID != page.Data[last].ID {
		t.Fatalf("the page is %s", body)
	}
	if m := page.Data[0]; m.Type != "model" || m.ID != "composer-2.5" || m.DisplayName != "Composer 2.5" || m.CreatedAt != "2026-05-01T00:00:00Z" || m.Lifecycle != "active" {
		t.Errorf("a model is %+v", m)
	}
	// Without the header the same path speaks OpenAI's.
	if body := w.send("GET", "/v1/models", "", "Anthropic-Version", "").Body.String(); !strings.HasPrefix(body, `{"object":"list"`) {
		t.Errorf("OpenAI's list is %s", body)
	}
}

func TestTokensAreCountedWithSystemAndTools(t *testing.T) {
	w := newWorld(t, says("Hi."))
	count := func(members string) int64 {
		var answer struct {
			InputTokens int64 `json:"input_tokens"`
		}
		// A count has no answer: it needs no limit for one, and may ask about one that was begun.
		rec := w.send("POST", "/v1/messages/count_tokens?beta=true", `{"model":"composer-2.5",`+members+`}`)
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != 200 {
			t.Fatalf("status %d: %s", rec.Code, rec.Body)
		}
		return answer.InputTokens
	}
	const said = `"messages":[{"role":"user","content":"One two three four."},{"role":"assistant","content":"Five"}]`
	plain := count(said)
	system := count(`"system":"Count on and on.",` + said)
	tools := count(`"tools":[{"name":"look","description":"Looks.","input_schema":{"type":"object"}}],` + said)
	if plain != 6 || system != 10 || tools <= plain {
		t.Errorf("counted %d, with a system text %d, with a tool %d", plain, system, tools)
	}
}

func TestTheAnswerNamesTheModelThatRan(t *testing.T) {
	w := newWorld(t, says("Hi."))
	if m := w.ask(`"model":"claude-opus-5","messages":[{"role":"user","content":"Hello"}]`); m.Model != "composer-2.5-fast" {
		t.Errorf("the model is %q", m.Model)
	}
}

// looksTwice is a run that thinks, looks twice at once, and says what it has seen.
func looksTwice(*agent.Request) (backendtest.Turns, error) {
	return backendtest.Turns{
		{
			backendtest.Think("I look."), backendtest.Say("Looking."),
			backendtest.CallTool("call_1", "look", `{"at":1}`), backendtest.CallTool("call_2", "look", `{"at":2}`), backendtest.Wait(),
		},
		{backendtest.Say("Seen."), backendtest.End("agent-1")},
	}, nil
}

const lookTool = `"thinking":{"type":"enabled","budget_tokens":1024},"tools":[{"name":"look","input_schema":{"type":"object"}}],`

// transcript is the history of looksTwice as a client tells it after the first answer.
func transcript(t *testing.T, system string, first message, more string) string {
	t.Helper()
	var content []json.RawMessage
	for _, b := range first.Content {
		var v any
		switch b.Type {
		case "text":
			v = map[string]any{"type": "text", "text": b.Text}
		case "thinking":
			v = map[string]any{"type": "thinking", "thinking": b.Thinking, "signature": b.Signature}
		case "tool_use":
			v = map[string]any{"type": "tool_use", "id": b.ID, "name": b.Name, "input": b.Input}
		}
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, raw)
	}
	said, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`"system":[{"type":"text","text":%q},{"type":"text","text":"Be brief."}],"messages":[{"role":"user","content":"Look."},{"role":"assistant","content":%s},{"role":"user","content":[`+
		`{"type":"tool_result","tool_use_id":"call_1","content":"A cat."},{"type":"tool_result","tool_use_id":"call_2","content":[{"type":"text","text":"A dog."}]}]}%s]`, system, said, more)
}

const billing = "x-anthropic-billing-header: cc_version=2; cch=%s;"

func TestAToolLoopIsOneRunWhateverTheClientSendsBack(t *testing.T) {
	for name, change := range map[string]func(*message){
		"with our thinking":              func(*message) {},
		"without it":                     func(m *message) { m.Content = m.Content[1:] },
		"with a thinking of its own":     func(m *message) { m.Content[0].Thinking, m.Content[0].Signature = "I looked.", "bm90IG91cnM=" },
		"with a signature that is wrong": func(m *message) { m.Content[0].Signature = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, looksTwice)
			first := w.ask(lookTool + fmt.Sprintf(`"system":[{"type":"text","text":%q},{"type":"text","text":"Be brief."}],"messages":[{"role":"user","content":"Look."}]`, fmt.Sprintf(billing, "00001")))
			if first.StopReason != "tool_use" || len(first.Content) != 4 {
				t.Fatalf("the first answer is %+v", first)
			}
			change(&first)
			second := w.ask(lookTool + transcript(t, fmt.Sprintf(billing, "00002"), first, `,{"role":"system","content":"It is late."}`))
			if second.StopReason != "end_turn" || len(second.Content) != 1 || second.Content[0].Text != "Seen." {
				t.Errorf("the second answer is %+v", second)
			}
			runs := w.upstream.Runs()
			if len(runs) != 1 {
				t.Fatalf("there were %d runs", len(runs))
			}
			results := runs[0].Results()
			var said string
			if len(results) == 1 && len(results[0]) == 2 {
				for _, p := range results[0][1].Said {
					said += p.Text
				}
			}
			if said != "(This is from the system, not from the user.)\nIt is late." || results[0][0].Parts[0].Text != "A cat." {
				t.Errorf("the run got %+v", results)
			}
		})
	}
}

func TestASignatureIsSealedForItsOwner(t *testing.T) {
	w := newWorld(t, looksTwice)
	first := w.ask(lookTool + `"messages":[{"role":"user","content":"Look."}]`)
	signature, err := base64.StdEncoding.DecodeString(first.Content[0].Signature)
	if err != nil || first.Content[0].Thinking != "I look." {
		t.Fatalf("%v: the thinking is %+v", err, first.Content[0])
	}
	owner := httpd.DirectCaller("crsr_key").Owner
	digest, _, err := w.ring.Open(signature, "messages-thinking", owner)
	if want := sha256.Sum256([]byte("I look.")); err != nil || !slices.Equal(digest, want[:]) {
		t.Errorf("it holds %x, %v", digest, err)
	}
	for _, context := range [][]string{{"messages-thinking", "k:another"}, {"responses-reasoning", owner}} {
		if _, _, err := w.ring.Open(signature, context...); err == nil {
			t.Errorf("it opens for %q", context)
		}
	}
}

// Claude Code asks for a title, or whether this is a new topic, beside the real work and in its session: with another
// system text and without tools.
func TestSideRequestsNeverTakeTheMainConversation(t *testing.T) {
	w := newWorld(t, func(req *agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.Say("Yes."), backendtest.End(agent.NewConversationID())}}, nil
	})
	const user = `"metadata":{"user_id":"user_1_account__session_1"},`
	main := func(system string) string {
		return user + `"system":"` + system + `","messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"Yes."},{"role":"user","content":"More."}]`
	}
	w.ask(user + `"system":"Work.","messages":[{"role":"user","content":"Hello"}]`)
	w.ask(user + `"system":"Make a title.","messages":[{"role":"user","content":"Hello"}]`)
	for _, tt := range []struct {
		what, members string
		continued     bool
	}{
		{"another side request", main("Is this a new topic?"), false},
		{"another user", strings.Replace(main("Work."), "user_1", "user_2", 1), false},
		{"the main conversation", main("Work."), true},
	} {
		w.ask(tt.members)
		runs := w.upstream.Runs()
		if got := runs[len(runs)-1].Request.Continue != nil; got != tt.continued {
			t.Errorf("%s: continued %v", tt.what, got)
		}
	}
}

func TestTheSessionIsNamedByAHeaderOrTheUserID(t *testing.T) {
	for _, tt := range []struct {
		userID, header, session string
		shared                  bool
	}{
		{"", "", "", false},
		{"", "s1", "s1", false},
		{`user_d_account__session_s2`, "s1", "s1", false},
		{`user_d_account__session_s2`, "", `user_d_account__session_s2`, false},
		{`{\"device_id\":\"d\",\"session_id\":\"s3\"}`, "", `{"device_id":"d","session_id":"s3"}`, false},
		{"ann", "", "ann", true}, // a user, who may have several conversations at once
		{strings.Repeat("x", 600), "", "", false},
	} {
		w := newWorld(t, says("Hi."))
		w.ask(`"metadata":{"user_id":"`+tt.userID+`"},"messages":[{"role":"user","content":"Hello"}]`, "X-Claude-Code-Session-Id", tt.header)
		req := w.upstream.Runs()[0].Request
		if req.Session != tt.session || req.SharedSession != tt.shared {
			t.Errorf("%q and %q: session %q, shared %v", tt.userID, tt.header, req.Session, req.SharedSession)
		}
	}
}

// Two conversations of one user that open alike must not end each other's runs; within a session the later one takes
// the earlier one's place.
func TestAUserMayHaveTwinConversations(t *testing.T) {
	for user, ended := range map[string]bool{"ann": false, "user_d_account__session_s": true} {
		w := newWorld(t, looksTwice)
		ask := lookTool + `"metadata":{"user_id":"` + user + `"},"messages":[{"role":"user","content":"Look."}]`
		w.ask(ask)
		w.ask(ask)
		first := w.upstream.Runs()[0]
		if ended {
			<-first.Closed()
		} else if first.IsClosed() {
			t.Errorf("%s: the first run was ended", user)
		}
	}
}
