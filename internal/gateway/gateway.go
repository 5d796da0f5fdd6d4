// Package gateway carries out one turn: it finds the run that answers, passes the run's events to the surface's encoder,
// and then parks the run, remembers the conversation, or closes it.
//
//	a parked run waits for these tool results     claim ──► Resume
//	upstream still has the conversation           recall ──► Start with the new messages
//	neither, or it failed early                   Start with the whole transcript
//
//	events … Done(tool calls)                     park
//	events … Done(stop)                           remember, close
//	an error                                      close
//
// Everything here can be lost at any time (the process restarts, a run expires, the next request reaches another replica)
// without the client noticing: the transcript that it sends is always enough to start again.
//
// What a turn is given: a Request whose fields the surface has decoded and httpd has completed
// (Caller, Origin). What the gateway itself fills in: Model, ConversationID, Continue, New, and the
// text of files and the bytes of images. It knows no JSON of any surface and no message of Cursor's.
//
//	gateway.go     Gateway: what all turns share; Turn, Close
//	turn.go        turn: the steps of one request, and which run is tried next
//	again.go       when another run may be tried after one that has failed
//	claim.go       which parked run waits for this request
//	answer.go      answer: what the client has been given
//	refusal.go     how long the response headers wait for an early refusal
//	digest.go      Digest: when two transcripts count as one conversation
//	digestcache.go digests of long JSON that was seen before
//	transcript.go  what the messages of a request say about calls and results
//	echo.go        what clients add to the model's words when they send them back
//	rewritten.go   what clients change in the arguments of calls
//	session.go     stable conversation ids for named sessions
//	memory.go      conversations in this process; durable.go keeps them in the store
//	orphans.go     runs that wait here while their session goes on by way of another replica
//	reachable.go   whether an upstream answers, for the health checks
//
// Read them in this order. The packages below it are control (limits and repairs, a run around
// each run), park (runs that wait), catalog (model names), gate (how much is done at once),
// imagefetch and pdftext.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/gateway/control"
	"composer-api/internal/gateway/park"
	"composer-api/internal/store"
)

// An ImageFetcher makes the images in messages fit to be sent upstream: it gets the bytes of
// those that are known by URL only, and makes large ones smaller. An image that can't be had
// gets a Fault. The one error is the end of ctx, an *agent.Error. owner is whose request it is,
// for fairness between users. It may be called concurrently. imagefetch.Fetcher is the one in
// use; the interface is here so that tests need no network.
//
// It changes the messages in place: a request's messages belong to its turn by then.
type ImageFetcher interface {
	Fetch(ctx context.Context, owner string, messages []agent.Message) error
}

// A FileReader takes the text out of files. Errors are *agent.Error. It may be called concurrently.
//
// pdftext.Reader is the one in use. What Read returns replaces the file in the conversation, so
// it has to be the same text each time: transcripts are compared by it.
type FileReader interface {
	Read(ctx context.Context, owner string, f *agent.File) (string, error)
}

// Config is what a Gateway needs. New copies it, and nothing in it is changed afterwards but
// what New fills in.
type Config struct {
	// Backends are the upstreams by their names; the first serves requests that name none.
	Backends []agent.Backend
	// Catalog resolves model names. Nil means Composer's own models.
	Catalog *catalog.Catalog
	// ParkTimeout is how long a run waits for tool results; 0 means ten minutes. It is a
	// compromise: while a run waits it holds an upstream stream and memory, and a user may need
	// some minutes to allow a tool's use.
	ParkTimeout time.Duration
	// MaxParked bounds the runs that wait; 0 means 20,000.
	MaxParked int
	// MaxParkedBytes bounds what those keep in memory; 0 means 256 MiB.
	MaxParkedBytes int
	// Memory remembers conversations; nil means one in this process.
	Memory Memory
	// MaxMemoryBytes bounds the conversations that a Memory of nil keeps; 0 means 256 MiB.
	MaxMemoryBytes int
	// Durable, when not nil, remembers the conversations of requests that may be written down.
	// The others are remembered in Memory alone.
	Durable Memory
	// Sessions pins the sessions of requests that ask for it; nil pins none.
	Sessions store.Sessions
	// Images prepares the images of a request. Nil leaves them as they came.
	Images ImageFetcher
	// Files reads the files of a request. Nil reads none.
	Files FileReader
	// Unconfigured is the error message for a request when there is no backend for it: which variables
	// to set.
	Unconfigured string
	// Controls is what the operator asks of every answer. SameCall is the gateway's to fill in.
	Controls control.Config
	// Unclaimed, when not nil, is told why a parked run has ended without tool results. It is called from any goroutine.
	Unclaimed func(park.Cause)
	// Parked, when not nil, is told of the calls whose results a run waits for from now on, before the client learns of
	// them. It is called from any goroutine, and the client waits for it.
	Parked func(owner string, calls []string)
	// Log receives what happens to runs, never their content. Nil discards it.
	Log *slog.Logger
}

