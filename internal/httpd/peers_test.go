package httpd_test

import (
	"bytes"
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

// peers hold the runs of all requests whose first message is "held", and answer with what they got, or not at all.
type peers struct {
	away bool
	got  []byte
	from agent.Trace
}

func (p *peers) Holder(_ context.Context, req *agent.Request) string {
	if req.Messages[0].Text() == "held" {
		return "10.0.0.5:8788"
	}
	return ""
}

func (p *peers) HolderOf(_ context.Context, owner, id string) string {
	if owner != "" && id == "resp_held" {
		return "10.0.0.5:8788"
	}
	return ""
}

func (p *peers) Forward(w http.ResponseWriter, r *http.Request, address string) error {
	if p.away {
		return errors.New("no way to " + address)
	}
	p.from = agent.Trace{Parent: r.Header.Get("traceparent"), State: r.Header.Get("tracestate")}
	var err error
	p.got, err = io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "" && r.ContentLength == int64(len(p.got)) {
		_, err = io.WriteString(w, "from "+address)
	}
	return err
}

// TestARequestMovesToTheReplicaThatHoldsItsRun: as it came, but decompressed; and is carried out here when that is away, or
// when it has come from a replica already.
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
				s.Drain() // what a run here waits for is answered all the same
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
