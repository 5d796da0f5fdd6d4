package sdkbridge

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/bridgechild"
	"composer-api/internal/cursor/sdkv1"
)

// Name is the backend's name, as the x-composer-upstream header shows it.
const Name = "sdkbridge"

// Config is what a Backend needs.
type Config struct {
	// Child says how a bridge is started.
	Child bridgechild.Config
	// PerOwner gives each owner a bridge of their own, so that no two tenants share a process or a folder.
	PerOwner bool
	// MaxWorkers bounds the bridges that run at once; each takes 130 to 400 MiB. 0 means 8.
	MaxWorkers int
	// RecycleRuns is after how many runs a bridge is replaced by a new one: it grows with every run. 0 means 500.
	RecycleRuns int
	// MaxIdleAgents bounds the agents of a bridge that are kept between runs; each takes about 1 MiB. 0 means 200.
	MaxIdleAgents int
	// Settle is how long to wait for sibling calls that were not announced; 0 means 200 ms.
	Settle time.Duration
	// StartTimeout bounds the start of a run; 0 means 25 seconds.
	StartTimeout time.Duration
	// ProgressTimeout is how long a run may say nothing; 0 means five minutes.
	ProgressTimeout time.Duration
	// Reach finds out whether Cursor can be reached from here, for Probe; nil leaves that out. Its errors are *agent.Error.
	Reach func(context.Context) error
	// Log receives what happens to bridges, never what is said. Nil discards it.
	Log *slog.Logger
}

// A Backend starts runs on bridges. It starts a bridge with the first run that needs one. The caller closes it when
// every run is closed.
type Backend struct {
	cfg Config

	mu      sync.Mutex
	slots   map[string]*slot // by owner, or all under "" without PerOwner
	clock   uint64           // counts uses of slots
	closed  bool
	closing sync.WaitGroup // workers that are being ended
}

// A slot is where the bridge of an owner runs.
type slot struct {
	worker   *worker       // nil when there is none
	starting chan struct{} // closed when the start that is on has ended; nil when none is
	failed   error         // of the last start
	again    time.Time     // before that, no other start is tried
	delay    time.Duration // between tries
	used     uint64        // Backend.clock at the last use
}

// New makes a Backend. It starts nothing.
func New(cfg Config) *Backend {
	cfg.MaxWorkers = cmp.Or(cfg.MaxWorkers, 8)
	cfg.RecycleRuns = cmp.Or(cfg.RecycleRuns, 500)
	cfg.MaxIdleAgents = cmp.Or(cfg.MaxIdleAgents, 200)
	cfg.Settle = cmp.Or(cfg.Settle, 200*time.Millisecond)
	cfg.StartTimeout = cmp.Or(cfg.StartTimeout, retry.StartTimeout)
	cfg.ProgressTimeout = cmp.Or(cfg.ProgressTimeout, retry.ProgressTimeout)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Backend{cfg: cfg, slots: map[string]*slot{}}
}

// Name implements agent.Backend.
func (b *Backend) Name() string { return Name }

// Warm starts the bridge that all owners share, so that the first run does not wait for it. It does nothing when each
// owner has their own. It does not wait.
func (b *Backend) Warm() {
	if b.cfg.PerOwner {
		return
	}
	b.closing.Go(func() {
		defer agent.CatchPanic(b.panicked)
		ctx, cancel := context.WithTimeout(context.Background(), b.cfg.StartTimeout)
		defer cancel()
		if _, err := b.worker(ctx, ""); err != nil {
			b.cfg.Log.Warn("Cursor's bridge is not ready", "err", err)
		}
	})
}

// Probe implements agent.Prober. The bridge that all owners share must answer; it is started if it is not there. What an
// owner's own bridge would do isn't tried.
func (b *Backend) Probe(ctx context.Context) error {
	if !b.cfg.PerOwner {
		w, err := b.worker(ctx, "")
		if err == nil {
			err = w.child.Client.Ping(ctx)
		}
		if err != nil {
			return callError(err)
		}
	}
	if b.cfg.Reach == nil {
		return nil
	}
	return b.cfg.Reach(ctx)
}

// Start implements agent.Backend.
func (b *Backend) Start(ctx context.Context, req *agent.Request) (agent.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.StartTimeout)
	defer cancel()
	r := newRun(b, req)
	at, err := b.open(ctx, r, req)
	if err != nil {
		return nil, err
	}
	r.attempt = at
	return r, nil
}

// open sends what is new in req to an agent: the one that holds the conversation, or a new one.
func (b *Backend) open(ctx context.Context, r *run, req *agent.Request) (*attempt, error) {
	text, images := agentwire.Prompt(req)
	message := sdkv1.UserMessage{Text: text}
	for _, image := range images {
		if len(image.Data) == 0 {
			return nil, agent.ParamError(agent.InvalidValue, image.Param, "The image could not be fetched. Send it as a data URL.")
		}
		message.Images = append(message.Images, sdkv1.Image{Data: sdkv1.ImageData{Data: image.Data, MimeType: image.MIME}})
	}
	r.meter = meter{prompt: agent.EstimatePrompt(req)}
	a, err := b.agentFor(ctx, req)
	if err != nil {
		return nil, err
	}
	if !a.worker.begin(a, r) {
		return nil, &agent.Error{Code: agent.ConversationLost, Err: errors.New("sdkbridge: the agent has a run")}
	}
	at, err := send(ctx, r, a, message)
	if err != nil {
		e := callError(err)
		if isBusy(e) && req.Continue != nil {
			e = &agent.Error{Code: agent.ConversationLost, Err: e}
		}
		return nil, e
	}
	return at, nil
}

