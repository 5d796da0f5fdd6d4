package replica

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store/memstore"
)

const secret = "a secret of all replicas"

// newPeers makes Peers whose process waits for no call but those named here.
func newPeers(t *testing.T, db *memstore.Database, address, secret string, here ...string) *Peers {
	t.Helper()
	p, err := New(Config{
		Address: address, Secret: agent.NewSecret(secret), Store: db.Open(), Kept: time.Minute,
		Awaits: func(req *agent.Request) (calls []string, isHere bool) {
			for _, m := range req.Messages {
				calls = append(calls, m.CallID)
				for _, id := range here {
					isHere = isHere || id == m.CallID
				}
			}
			return calls, isHere
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.transport.CloseIdleConnections)
	return p
}

// results is a request of an owner with the results of calls.
func results(owner string, calls ...string) *agent.Request {
	req := &agent.Request{Caller: agent.Caller{Owner: owner}}
	for _, id := range calls {
		req.Messages = append(req.Messages, agent.Message{Role: agent.ToolRole, CallID: id})
	}
	return req
}

// TestWhoHoldsARun: the replica that parked it, for its owner alone. A replica never names itself.
func TestWhoHoldsARun(t *testing.T) {
	db := memstore.New(memstore.Config{})
	a, b := newPeers(t, db, "10.0.0.1:1", secret, "call_here"), newPeers(t, db, "10.0.0.2:1", secret)
	b.Parked("k:1", []string{"call_1", "call_2", "call_here"})
	for name, c := range map[string]struct {
		asked *Peers
		req   *agent.Request
		want  string
	}{
		"another replica":        {a, results("k:1", "call_1"), "10.0.0.2:1"},
		"by a later call":        {a, results("k:1", "unknown", "call_2"), "10.0.0.2:1"},
		"another owner":          {a, results("k:2", "call_1"), ""},
		"nobody":                 {a, results("k:1", "unknown"), ""},
		"itself":                 {b, results("k:1", "call_1"), ""},
		"no results":             {a, results("k:1"), ""},
		"a run that is here too": {a, results("k:1", "call_here"), ""},
	} {
		got, here := c.asked.Holder(t.Context(), c.req)
		if got != c.want || here != strings.HasSuffix(name, "here too") {
			t.Errorf("%s: %q (here: %t), want %q", name, got, here, c.want)
		}
	}
}

// TestWithoutTheDatabaseEachReplicaIsAlone: nothing fails by it.
func TestWithoutTheDatabaseEachReplicaIsAlone(t *testing.T) {
	db := memstore.New(memstore.Config{})
	p := newPeers(t, db, "10.0.0.1:1", secret)
	p.cfg.Store.(*memstore.Store).Away(true)
	p.Parked("k:1", []string{"call_1"})
	if got, _ := p.Holder(t.Context(), results("k:1", "call_1")); got != "" {
		t.Error(got)
	}
	if got := p.Open(t.Context()); got != "" {
		t.Error(got)
	}
}

// serve has p answer with handler on an address of its own.
func serve(t *testing.T, p *Peers, handler http.HandlerFunc) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Serve(l, handler) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.Shutdown(ctx)
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// TestARequestArrivesAsItCame, and its answer as it is written: piece by piece, with its trailers.
func TestARequestArrivesAsItCame(t *testing.T) {
	db := memstore.New(memstore.Config{})
	a, b := newPeers(t, db, "a", secret), newPeers(t, db, "b", secret)
	goOn := make(chan struct{})
	address := serve(t, b, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h := r.Header
		if err != nil || string(body) != "the body" || r.Host != "gateway.example" || r.URL.RequestURI() != "/v1/x?y=z" ||
			h.Get("Authorization") != "Bearer crsr_1" || h.Get("X-Forwarded-For") != "192.0.2.7" {
			t.Errorf("%s %s %q %v, %v", r.Host, r.URL, body, h, err)
		}
		w.Header().Set("X-Request-Id", "req_theirs")
		io.WriteString(w, "one ")
		http.NewResponseController(w).Flush()
		<-goOn
		io.WriteString(w, "two")
		w.Header().Set(http.TrailerPrefix+"X-Composer-Cost", "0.5")
	})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "req_ours")
		if err := a.Forward(w, r, address); err != nil {
			t.Error(err)
		}
	}))
	defer front.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/v1/x?y=z", strings.NewReader("the body"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "gateway.example"
	req.Header.Set("Authorization", "Bearer crsr_1")
	req.Header.Set("X-Forwarded-For", "192.0.2.7")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 4)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "one " {
		t.Fatalf("%q, %v", first, err)
	}
	close(goOn)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || string(rest) != "two" || resp.Trailer.Get("X-Composer-Cost") != "0.5" {
		t.Errorf("%q, trailers %v, %v", rest, resp.Trailer, err)
	}
	if ids := resp.Header["X-Request-Id"]; len(ids) != 1 || ids[0] != "req_theirs" {
		t.Errorf("ids %q", ids)
	}
}

