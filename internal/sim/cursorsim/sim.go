package cursorsim

import (
	"log/slog"
	"net/http"
	"time"

	"composer-api/internal/sim/script"
)

// Config says how a Sim behaves. The zero value is a simulator that behaves well and plays script's
// default.
type Config struct {
	// Seed decides which faults of its own it adds, and where; 0 is none. See [wire.misbehave].
	Seed uint64
	// Script is what the first runs say; nil is the default. POST /sim/script replaces it later.
	Script *script.Script
	// Model decides what runs say in place of Script; nil leaves it to Script.
	Model script.Model
	// AgentPaths are further paths at which the stream is served, such as "/agent".
	AgentPaths []string
	// ChatPaths are paths at which the older chat endpoint is served, besides "/chat".
	ChatPaths []string
	// ContextOnly makes it behave as older servers did: they ask a client for the request context
	// (which holds its tools), and for nothing else. There is no MCP state, no allow-list and no
	// checkpoint, so no conversation can be continued.
	ContextOnly bool
	// TokenLifetime is how long an access token is valid; 0 is an hour.
	TokenLifetime time.Duration
	// Now is the clock of access tokens; nil is [time.Now].
	Now func() time.Time
	// AnswerTimeout is how long a client may take for an answer that needs no user: context, blobs
	// and the like. A run ends with deadline_exceeded after it. Results of tools have no limit,
	// because a user may have to be asked. 0 is 30 seconds.
	AnswerTimeout time.Duration
	// Keep is how many finished runs and how many conversations are remembered; 0 is 10,000.
	Keep int
	// Log gets a line for each run and each violation; nil is silence.
	Log *slog.Logger
}

// A Sim is a simulated Cursor. It is an http.Handler, safe for concurrent use, and owns nothing that
// needs closing: no goroutine of it outlives the request that it serves.
//
// Each of its parts has a lock of its own. The journal's and an inbox's are taken last: a conversation
// or a session may hold its own meanwhile, never the other way round.
type Sim struct {
	// config has its defaults filled in and doesn't change. mux finds the handler of a path.
	config Config
	mux    *http.ServeMux
	// From here on each part has a lock of its own.
	playlist      script.Playlist
	tokens        *tokens
	journal       *journal
	conversations *conversations
	sessions      *sessions
	chats         *chats
}

// New makes a Sim. Serve it with [Sim.Serve], or mount it as a handler. A handler behind HTTP/1.1
// alone offers RunSSE but not Run.
func New(config Config) *Sim {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.TokenLifetime == 0 {
		config.TokenLifetime = time.Hour
	}
	if config.AnswerTimeout == 0 {
		config.AnswerTimeout = 30 * time.Second
	}
	if config.Keep == 0 {
		config.Keep = 10_000
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sim{
		config:        config,
		mux:           http.NewServeMux(),
		tokens:        newTokens(config.TokenLifetime, config.Now),
		journal:       &journal{keep: config.Keep, log: config.Log},
		conversations: &conversations{keep: config.Keep},
		sessions:      &sessions{keep: config.Keep},
		chats:         &chats{keep: config.Keep},
	}
	// Both may be changed while it serves: by its methods, and by the admin routes.
	s.playlist.Set(config.Script)
	s.playlist.SetModel(config.Model)
	s.routes()
	return s
}

// routes registers every path. Whatever else is asked gets a 404.
func (s *Sim) routes() {
	// The public API, and what the key is exchanged for.
	s.mux.HandleFunc("POST /auth/exchange_user_api_key", s.exchangeKey)
	s.mux.HandleFunc("GET /v1/me", s.me)
	s.mux.HandleFunc("GET /v1/models", s.models)

	// The streams: one request of HTTP/2, or the pair of RunSSE and BidiAppend.
	s.mux.HandleFunc("POST /agent.v1.AgentService/Run", s.runHTTP2)
	for _, path := range s.config.AgentPaths {
		s.mux.HandleFunc("POST "+path, s.runHTTP2)
	}
	s.mux.HandleFunc("POST "+chatPath, s.chat)
	for _, path := range s.config.ChatPaths {
		s.mux.HandleFunc("POST "+path, s.chat)
	}
	s.mux.HandleFunc("POST /agent.v1.AgentService/RunSSE", s.runSSE)
	s.mux.HandleFunc("POST /aiserver.v1.BidiService/BidiAppend", s.bidiAppend)

	// The SDK asks this before a built-in tool runs, from 1.1.0 on. An answer without a body is an empty message, which
	// says that the user is in no team; a 404 makes the tool fail.
	s.mux.HandleFunc("POST /aiserver.v1.DashboardService/GetTeamReposOrEmptyIfNotInTeam", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/proto")
	})

	// For whoever tests. These need no key: the simulator is for loopback.
	s.mux.HandleFunc("GET /sim/runs", s.getRuns)
	s.mux.HandleFunc("DELETE /sim/runs", s.deleteRuns)
	s.mux.HandleFunc("GET /sim/violations", s.getViolations)
	s.mux.HandleFunc("GET /sim/state", s.getState)
	s.mux.HandleFunc("POST /sim/script", s.postScript)
	s.mux.HandleFunc("POST /sim/revoke", s.postRevoke)

	// Whatever else the SDK asks (privacy mode, server configuration, analytics): it goes on when told that there is
	// no such method.
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeConnectError(w, http.StatusNotFound, "unimplemented", "the simulator has no "+r.URL.Path)
	})
}

// ServeHTTP implements http.Handler.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// setScript replaces what the runs to come will say; nil leaves script's default. Runs in progress
// keep their turn.
func (s *Sim) setScript(next *script.Script) { s.playlist.Set(next) }

// Runs returns a copy of the record of every run, those in progress included, in the order in
// which they came. Of those over Config.Keep, the oldest are gone.
func (s *Sim) Runs() []Run { return s.journal.list() }

// Violations lists what clients did wrong, in the order in which it was seen. Those over
// Config.Keep are only in the log.
func (s *Sim) Violations() []Violation { return s.journal.listViolations() }

// Reset forgets runs and violations. Conversations and tokens stay.
func (s *Sim) Reset() { s.journal.reset() }

// RevokeTokens makes every access token invalid that was given out so far.
func (s *Sim) RevokeTokens() { s.tokens.revoke() }

// Exchanges is how many keys were exchanged for a token.
func (s *Sim) Exchanges() int { return s.tokens.count() }

// oldest keeps at most a number of things and forgets the oldest first. Its user holds the lock.
//
// It goes by the time of the first add, not of the last use: what is looked up often is forgotten as
// soon as anything else. For records of a test run that is enough.
type oldest[K comparable, V any] struct {
	// order has the keys of items, the oldest first.
	order []K
	items map[K]V
}

// add sets a value. A key that is there already keeps its age.
func (o *oldest[K, V]) add(key K, value V, keep int) {
	if o.items == nil {
		o.items = map[K]V{}
	}
	if _, known := o.items[key]; !known {
		o.order = append(o.order, key)
	}
	o.items[key] = value
	for len(o.order) > keep {
		delete(o.items, o.order[0])
		o.order = o.order[1:]
	}
}
