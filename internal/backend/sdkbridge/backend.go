package sdkbridge

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/cursor/sdkv1"
)

// Name is the backend's name, as the x-composer-upstream header shows it.
const Name = "sdkbridge"

// The defaults of settings that an operator may change. Those of COMPOSER_SDK_BRIDGE_MAX and so on repeat them for the help
// text; a test in cli compares the two.
const (
	DefaultMaxBridges    = 8
	DefaultRecycleRuns   = 500
	DefaultRecycleMemory = 768 << 20
)

// Config is what a Backend needs.
type Config struct {
	// NewHome makes a place for a pool's bridges and their agents. The backend closes it.
	NewHome func() (sdkv1.Home, error)
	// PerOwner gives each owner a pool of their own, so that no two tenants share a process or a folder.
	PerOwner bool
	// MaxBridges bounds the bridges that run at once; each takes 130 to 400 MiB. While one is replaced there may be one more.
	// 0 means DefaultMaxBridges.
	MaxBridges int
	// MaxPerPool bounds those of one pool. A bridge has one thread, so more than there are processors are of no use: that
	// is what 0 means.
	MaxPerPool int
	// RecycleRuns is after how many runs a bridge is replaced by a new one: it grows with every run. 0 means
	// DefaultRecycleRuns.
	RecycleRuns int
	// RecycleMemory is at how many bytes of memory it is replaced. 0 means DefaultRecycleMemory.
	RecycleMemory int64
	// MaxIdleAgents bounds the agents that are kept between runs, of all pools together; each takes about 1 MiB of a
	// bridge's memory and up to 0.2 MiB of its home. 0 means 200.
	MaxIdleAgents int
	// Settle is how long to wait for sibling calls that were not announced; 0 means 200 ms.
	Settle time.Duration
	// StartTimeout bounds the start of a run on a bridge that is there; 0 means 25 seconds.
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
//
// mu guards the backend, its pools, their workers and their agents: whatever is said to be guarded by it. It is held for
// moments only, never while a bridge is asked something.
//
// work counts every goroutine that the backend has started, but for those of attempts, which a
// run's Close ends, and of deletions, for which retire waits. Close waits for it.
type Backend struct {
	// cfg has its defaults filled in and doesn't change.
	cfg  Config
	life context.Context // ends with Close; starts and upkeep end with it
	end  context.CancelFunc
	work sync.WaitGroup // everything that goes on in the background

	mu      sync.Mutex
	pools   map[string]*pool // by owner, or the one of all under "" without PerOwner
	clock   uint64           // counts uses of pools and agents
	keeping bool             // upkeep is on
	// closed refuses new runs and starts.
	closed bool
}

// New makes a Backend. It starts nothing. The first run, Probe or Warm starts a bridge.
func New(cfg Config) *Backend {
	cfg.MaxBridges = cmp.Or(cfg.MaxBridges, DefaultMaxBridges)
	cfg.MaxPerPool = cmp.Or(cfg.MaxPerPool, runtime.NumCPU())
	cfg.RecycleRuns = cmp.Or(cfg.RecycleRuns, DefaultRecycleRuns)
	cfg.RecycleMemory = cmp.Or(cfg.RecycleMemory, DefaultRecycleMemory)
	cfg.MaxIdleAgents = cmp.Or(cfg.MaxIdleAgents, 200)
	cfg.Settle = cmp.Or(cfg.Settle, 200*time.Millisecond)
	cfg.StartTimeout = cmp.Or(cfg.StartTimeout, retry.StartTimeout)
	cfg.ProgressTimeout = cmp.Or(cfg.ProgressTimeout, retry.ProgressTimeout)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b := &Backend{cfg: cfg, pools: map[string]*pool{}}
	b.life, b.end = context.WithCancel(context.Background())
	return b
}

// Name implements agent.Backend.
func (b *Backend) Name() string { return Name }

// Warm starts the bridge that all owners share, so that the first run does not wait for it. It does nothing when each
// owner has their own. It does not wait.
func (b *Backend) Warm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.poolOf(""); !b.cfg.PerOwner && !b.closed && len(p.workers) == 0 && p.starting == nil {
		b.startFor(p, nil)
	}
}

// Probe implements agent.Prober. The bridge that all owners share must answer; it is started if it is not there. What an
// owner's own bridge would do isn't tried.
func (b *Backend) Probe(ctx context.Context) error {
	if !b.cfg.PerOwner {
		w, err := b.await(ctx, "", func(*worker) {})
		if err == nil {
			err = w.bridge.Client().Ping(ctx)
		}
		if err != nil {
			return failed(err).Err
		}
	}
	if b.cfg.Reach == nil {
		return nil
	}
	return b.cfg.Reach(ctx)
}

// Start implements agent.Backend.
//
// Errors are *agent.Error, or ctx's.
func (b *Backend) Start(ctx context.Context, req *agent.Request) (agent.Run, error) {
	r := newRun(b, req)
	if err := r.openInTime(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// send sends what is new in r's request to an agent: the one that holds the conversation, or a new one.
//
// Images go with the message as bytes; one that could not be fetched is the client's to send again.
func (b *Backend) send(ctx context.Context, r *run) (*attempt, *cursorerr.Failure) {
	text, images := agentwire.Prompt(r.req)
	message := sdkv1.UserMessage{Text: text}
	for _, image := range images {
		if len(image.Data) == 0 {
			return nil, lasting(agent.ParamError(agent.InvalidValue, image.Param, "The image could not be fetched. Send it as a data URL."))
		}
		message.Images = append(message.Images, sdkv1.Image{Data: sdkv1.ImageData{Data: image.Data, MimeType: image.MIME}})
	}
	a, w, err := b.agentFor(ctx, r)
	if err != nil {
		return nil, failed(err)
	}
	at, err := begin(ctx, r, a, w, message)
	if err != nil {
		return nil, failed(err)
	}
	return at, nil
}

// agentFor is the agent to send r's message to, and the bridge that has it. r is the agent's run from then on.
func (b *Backend) agentFor(ctx context.Context, r *run) (*bridgeAgent, *worker, error) {
	if r.req.Continue == nil {
		return b.create(ctx, r)
	}
	c, ok := r.req.Continue.(*conversation)
	if !ok {
		return nil, nil, &agent.Error{Code: agent.ConversationLost, Err: errors.New("sdkbridge: a conversation of somebody else")}
	}
	return b.resume(ctx, c, r)
}

// panicked notes a bug that was met where nobody waits for an error.
func (b *Backend) panicked(err *agent.Error) {
	b.cfg.Log.Error("the bridge's upstream panicked", "err", err)
}

// Close ends all bridges and deletes their homes. The runs must be closed before.
//
// It is in three steps: no new run and every bridge retired; then what goes on in the
// background ends; then the homes are deleted, which nobody uses any more.
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	for _, p := range b.pools {
		for _, w := range slices.Clone(p.workers) {
			b.retire(w)
		}
	}
	b.mu.Unlock()
	b.end()
	b.work.Wait()
	var errs []error
	for _, p := range b.pools { // nobody else is left
		errs = append(errs, p.close())
	}
	clear(b.pools)
	return errors.Join(errs...)
}