// TestAClientThatLeavesIsGoneEverywhere also shows that the reason is no missing replica.
func TestAClientThatLeavesIsGoneEverywhere(t *testing.T) {
	db := memstore.New(memstore.Config{})
	a, b := newPeers(t, db, "a", secret), newPeers(t, db, "b", secret)
	arrived, left := make(chan struct{}), make(chan struct{})
	address := serve(t, b, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-arrived
		leave()
	}()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/x", strings.NewReader("{}"))
	if err := a.Forward(httptest.NewRecorder(), req, address); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-left
}

// TestOnlyReplicasTalkToEachOther: a secret that differs is refused by whoever sees it first, and so is somebody with none.
func TestOnlyReplicasTalkToEachOther(t *testing.T) {
	db := memstore.New(memstore.Config{})
	b := newPeers(t, db, "b", secret)
	address := serve(t, b, func(http.ResponseWriter, *http.Request) { t.Error("a stranger got through") })
	stranger := newPeers(t, db, "a", "another secret of sixteen")
	credulous := newPeers(t, db, "a", "another secret of sixteen")
	credulous.transport.TLSClientConfig.VerifyConnection = nil // takes any server, so that the server is what refuses
	for name, p := range map[string]*Peers{"the client refuses": stranger, "the server refuses": credulous} {
		rec := httptest.NewRecorder()
		if err := p.Forward(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/x", strings.NewReader("{}")), address); err == nil || rec.Body.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, rec.Body)
		}
	}
	plain := &http.Client{Transport: &http.Transport{TLSClientConfig: stranger.identity.config()}}
	plain.Transport.(*http.Transport).TLSClientConfig.Certificates = nil
	plain.Transport.(*http.Transport).TLSClientConfig.VerifyConnection = nil
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := plain.Do(req); err == nil {
		resp.Body.Close()
		t.Error("somebody without a certificate got through")
	}
}

// TestAReplicaThatIsGone: nothing is written, so that the request can be carried out here.
func TestAReplicaThatIsGone(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	a := newPeers(t, memstore.New(memstore.Config{}), "a", secret)
	rec := httptest.NewRecorder()
	err = a.Forward(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/x", strings.NewReader("{}")), l.Addr().String())
	if err == nil || rec.Body.Len() > 0 || len(rec.Header()) > 0 {
		t.Errorf("%v, %q, %v", err, rec.Body, rec.Header())
	}
}

// TestWhatAReplicaGivesBack: nothing is written, so that the request can be carried out here. The other one is asked for what it
// holds as before.
func TestWhatAReplicaGivesBack(t *testing.T) {
	db := memstore.New(memstore.Config{})
	a, b := newPeers(t, db, "a", secret), newPeers(t, db, "b", secret)
	address := serve(t, b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "req_theirs")
		w.WriteHeader(http.StatusMisdirectedRequest)
	})
	rec := httptest.NewRecorder()
	rec.Header().Set("X-Request-Id", "req_ours")
	err := a.Forward(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/x", strings.NewReader("{}")), address)
	if !errors.Is(err, errGivenBack) || rec.Body.Len() > 0 || len(rec.Header()) != 1 || rec.Header().Get("X-Request-Id") != "req_ours" {
		t.Errorf("%v, %q, %v", err, rec.Body, rec.Header())
	}
	if a.lost.is(address) {
		t.Error("it is left alone, as if it could not be reached")
	}
}

// TestAnAnswerThatBreaksOffIsCutOff: what has come so far must not look like the whole.
func TestAnAnswerThatBreaksOffIsCutOff(t *testing.T) {
	db := memstore.New(memstore.Config{})
	a, b := newPeers(t, db, "a", secret), newPeers(t, db, "b", secret)
	address := serve(t, b, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half of it")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.Forward(w, r, address)
	}))
	defer front.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%q looks whole", body)
	}
}
