package simtest

import (
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
//	                     ├── link ── the other replicas
//	                     └── memstore
type world struct {
	plan     *plan
	story    story
	laws     *laws
	upstream *upstream

	sim      *cursorsim.Sim
	bridges  *bridgesim.Host  // sdkbridge
	cursor   *memnet.Listener // guarded by mu, and so are serving and gone
	serving  *http.Server
	gone     []*http.Server // those before it
	database *memstore.Database
	// The database's clock, by which leases and rows end, and Cursor's, by which access tokens do.
	clock, cursorClock clock

	replicas []*replica
	log      gatewayLog
	exchange exchanges
	calm     time.Time      // from here on nothing disturbs any more
	hosted   map[int]string // the keys of accounts, by the number of the Cursor key behind them

	mu         sync.Mutex
	situations map[string]int
	pairs      map[string]int // those that steer the choice of seeds: see comes
	began      map[*operation]time.Time
	ended      map[*operation]time.Time // those that are over
	rotations  int                      // of the encryption key
	announced  bool                     // processes can read what the next key will seal
}

// A clock may be wrong. The zero value is right. It is safe for concurrent use.
type clock struct {
	ahead atomic.Int64 // nanoseconds
}

// now is what it shows.
func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// set makes it wrong by so much.
func (c *clock) set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }

// keyOf is a Cursor key by its number.
//
// Those from brief on get tokens that are valid for ten seconds only.
func keyOf(n int) string {
	if n >= brief {
		return fmt.Sprintf("crsr_brief_k%d_secret", n)
	}
	return fmt.Sprintf("crsr_k%d_secret", n)
}

const brief = 200