// A Gateway carries out turns. Its methods may be called concurrently. It owns the parked runs; each run in a turn is
// owned by that turn. It has no state of a request between turns but what the lot and the memory hold.
//
// mu guards closed, and orders turns.Add before Close's turns.Wait. It is held for these few lines only,
// never during a turn. Everything else is set by New, and is either immutable or has a lock of its own.
type Gateway struct {
	// cfg has its defaults filled in.
	cfg Config
	// lot has the runs that wait for tool results. Their owner is the lot until a turn claims them.
	lot *park.Lot[*waiting]
	// memory remembers conversations in this process; digests remember what long JSON hashes to.
	memory  Memory
	digests *digestCache
	// layer makes the control.Run around each backend's run, and keeps the budgets' books.
	layer *control.Layer
	// orphans are the sessions of parked runs, for when these go on elsewhere.
	orphans orphans
	probes  map[string]*probe // by the backend's name; never changed

	// stop ends the turns that have not finished when Close's context ends; ctx is done then.
	stop context.CancelFunc
	ctx  context.Context // done when stop was called
	mu   sync.Mutex
	// closed says that Close has begun: enter refuses from then on.
	closed bool
	// turns counts the turns in progress. Turn is where one is added (through enter) and taken off.
	turns sync.WaitGroup
}

// New makes a Gateway. The caller closes it.
//
// It starts nothing: no goroutine, no connection. The backends stay the caller's, who closes
// them after the Gateway, because the parked runs are closed through them.
func New(cfg Config) *Gateway {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Catalog == nil {
		cfg.Catalog = catalog.New(catalog.Config{})
	}
	if cfg.Memory == nil {
		cfg.Memory = newMemory(memoryLimits{Bytes: cfg.MaxMemoryBytes})
	}
	cfg.Unconfigured = cmp.Or(cfg.Unconfigured, "No upstream is configured for this route.")
	cfg.Controls.SameCall = sameCall
	g := &Gateway{cfg: cfg, memory: cfg.Memory, digests: newDigestCache(), layer: control.New(cfg.Controls)}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.probes = newProbes(g.ctx, cfg.Backends, cfg.Log)
	g.lot = park.New(park.Config[*waiting]{
		Timeout: cfg.ParkTimeout, Max: cfg.MaxParked, MaxBytes: cfg.MaxParkedBytes, Size: func(w *waiting) int { return w.run.Size() }, End: g.endWaiting,
		Panicked: func(p any) { cfg.Log.Error("the lot of parked runs panicked", "value", p) },
	})
	return g
}

// Turn carries out req and writes the answer to sink. ctx is the client's: when it ends, the run is closed. Turn fills
// in those fields of req that are the gateway's.
//
// Errors are *agent.Error. Before sink.Accept was called nothing has been sent, and an error can still have a status of
// its own; afterwards the surface reports it in its stream.
//
// The turn replaces messages in req. Afterwards the caller may read req, but must not change it: a
// parked run may keep it for minutes.
func (g *Gateway) Turn(ctx context.Context, req *agent.Request, sink agent.Sink) (err error) {
	// A bug met in one turn must not end the others: a background response has nobody above who catches. What the turn
	// held is let go of by then.
	defer agent.CatchPanic(func(panicked *agent.Error) {
		err = panicked
		g.cfg.Log.Error("a turn panicked", "id", req.Origin.RequestID, "err", err)
	})
	if !g.enter() {
		return agent.ErrShuttingDown
	}
	defer g.turns.Done()
	// The turn's context ends with the client's, or with errStopped when Close has waited long
	// enough. Which of the two it was, turnError tells from the cause.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(g.ctx, func() { cancel(errStopped) })()

	backend, err := g.backend(req.Upstream)
	if err != nil {
		return err
	}
	if req.Model, err = g.cfg.Catalog.Resolve(ctx, req.Caller, req.ModelName, req.Effort); err != nil {
		return err
	}
	// Before anything is compared: what the model has seen of a file is its text.
	if req.Messages, err = agent.ReadFiles(req.Messages, func(f *agent.File) (string, error) { return g.readFile(ctx, req.Caller.Owner, f) }); err != nil {
		return err
	}
	// Then what clients add to the model's words, for the same reason. newTurn hashes what is left.
	req.Messages = withoutEchoes(req.Messages)
	t, err := newTurn(g, backend, req, sink)
	if err != nil {
		return err
	}
	// Only a request that may begin a run needs a session's id, so one that a budget refuses leaves no row.
	t.session = g.pin(ctx, req)
	if err := t.do(ctx); err != nil {
		t.chargeFailure()
		return turnError(ctx, err)
	}
	return nil
}

