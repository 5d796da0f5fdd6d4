package simtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/chat"
	"composer-api/internal/backend/localagent"
	"composer-api/internal/backend/replay"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/cli"
	"composer-api/internal/config"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/memnet"
	"composer-api/internal/sim/bridgesim"
	"composer-api/internal/sim/cursorsim"
	"composer-api/internal/store/memstore"
	"composer-api/internal/store/seal"
)

// A world is one run of a plan. Everything in it belongs to one synctest bubble.
//
//	people ── link ── replica 1 ── link ── simulated Cursor
//	       └─ link ── replica 2 ── link ──┘
//	                     └── memstore ──┘
type world struct {
	plan     *plan
	story    story
	laws     *laws
	upstream *upstream

	sim      *cursorsim.Sim
	bridges  *bridgesim.Host // sdkbridge
	cursor   *memnet.Listener
	serving  *http.Server
	database *memstore.Database
	replicas []*replica
	log      lockedBuffer
	calm     time.Time // from here on nothing disturbs any more

	mu         sync.Mutex
	situations map[string]int
}

// lockedBuffer is what all replicas log to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// keyOf is a Cursor key by its number.
func keyOf(n int) string { return fmt.Sprintf("crsr_k%d_secret", n) }

func newWorld(p *plan) *world {
	w := &world{plan: p, situations: map[string]int{}}
	w.story.began = time.Now()
	w.laws = &laws{world: w, given: map[string]string{}, failures: map[string]int{}}
	w.upstream = &upstream{world: w, met: map[string]int{}, talks: map[string]place{}}
	w.sim = cursorsim.New(cursorsim.Config{Seed: p.Misbehaves, Model: w.upstream.model})
	if p.Upstream == "sdkbridge" {
		w.bridges = bridgesim.New(nil)
		w.bridges.PlayModel(w.upstream.model)
	}
	w.cursor = memnet.Listen()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	w.serving = &http.Server{Handler: w.sim, Protocols: protocols, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go w.serving.Serve(w.cursor)
	w.database = memstore.New(memstore.Config{})
	for i := range p.Replicas {
		w.replicas = append(w.replicas, newReplica(w, i))
	}
	w.say("world", "upstream %s, %d replicas, latency %v, misbehaves %d", p.Upstream, p.Replicas, p.Latency, p.Misbehaves)
	for _, o := range p.Operations {
		if end := w.story.began.Add(o.At + o.For); end.After(w.calm) {
			w.calm = end
		}
	}
	w.calm = w.calm.Add(2 * time.Minute)
	return w
}

func (w *world) say(who, format string, args ...any) { w.story.say(who, format, args...) }

// met notes a situation: what a person does, what goes wrong, and in which state.
func (w *world) situation(parts string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.situations[parts]++
}

// met notes that a task has met a fault.
func (w *world) met(t *task, s *stage, kind string) {
	doing := s.Answer
	if doing == "" {
		doing = "plain"
	}
	state := "first words"
	if s.Fault.Word > 0 {
		state = "mid stream"
	}
	if s != t.Stages[0] {
		state = "after results, " + state
	}
	w.situation(doing + " × " + kind + " × " + state)
}

// A replica is one gateway process and its ways to the rest. It may be stopped or killed, and started again.
type replica struct {
	world   *world
	n       int
	in, out *memnet.Link

	mu       sync.Mutex
	listener *memnet.Listener // nil while there is no process
	process  *cli.Instance
	store    *memstore.Store
	auth     *http.Transport
	chat     *http.Transport
}

var errDown = errors.New("nobody listens")

func newReplica(w *world, n int) *replica {
	r := &replica{world: w, n: n + 1}
	var made atomic.Int64 // connections, which several goroutines make
	delay := func() time.Duration {
		return w.plan.Latency + time.Duration(made.Add(1)*911+int64(n)*173)*time.Nanosecond
	}
	r.in = memnet.NewLink(func(ctx context.Context, network, address string) (net.Conn, error) {
		r.mu.Lock()
		l := r.listener
		r.mu.Unlock()
		if l == nil {
			return nil, errDown
		}
		return l.Dial(ctx, network, address)
	}, delay)
	r.out = memnet.NewLink(w.cursor.Dial, delay)
	r.start()
	return r
}

// start makes a process, which knows nothing of those before it but what the database holds.
//
// A replica that two operations have stopped is started by the first that is over.
func (r *replica) start() {
	r.mu.Lock()
	running := r.process != nil
	r.mu.Unlock()
	if running {
		return
	}
	log := slog.New(slog.NewTextHandler(&r.world.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.auth = &http.Transport{DialContext: r.out.Dial}
	keys := auth.New(auth.Config{BackendBase: "http://cursor", APIBase: "http://cursor", HTTP: &http.Client{Transport: r.auth}})
	ring, err := seal.Parse("correct horse battery staple", "")
	if err != nil {
		panic(err)
	}
	store := r.world.database.Open()
	cfg := &config.Config{}
	cfg.MaxRepeatedCalls, cfg.SystemPrompt = 8, "auto"
	process, err := cli.Assemble(context.Background(), cfg, cli.Parts{
		Store: store, Ring: ring, Auth: keys, Backends: []agent.Backend{r.backend(keys, log)}, Log: log,
	})
	if err != nil {
		panic(err)
	}
	l := memnet.Listen()
	r.mu.Lock()
	r.listener, r.process, r.store = l, process, store
	r.mu.Unlock()
	go process.Serve(l)
}

func (r *replica) backend(keys *auth.Client, log *slog.Logger) agent.Backend {
	switch r.world.plan.Upstream {
	case "chat":
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		r.chat = replay.NewTransport("http://cursor/chat", nil)
		r.chat.Proxy, r.chat.DialContext = nil, r.out.Dial
		return chat.New(chat.Config{Endpoint: "http://cursor/chat", Auth: keys, Transport: r.chat, Log: log})
	case "sdkbridge":
		return sdkbridge.New(sdkbridge.Config{NewHome: r.world.bridges.NewHome, PerOwner: true, MaxPerPool: 1, Log: log})
	}
	b, err := localagent.New(localagent.Config{
		Endpoint: "http://cursor/agent.v1.AgentService/Run", Auth: keys, Transport: localagent.TransportConfig{Dial: r.out.Dial}, Log: log,
	})
	if err != nil {
		panic(err)
	}
	return b
}

// stop ends the process in good order, or as fast as a process that is killed when grace is 0.
func (r *replica) stop(grace time.Duration) {
	r.mu.Lock()
	l, process, store := r.listener, r.process, r.store
	r.listener, r.process = nil, nil
	r.mu.Unlock()
	if process == nil {
		return
	}
	if grace == 0 {
		l.Close()
		r.in.Cut()
		r.out.Cut()
		store.Away(true) // it writes nothing any more
	}
	process.ShutDown(context.Background(), grace)
	l.Close()
	r.auth.CloseIdleConnections()
	if r.chat != nil {
		r.chat.CloseIdleConnections()
	}
}

// run is the whole life of the world.
func (w *world) run() {
	var everybody, operators sync.WaitGroup
	for _, o := range w.plan.Operations {
		operators.Go(func() { w.operate(o) })
	}
	for _, p := range w.plan.People {
		everybody.Go(func() { w.live(p) })
	}
	everybody.Wait()
	operators.Wait()
	w.say("world", "everybody has gone")
	time.Sleep(11 * time.Minute) // longer than a run is parked
	w.laws.upstreamIsIdle()
	for _, r := range w.replicas {
		r.stop(time.Minute)
	}
	time.Sleep(10 * time.Minute) // longer than anything is idle
	w.laws.nothingIsConnected()
	w.serving.Close()
	time.Sleep(time.Minute)
	w.laws.atTheEnd()
}
