package httpd_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/httpd"
)

// peers hold the runs of all requests whose first message is "held", and answer with what they got, or not at all: they are away,
// or end and give requests back. The run of "here" is here.
type peers struct {
	away bool
	open []string // those that take new turns; of these, the ones that begin with "dead" don't answer
	// attempts are those that it was told of.
	attempts []string
	got      []byte
	id       string
	from     agent.Trace
}

func (p *peers) Holder(_ context.Context, req *agent.Request) (string, bool) {
	if req.Messages[0].Text() == "held" {
		return "10.0.0.5:8788", false
	}
	return "", req.Messages[0].Text() == "here"
}

// Open gives each address once: whoever gets one that is dead asks again.
func (p *peers) Open(context.Context) string {
	if len(p.open) == 0 {
		return ""
	}
	address := p.open[0]
	p.open = p.open[1:]
	return address
}

func (p *peers) HolderOf(_ context.Context, owner, id string) string {
	if owner != "" && id == "resp_held" {
		return "10.0.0.5:8788"
	}
	return ""
}

func (p *peers) Forward(w http.ResponseWriter, r *http.Request, address string) error {
	p.attempts = append(p.attempts, r.Header.Get("X-Composer-Attempt"))
	if p.away || strings.HasPrefix(address, "dead") {
		return errors.New("no way to " + address)
	}
	p.id = r.Header.Get("X-Request-Id")
	p.from = agent.Trace{Parent: r.Header.Get("traceparent"), State: r.Header.Get("tracestate")}
	var err error
	p.got, err = io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "" && r.ContentLength == int64(len(p.got)) {
		_, err = io.WriteString(w, "from "+address)
	}
	return err
}