func newWorld(p *plan) *world {
	w := &world{plan: p, hosted: map[int]string{}, situations: map[string]int{}, pairs: map[string]int{}, began: map[*operation]time.Time{}, ended: map[*operation]time.Time{}}
	w.story.began = time.Now()
	w.laws = &laws{world: w, given: map[string]string{}}
	w.upstream = &upstream{world: w, met: map[string]int{}, talks: map[string]place{}, owners: map[string]string{}}
	w.sim = cursorsim.New(cursorsim.Config{Seed: p.Misbehaves, Model: w.upstream.model, Now: w.cursorClock.now})
	if p.Upstream == "sdkbridge" {
		w.bridges = bridgesim.New(nil)
		w.bridges.PlayModel(w.upstream.model)
	}
	w.serve()
	w.database = memstore.New(memstore.Config{Now: w.clock.now})
	for i := range p.Replicas {
		w.replicas = append(w.replicas, newReplica(w, i))
	}
	w.say("world", "upstream %s, %d replicas, latency %v, misbehaves %d%s", p.Upstream, p.Replicas, p.Latency, p.Misbehaves, map[bool]string{true: ", tight"}[p.Tight])
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

// serve serves the simulated Cursor from now on, in place of a server that was there before, which is returned.
func (w *world) serve() (before *http.Server) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	l := memnet.Listen()
	server := &http.Server{Handler: w.exchange.before(w), Protocols: protocols, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go server.Serve(l)
	w.mu.Lock()
	defer w.mu.Unlock()
	before, w.serving, w.cursor = w.serving, server, l
	return before
}

// dialCursor connects to the server of the simulated Cursor that is there now.
func (w *world) dialCursor(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	l := w.cursor
	w.mu.Unlock()
	return l.Dial(ctx, network, address)
}

// A replica is the place of a gateway process, and its ways to the rest.
type replica struct {
	world   *world
	n       int
	in, out *memnet.Link

	// ways are those to the other replicas, by their place; nil when there are none. What an operation does to the ways between
	// replicas, it does to those from its replica and to it.
	ways map[*replica]*memnet.Link

	mu      sync.Mutex
	now     *process   // nil while there is none
	places  int        // how many addresses have been taken here
	reached []*process // all that have had one
}

// A process is a running gateway. It may be stopped or killed, and another one be started in its place.
type process struct {
	*cli.Instance
	listener *memnet.Listener
	peers    *memnet.Listener // where other replicas reach it; nil when there are none
	address  string           // of peers
	store    *memstore.Store
	auth     *http.Transport
	chat     *http.Transport // nil for other upstreams than chat

	ending atomic.Bool // somebody has begun to shut it down
	ended  chan struct{}
	dying  context.Context // ends when it is killed, also while it is shut down in good order
	die    context.CancelFunc
}

// tight is how many bytes a gateway that hardly keeps anything has for the runs that wait, and for conversations: less than most of
// them need.
const tight = 100

// parked is how long a run waits for the results of its calls.
const parked = 10 * time.Minute

// statusToken opens GET /status.
var statusToken = agent.NewSecret("status token")

var errDown = errors.New("nobody listens")

func newReplica(w *world, n int) *replica {
	r := &replica{world: w, n: n + 1}
	var made atomic.Int64 // connections, which several goroutines make
	delay := func() time.Duration {
		return w.plan.Latency + time.Duration(made.Add(1)*911+int64(n)*173)*time.Nanosecond
	}
	r.in = memnet.NewLink(func(ctx context.Context, network, address string) (net.Conn, error) {
		if p := r.process(); p != nil {
			return p.listener.Dial(ctx, network, address)
		}
		return nil, errDown
	}, delay)
	r.out = memnet.NewLink(w.dialCursor, delay)
	if w.plan.Carries {
		r.ways = map[*replica]*memnet.Link{}
		for _, other := range w.replicas {
			r.ways[other] = memnet.NewLink(other.dialPeer, delay)
			other.ways[r] = memnet.NewLink(r.dialPeer, delay)
		}
	}
	r.start()
	return r
}

// process is the one that runs; nil when there is none.
func (r *replica) process() *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// start makes a process, which knows nothing of those before it but what the database holds.
//
// A replica that two operations have stopped is started by the first that is over.
func (r *replica) start() {
	if r.process() == nil {
		r.replace()
	}
}

// replace makes a process in place of the one that runs, which is returned; new connections lead to the new one.
func (r *replica) replace() (before *process) {
	log := slog.New(slog.NewTextHandler(&r.world.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p := &process{
		listener: memnet.Listen(), store: r.world.database.Open(), ended: make(chan struct{}),
		auth: &http.Transport{DialContext: r.out.Dial, IdleConnTimeout: 90 * time.Second},
	}
	p.dying, p.die = context.WithCancel(context.Background())
	keys := auth.New(auth.Config{BackendBase: "http://cursor", APIBase: "http://cursor", HTTP: &http.Client{Transport: p.auth}})
	cfg := &config.Config{}
	cfg.MaxRepeatedCalls, cfg.SystemPrompt, cfg.ParkTimeout = 8, "auto", parked
	kept := 0
	if r.world.plan.Tight {
		kept = tight
	}
	var err error
	p.Instance, err = cli.Assemble(context.Background(), cfg, cli.Parts{
		Store: p.store, Ring: r.world.ring(), Auth: keys, Backends: []agent.Backend{r.backend(p, keys, log)}, Log: log, Token: statusToken, Kept: kept,
		Peers: r.listen(p),
	})
	if err != nil {
		panic(err)
	}
	go p.Serve(p.listener)
	if p.peers != nil {
		go p.ServeReplicas(p.peers)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before, r.now = r.now, p
	return before
}

// ring are the encryption keys that a process is started with now: the newest, and the one before it or, if it is announced, the next.
func (w *world) ring() *seal.Ring {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := func(n int) string { return fmt.Sprintf("correct horse battery staple %d", n) }
	previous := ""
	if w.rotations > 0 {
		previous = key(w.rotations - 1)
	}
	if w.announced {
		previous = key(w.rotations + 1)
	}
	ring, err := seal.Parse(key(w.rotations), previous)
	if err != nil {
		panic(err) // our own texts
	}
	return ring
}

func (r *replica) backend(p *process, keys *auth.Client, log *slog.Logger) agent.Backend {
	switch r.world.plan.Upstream {
	case "chat":
		p.chat = replay.NewTransport("http://cursor/chat", nil)
		p.chat.Proxy, p.chat.DialContext = nil, r.out.Dial
		return chat.New(chat.Config{Endpoint: "http://cursor/chat", Auth: keys, Transport: p.chat, Log: log})
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

// stop ends the process in good order, or as fast as one that is killed when grace is 0.
func (r *replica) stop(grace time.Duration) {
	r.mu.Lock()
	p := r.now
	r.now = nil
	r.mu.Unlock()
	if p == nil {
		return
	}
	if grace == 0 {
		p.listener.Close()
		if p.peers != nil {
			p.peers.Close()
		}
		r.in.Cut()
		r.out.Cut()
		r.peerLinks((*memnet.Link).Cut)
		p.store.Away(true) // it writes nothing any more
		p.die()
	}
	p.end(grace)
}

// end shuts a process down. When somebody else does so already, it waits for the end of that.
func (p *process) end(grace time.Duration) {
	if p.ending.Swap(true) {
		<-p.ended
		return
	}
	ctx := p.dying
	if grace == 0 {
		ctx = context.Background()
	}
	p.ShutDown(ctx, grace)
	p.listener.Close()
	p.auth.CloseIdleConnections()
	if p.chat != nil {
		p.chat.CloseIdleConnections()
	}
	p.die()
	close(p.ended)
}

// run is the whole life of the world.
func (w *world) run() {
	for _, p := range w.plan.People {
		if p.Hosted {
			w.signUp(p)
		}
	}
	var everybody, operators sync.WaitGroup
	for _, o := range w.plan.Operations {
		operators.Go(func() { w.operate(o) })
	}
	for _, p := range w.plan.People {
		everybody.Go(func() { w.live(p) })
	}
	gone := make(chan struct{})
	operators.Go(func() { w.watch(gone) })
	everybody.Wait()
	close(gone)
	operators.Wait()
	w.say("world", "everybody has gone")
	time.Sleep(11 * time.Minute) // longer than a run is parked
	w.laws.isIdle()
	w.laws.upstreamIsIdle()
	w.laws.hears()
	for _, r := range w.replicas {
		r.stop(time.Minute)
	}
	time.Sleep(10 * time.Minute) // longer than anything is idle
	w.laws.nothingIsConnected()
	for _, server := range append(w.gone, w.serving) {
		server.Close()
	}
	time.Sleep(time.Minute)
	w.laws.atTheEnd()
	w.laws.everythingGoes()
}
