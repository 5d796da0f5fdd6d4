package service

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/known"
	"composer-api/internal/api/openai"
	"composer-api/internal/sse"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
)

// Config is what a Service needs.
type Config struct {
	// Turns carries out turns: a *gateway.Gateway. It must outlive the Service.
	Turns agent.Turner
	// Model finds the model that a client names, as the turn will: a catalogue's Resolve. It is asked before a response is queued, so
	// that a name that nobody knows is told at once. Nil asks nobody.
	Model func(ctx context.Context, caller agent.Caller, name, effort string) (agent.Model, error)
	// Store keeps responses and the events of background ones.
	Store Store
	// Held, when not nil, tells other replicas that this one has a response in its memory for that long: one in the
	// background that is not to be stored.
	Held func(owner, id string, d time.Duration)
	// Seal encrypts what clients carry for us: reasoning and compactions. Nil means a key that ends with the process:
	// what was sealed before a restart, or by another process, is refused then.
	Seal *seal.Ring
	// Age is how long a response is kept; 0 means 30 days, as at OpenAI.
	Age time.Duration
	// MaxJobs bounds the background responses that run at once in this process, and MaxJobsPerOwner those of one
	// owner; 0 means 64 and 16.
	MaxJobs, MaxJobsPerOwner int
	// MaxEventBytes bounds the events of the running ones that are in memory, together; 0 means 256 MiB.
	MaxEventBytes int
	// MaxBody bounds a message on a WebSocket, which holds the body of a request; 0 means 32 MB.
	MaxBody int64
	// Bounds are how much of each kind of thing such a message may hold.
	Bounds openai.Bounds
	// SSE says how streams treat their connections: heartbeats, and how long a write may take.
	SSE sse.Config
	// Sent remembers items of inputs. Nil remembers none.
	Sent *known.Memory
	// Log receives what happens to responses, never what they say. Nil discards it.
	Log *slog.Logger
}

// Store is the part of the store that responses and conversations need.
//
// sqlstore has it for SQLite and PostgreSQL, mostly behind store/bounded (deadlines) and
// store/sealed (encryption).
type Store interface {
	store.Responses
	store.Events
	store.Documents
	store.Watcher
}

// A Service answers the routes of the Responses API. Its methods may be called concurrently.
//
// mu guards the tables at the end and is held for their lookups only, never while the store or a client is waited for.
//
//	field          set by            read by
//	ctx, stop      New; Close ends   jobs, keepLeases
//	writes         New; Close ends   what is stored outside of requests
//	idle           admit, New        Close, which waits for it
//	jobs, byOwner  mu                jobs, requests, keepLeases
//	sockets        mu                sockets, Drain, Close
//	forgotten      mu                keepLeases
type Service struct {
	// cfg has its defaults filled in and doesn't change.
	cfg    Config
	store  *brief // in front of cfg.Store
	runner string // names this process on the rows that it works on

	ctx  context.Context // of the jobs; done when the service is closed
	stop context.CancelFunc
	// writes is the context of what is written outside of requests; done when a closed service waits no longer for it.
	writes       context.Context
	cancelWrites context.CancelFunc
	idle         sync.WaitGroup // jobs and the keeper
	eventBudget  budget         // of the jobs' journals

	recall *recall

	mu sync.Mutex
	// ending refuses new sockets, closed new jobs.
	ending  bool
	closed  bool
	sockets map[*socket]bool
	jobs    map[store.ResponseRef]*job
	byOwner map[string]int // jobs of each owner; holds no zeros
	// forgotten are background responses of which nobody knows whether they were created; see forget.
	forgotten []store.ResponseRef
}

// New makes a Service and begins to renew the leases of background responses. The caller closes it, before the gateway:
// its jobs are turns of the gateway.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Seal == nil {
		cfg.Seal = seal.Random()
	}
	cfg.Age = cmp.Or(cfg.Age, 30*24*time.Hour)
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 32<<20)
	cfg.MaxJobs = cmp.Or(cfg.MaxJobs, 64)
	cfg.MaxJobsPerOwner = cmp.Or(cfg.MaxJobsPerOwner, 16)
	s := &Service{cfg: cfg, store: newBrief(cfg.Store), runner: agent.NewID("runner_", 16), jobs: map[store.ResponseRef]*job{}, byOwner: map[string]int{},
		sockets: map[*socket]bool{}, recall: newRecall()}
	s.eventBudget.max = int64(cmp.Or(cfg.MaxEventBytes, 256<<20))
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.writes, s.cancelWrites = context.WithCancel(context.Background())
	s.idle.Go(s.keepLeases)
	return s
}

// closeTime bounds how long Close waits for the store.
const closeTime = 5 * time.Second

// Drain takes no more background responses and WebSockets. It waits for the responses that run, in the background and
// on sockets, until ctx ends, and returns ctx's error if some still run. A socket is closed when it has no work.
// Everything else goes on, so also what has ended can be read; the caller closes the Service.
//
// With other replicas (Config.Held), those get what is new. What still comes here brings the results that a run of this process
// waits for, so it is taken, until Close: nobody else could go on with that run. The caller waits for it, see Jobs.
//
// It is the first step of a shutdown; Close is the second, for what is left after the grace period.
func (s *Service) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.ending, s.closed = true, s.cfg.Held == nil
	jobs := slices.Collect(maps.Values(s.jobs))
	s.mu.Unlock()
	if err := s.drainSockets(ctx); err != nil {
		return err
	}
	for _, j := range jobs {
		select {
		case <-j.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Jobs is how many background responses run, or are about to.
func (s *Service) Jobs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admitted()
}

// admitted is Jobs for who holds mu.
func (s *Service) admitted() (n int) {
	for _, of := range s.byOwner {
		n += of
	}
	return n
}

// Close ends the background responses that run, marks them as failed and waits for that, closeTime at most when the
// store is away. It ends all sockets. Requests that run must have ended before: Close doesn't wait for them.
func (s *Service) Close() {
	s.mu.Lock()
	s.ending, s.closed = true, true
	s.mu.Unlock()
	s.closeSockets()
	s.stop()
	timer := time.AfterFunc(closeTime, s.cancelWrites)
	defer timer.Stop()
	s.idle.Wait()
	s.cancelWrites()
}

// purposes of the seal. They are part of what clients hold: never change one.
const (
	sealReasoning  = "responses-reasoning"
	sealCompaction = "responses-compaction"
)