// TestARequestMovesToTheReplicaThatHoldsItsRun: as it came, but decompressed; and is carried out here when that does not answer it,
// or when it has come from a replica already.
func TestARequestMovesToTheReplicaThatHoldsItsRun(t *testing.T) {
	const held = `{"model":"composer-2.5","messages":[{"role":"user","content":"held"}]}`
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, held)
	z.Close()
	for name, c := range map[string]struct {
		body     string
		encoding string
		away     bool
		fromPeer bool
		moves    bool
	}{
		"held elsewhere":          {body: held, moves: true},
		"held elsewhere, zipped":  {body: zipped.String(), encoding: "gzip", moves: true},
		"the replica is away":     {body: held, away: true},
		"zipped, and away":        {body: zipped.String(), encoding: "gzip", away: true},
		"it comes from a replica": {body: held, fromPeer: true},
		"held here or nowhere":    {body: `{"model":"composer-2.5","messages":[{"role":"user","content":"new"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := &peers{away: c.away}
			s := newServer(httpd.Config{Peers: p})
			handler := s.Handler()
			if c.fromPeer {
				handler = s.PeerHandler()
			}
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", bytes.NewReader([]byte(c.body)))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+key)
			if c.encoding != "" {
				req.Header.Set("Content-Encoding", c.encoding)
			}
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, req)
			switch moved := rec.Body.String() == "from 10.0.0.5:8788"; {
			case rec.Code != http.StatusOK || moved != c.moves:
				t.Errorf("status %d: %s", rec.Code, rec.Body)
			case moved && string(p.got) != held:
				t.Errorf("the replica got %q", p.got)
			case !moved && !bytes.Contains(rec.Body.Bytes(), []byte(`"content":"ok"`)):
				t.Error(rec.Body)
			}
		})
	}
}

// TestAnAttemptThatGotNoAnswerIsToldOf: a replica that was asked may have carried the turn out, and whoever is asked next is told so,
// with the same name. What a client says of attempts is not read.
func TestAnAttemptThatGotNoAnswerIsToldOf(t *testing.T) {
	ask := func(t *testing.T, p *peers, drains, fromPeer bool, header, message string) (calls []api.Attempt) {
		s := newServer(httpd.Config{Peers: p, Surfaces: []api.Route{{Pattern: "POST /turns", Turn: true, Handle: func(w http.ResponseWriter, r *http.Request, call *api.Call) error {
			calls = append(calls, call.Attempt)
			return call.Fill(&agent.Request{Messages: []agent.Message{{Role: agent.User, Parts: []agent.Part{{Text: message}}}}})
		}}}})
		handler := s.Handler()
		if drains {
			s.Drain()
		}
		if fromPeer {
			handler = s.PeerHandler()
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/turns", strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+key)
		if header != "" {
			req.Header.Set("X-Composer-Attempt", header)
		}
		handler.ServeHTTP(httptest.NewRecorder(), req)
		return calls
	}
	t.Run("here", func(t *testing.T) {
		p := &peers{away: true}
		calls := ask(t, p, false, false, "forged again", "held")
		if len(p.attempts) != 1 || len(p.attempts[0]) != 24 || len(calls) != 2 || calls[0] != (api.Attempt{}) || calls[1] != (api.Attempt{Name: p.attempts[0], Again: true}) {
			t.Errorf("the replica was told of %q, and the calls are %+v", p.attempts, calls)
		}
	})
	t.Run("elsewhere", func(t *testing.T) {
		p := &peers{open: []string{"dead:1", "b:1"}}
		ask(t, p, true, false, "", "new")
		if len(p.attempts) != 2 || p.attempts[1] != p.attempts[0]+" again" {
			t.Errorf("the replicas were told of %q", p.attempts)
		}
	})
	t.Run("from a replica", func(t *testing.T) {
		for header, want := range map[string]api.Attempt{"": {}, "x": {Name: "x"}, "x again": {Name: "x", Again: true}} {
			if calls := ask(t, &peers{}, false, true, header, "new"); len(calls) != 1 || calls[0] != want {
				t.Errorf("%q is %+v", header, calls)
			}
		}
	})
}

// TestWhatIsHeldElsewhereIsAskedForThere: what the handler doesn't find, on routes that say so. Nobody asks for a replica, and
// what has no answer there is not found.
func TestWhatIsHeldElsewhereIsAskedForThere(t *testing.T) {
	missing := func(http.ResponseWriter, *http.Request, *api.Call) error {
		return agent.Errorf(agent.NotFound, "not here")
	}
	for name, c := range map[string]struct {
		path     string
		away     bool
		fromPeer bool
		moves    bool
	}{
		"held elsewhere":          {path: "/v1/things/resp_held", moves: true},
		"the replica is away":     {path: "/v1/things/resp_held", away: true},
		"it comes from a replica": {path: "/v1/things/resp_held", fromPeer: true},
		"held nowhere":            {path: "/v1/things/resp_other"},
		"not of this kind":        {path: "/v1/others/resp_held"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(httpd.Config{Peers: &peers{away: c.away}, Surfaces: []api.Route{
				{Pattern: "GET /things/{id}", Held: "id", Handle: missing}, {Pattern: "GET /others/{id}", Handle: missing},
			}})
			handler := s.Handler()
			if c.fromPeer {
				handler = s.PeerHandler()
			}
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.path, nil)
			req.Header.Set("Authorization", "Bearer "+key)
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, req)
			if moved := rec.Code == http.StatusOK && rec.Body.String() == "from 10.0.0.5:8788"; moved != c.moves || !moved && rec.Code != http.StatusNotFound {
				t.Errorf("status %d: %s", rec.Code, rec.Body)
			}
		})
	}
}

// TestAMovedRequestIsPartOfItsTrace: the other replica's spans are below the one of this request, not below the client's.
func TestAMovedRequestIsPartOfItsTrace(t *testing.T) {
	for _, trace := range []agent.Trace{{}, {Parent: "ours"}, {Parent: "ours", State: "ours=1"}} {
		p := &peers{}
		cfg := httpd.Config{Peers: p}
		if trace.Parent != "" {
			cfg.Begun = func(r *http.Request) (context.Context, agent.Trace) { return r.Context(), trace }
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"composer-2.5","messages":[{"role":"user","content":"held"}]}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("traceparent", "theirs")
		req.Header.Set("tracestate", "theirs=1")
		newServer(cfg).Handler().ServeHTTP(httptest.NewRecorder(), req)
		want := trace
		if trace.Parent == "" { // nobody traces here
			want = agent.Trace{Parent: "theirs", State: "theirs=1"}
		}
		if p.from != want {
			t.Errorf("it moves as part of %+v, not of %+v", p.from, want)
		}
	}
}

// askFor sends a chat completion with one message and the usual key.
func askFor(t *testing.T, h http.Handler, message, token string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"composer-2.5","messages":[{"role":"user","content":"`+message+`"}]}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

// TestAServerThatEndsSendsNewTurnsOn: to a replica that takes them, or the next one; without any it refuses them. What a run
// here waits for is answered here. What has come from a replica is never sent on: that one gets it back.
func TestAServerThatEndsSendsNewTurnsOn(t *testing.T) {
	const local = "composer-local"
	for name, c := range map[string]struct {
		message, token string
		open           []string
		fromPeer       bool
		away           bool   // the holder
		by             string // who answers: an address, "here", "the sender" with 421, or "" for 503
		why            string
	}{
		"a new turn":                               {open: []string{"b:1", "c:1"}, by: "b:1", why: httpd.MovedDraining},
		"one replica is dead":                      {open: []string{"dead:1", "c:1"}, by: "c:1", why: httpd.MovedDraining},
		"all are dead":                             {open: []string{"dead:1", "dead:2"}},
		"there is none":                            {},
		"its run is here":                          {message: "here", open: []string{"b:1"}, by: "here"},
		"another one holds its run":                {message: "held", open: []string{"b:1"}, by: "10.0.0.5:8788", why: httpd.MovedHeld},
		"it has come from a replica":               {open: []string{"b:1"}, fromPeer: true, by: "the sender"},
		"it has come, and its run is here":         {message: "here", open: []string{"b:1"}, fromPeer: true, by: "here"},
		"it has come, and its run is elsewhere":    {message: "held", open: []string{"b:1"}, fromPeer: true, by: "the sender"},
		"the key that this server lends":           {token: local, open: []string{"b:1"}},
		"many that are dead, which come to an end": {open: []string{"dead:1", "dead:2", "dead:3", "dead:4", "c:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &peers{open: c.open, away: c.away}
			var answers []httpd.Answer
			s := newServer(httpd.Config{
				Peers: p, Local: &httpd.LocalKey{Token: agent.NewSecret(local), Key: agent.NewSecret(key)},
				Answered: func(_ context.Context, a httpd.Answer) { answers = append(answers, a) },
			})
			s.Drain()
			handler := s.Handler()
			if c.fromPeer {
				handler = s.PeerHandler()
			}
			rec := askFor(t, handler, cmp.Or(c.message, "new"), cmp.Or(c.token, key))
			body := rec.Body.String()
			switch c.by {
			case "":
				if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
					t.Errorf("status %d: %s", rec.Code, body)
				}
			case "the sender":
				// Nothing that would end the connection, which others use.
				if rec.Code != http.StatusMisdirectedRequest || body != "" || rec.Header().Get("Connection") != "" {
					t.Errorf("status %d: %s", rec.Code, body)
				}
			case "here":
				if rec.Code != http.StatusOK || !strings.Contains(body, `"content":"ok"`) {
					t.Errorf("status %d: %s", rec.Code, body)
				}
			default:
				if rec.Code != http.StatusOK || body != "from "+c.by {
					t.Errorf("status %d: %s", rec.Code, body)
				}
				// The client's next request should not come here.
				if rec.Header().Get("Connection") != "close" {
					t.Error("the connection stays")
				}
				if p.id == "" || p.id != answers[0].RequestID {
					t.Errorf("the other replica knows the request as %q, and this one as %q", p.id, answers[0].RequestID)
				}
			}
			if len(answers) != 1 || answers[0].Moved != c.why || answers[0].Status != rec.Code {
				t.Errorf("answers %+v", answers)
			}
			if s.Turns() != 0 || s.Passing() != 0 {
				t.Errorf("%d turns and %d that pass are counted afterwards", s.Turns(), s.Passing())
			}
		})
	}
}

// TestWhatIsRefusedAtTheEndGoesBackToTheReplicaThatSentIt: also what the gateway refuses after the run was found here. A client
// gets the refusal, and whoever has begun an answer ends it as ever.
func TestWhatIsRefusedAtTheEndGoesBackToTheReplicaThatSentIt(t *testing.T) {
	refuse := func(http.ResponseWriter, *http.Request, *api.Call) error { return agent.ErrShuttingDown }
	other := func(http.ResponseWriter, *http.Request, *api.Call) error {
		return agent.Errorf(agent.Overloaded, "too many")
	}
	for name, c := range map[string]struct {
		handle   api.Handler
		fromPeer bool
		want     int
	}{
		"it has come from a replica":             {refuse, true, http.StatusMisdirectedRequest},
		"it has come from a client":              {refuse, false, http.StatusServiceUnavailable},
		"refused for a reason that says nothing": {other, true, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(httpd.Config{Peers: &peers{}, Surfaces: []api.Route{{Pattern: "POST /turns", Turn: true, Handle: c.handle}}})
			handler := s.Handler()
			if c.fromPeer {
				handler = s.PeerHandler()
			}
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/turns", strings.NewReader("{}"))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+key)
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, req)
			if rec.Code != c.want || (rec.Body.Len() == 0) != (c.want == http.StatusMisdirectedRequest) {
				t.Errorf("status %d: %s", rec.Code, rec.Body)
			}
		})
	}
}

// TestWhatPassesIsNoTurnOfThisServer: whoever waits for the end of the turns here need not wait for those of others, which come
// as long as the listener is open. They end before the connections do.
func TestWhatPassesIsNoTurnOfThisServer(t *testing.T) {
	p := &slowPeers{arrived: make(chan struct{}), goOn: make(chan struct{})}
	s := newServer(httpd.Config{Peers: p})
	s.Drain()
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- askFor(t, s.Handler(), "new", key) }()
	<-p.arrived
	if s.Turns() != 0 || s.Passing() != 1 {
		t.Errorf("%d turns, %d pass", s.Turns(), s.Passing())
	}
	close(p.goOn)
	if rec := <-done; rec.Body.String() != "from b:1" || s.Passing() != 0 {
		t.Errorf("%s, %d pass", rec.Body, s.Passing())
	}
}

// slowPeers take new turns, and answer when they are told to.
type slowPeers struct {
	peers
	arrived, goOn chan struct{}
}

func (p *slowPeers) Open(context.Context) string { return "b:1" }

func (p *slowPeers) Forward(w http.ResponseWriter, r *http.Request, address string) error {
	close(p.arrived)
	<-p.goOn
	return p.peers.Forward(w, r, address)
}