// agentFor is the agent to send req to. Errors are *agent.Error.
func (b *Backend) agentFor(ctx context.Context, req *agent.Request) (*bridgeAgent, error) {
	if req.Continue != nil {
		c, ok := req.Continue.(*conversation)
		if !ok || c.agent.worker.gone() || !c.agent.worker.reuse(c, req) {
			return nil, &agent.Error{Code: agent.ConversationLost, Err: errors.New("sdkbridge: the agent has gone on, or is gone")}
		}
		return c.agent, nil
	}
	w, err := b.worker(ctx, req.Caller.Owner)
	if err != nil {
		return nil, callError(err)
	}
	a, err := w.create(ctx, req)
	if err != nil {
		return nil, callError(err)
	}
	return a, nil
}

// worker is the bridge for an owner. It is started if there is none, and replaced when it has run for long enough: the
// new one first, the old one ends when its runs have.
func (b *Backend) worker(ctx context.Context, owner string) (*worker, error) {
	if !b.cfg.PerOwner {
		owner = ""
	}
	for {
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			return nil, &agent.Error{Code: agent.Overloaded, Message: "The server is shutting down. Please try again.", RetryAfter: time.Second}
		}
		s := b.slots[owner]
		if s == nil {
			if err := b.makeRoom(); err != nil {
				b.mu.Unlock()
				return nil, err
			}
			s = &slot{}
			b.slots[owner] = s
		}
		b.clock++
		s.used = b.clock
		if w := s.worker; w != nil && !w.gone() && !w.worn(b.cfg.RecycleRuns) {
			b.mu.Unlock()
			return w, nil
		}
		if s.starting == nil {
			if time.Now().Before(s.again) {
				err := s.failed
				b.mu.Unlock()
				return nil, err
			}
			s.starting = make(chan struct{})
			go b.startInto(s)
		}
		starting := s.starting
		b.mu.Unlock()
		select {
		case <-starting:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		b.mu.Lock()
		failed := s.failed
		b.mu.Unlock()
		if failed != nil {
			return nil, failed
		}
	}
}

// The waits between starts that fail.
const (
	firstDelay = time.Second
	maxDelay   = 30 * time.Second
)

// startInto starts a bridge and puts it into s, in place of the one that is there.
func (b *Backend) startInto(s *slot) {
	w := &worker{log: b.cfg.Log, max: b.cfg.MaxIdleAgents, agents: map[string]*bridgeAgent{}}
	began := time.Now()
	child, err := b.startChild(w)
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() {
		close(s.starting)
		s.starting = nil
	}()
	if err != nil {
		s.delay = min(max(2*s.delay, firstDelay), maxDelay)
		s.again = time.Now().Add(s.delay)
		s.failed = &agent.Error{
			Code: agent.Overloaded, Message: "Cursor's bridge could not be started. 'composer-api upstream status' says why.", RetryAfter: s.delay, Err: err,
		}
		b.cfg.Log.Error("Cursor's bridge could not be started", "err", err, "next_try", s.delay)
		return
	}
	w.child = child
	b.cfg.Log.Info("Cursor's bridge is ready", "pid", child.PID, "took", time.Since(began).Round(time.Millisecond))
	old := s.worker
	s.worker, s.failed, s.delay = w, nil, 0
	if old != nil {
		b.retire(old)
	}
	if b.closed {
		b.retire(w)
	}
}

// startChild starts the process of a bridge. Whoever waits for it gets the error, whatever it is.
func (b *Backend) startChild(w *worker) (child *bridgechild.Child, err error) {
	defer agent.CatchPanic(func(panicked *agent.Error) { err = panicked })
	return bridgechild.Start(context.Background(), b.cfg.Child, w.callTool)
}

// panicked notes a bug that was met where nobody waits for an error.
func (b *Backend) panicked(err *agent.Error) {
	b.cfg.Log.Error("the bridge's upstream panicked", "err", err)
}

// makeRoom ends the bridge that was used longest ago, if there are as many as there may be. mu is held.
func (b *Backend) makeRoom() error {
	if len(b.slots) < b.cfg.MaxWorkers {
		return nil
	}
	var oldest string
	var found *slot
	for owner, s := range b.slots {
		if s.starting == nil && (s.worker == nil || s.worker.idle()) && (found == nil || s.used < found.used) {
			oldest, found = owner, s
		}
	}
	if found == nil {
		return &agent.Error{Code: agent.Overloaded, Message: "The server runs as many of Cursor's bridges as it may. Please try again shortly.", RetryAfter: 5 * time.Second}
	}
	delete(b.slots, oldest)
	if found.worker != nil {
		b.retire(found.worker)
	}
	return nil
}

// retire ends a bridge once its runs have ended. mu is held.
func (b *Backend) retire(w *worker) {
	drained := w.retire()
	b.closing.Go(func() {
		defer agent.CatchPanic(b.panicked)
		select {
		case <-drained:
		case <-w.child.Exited():
		}
		w.deleting.Wait()
		if err := w.child.Close(); err != nil {
			b.cfg.Log.Warn("ending Cursor's bridge", "err", err)
		}
	})
}

// Close ends all bridges. The runs must be closed before.
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	for _, s := range b.slots {
		if s.worker != nil {
			b.retire(s.worker)
		}
		if s.starting != nil {
			starting := s.starting
			b.closing.Go(func() { <-starting })
		}
	}
	clear(b.slots)
	b.mu.Unlock()
	b.closing.Wait()
	return nil
}