// readFile is the text of one file. Its error names the request's field, which only the surface
// knows, and which travels in the file (Param).
func (g *Gateway) readFile(ctx context.Context, owner string, f *agent.File) (string, error) {
	if g.cfg.Files == nil {
		return "", agent.ParamError(agent.UnsupportedValue, f.Param, "Files of this type can't be read here. Send the text.")
	}
	return g.cfg.Files.Read(ctx, owner, f)
}

// Parked is how many runs wait for tool results now, and for how long the first of them has; 0 when there is none.
func (g *Gateway) Parked() (n int, oldest time.Duration) {
	n, since := g.lot.Waiting()
	if n == 0 {
		return 0, 0
	}
	return n, time.Since(since)
}

// Close takes no more turns, ends the parked runs, and waits for the turns in progress. When ctx ends first, those are cut
// off with errStopped, and ctx's error is returned. It may be called once.
//
// The lot is closed twice: first so that no parked run keeps the shutdown waiting for its
// client, then for the runs that the last turns have parked meanwhile.
func (g *Gateway) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.orphans.close()
	g.lot.Close()
	idle := make(chan struct{})
	go func() {
		g.turns.Wait()
		close(idle)
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = ctx.Err()
		g.stop()
		<-idle
	}
	g.stop()
	g.orphans.checks.Wait() // the store may be closed after that
	g.lot.Close()           // what the last turns parked
	return err
}

// enter counts a turn, unless the gateway is closed; Turn uncounts it. mu makes sure that no turn is counted after Close began to
// wait.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.turns.Add(1)
	return true
}

// backend finds a backend by its name; "" is the first. The names come from the routes
// (agent.Request.Upstream). There are few of them, so a search is enough.
func (g *Gateway) backend(name string) (agent.Backend, error) {
	for _, b := range g.cfg.Backends {
		if name == "" || b.Name() == name {
			return b, nil
		}
	}
	return nil, &agent.Error{Code: agent.NotConfigured, Message: g.cfg.Unconfigured}
}

// endWaiting closes a run that leaves the lot unclaimed: because of its age, for want of room, because the conversation has gone on
// without it, or at the end. The lot calls it on a goroutine of its own, so it may wait for the network.
func (g *Gateway) endWaiting(w *waiting, cause park.Cause) {
	defer agent.CatchPanic(func(err *agent.Error) { g.cfg.Log.Error("ending a parked run panicked", "err", err) })
	g.cfg.Log.Info("parked run ended", "cause", string(cause), "calls", strings.Join(w.calls, " "))
	if g.cfg.Unclaimed != nil {
		g.cfg.Unclaimed(cause)
	}
	w.run.Close()
}

// memoryFor is where the conversations of req are remembered. A request that may not be written
// down has the memory of this process alone.
func (g *Gateway) memoryFor(req *agent.Request) Memory {
	if req.Durable && g.cfg.Durable != nil {
		return tiered{near: g.memory, far: g.cfg.Durable}
	}
	return g.memory
}

// errStopped is the cause of a turn that Close cut off.
var errStopped = &agent.Error{Code: agent.Overloaded, Message: "The server was shut down before the answer was complete. Please try again.", RetryAfter: time.Second}

// turnError is the error for the client of a failed turn. If its context has ended, that
// explains whatever came after. It is the last step of Turn, so every error that leaves the
// gateway has passed here.
func turnError(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return agent.AsError(err)
	}
	if errors.Is(context.Cause(ctx), errStopped) {
		return errStopped
	}
	return &agent.Error{Code: agent.Canceled, Err: context.Cause(ctx)}
}
