package pages

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"sync"
	"time"

	"composer-api/docs"
	"composer-api/internal/agent"
	"composer-api/internal/api/forwarded"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/hosted"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
	"composer-api/internal/watch"
)

// Config is what the pages need to know. Functions may be called concurrently; their errors are *agent.Error.
//
// All but Log, Now and PublicURL have to be set.
type Config struct {
	// Version is the program's.
	Version string
	// Demo says that scripts answer and no model.
	Demo bool
	// Upstreams are the names of the ways to a model, the default one first; none means that no turn can be carried out.
	Upstreams []string
	// Reachable finds out whether turns can reach the default upstream, without a key.
	Reachable func(ctx context.Context) error
	// PingStore reports whether what is kept can be reached.
	PingStore func(ctx context.Context) error
	// Caller is who sends a key, a hosted one or one of Cursor's.
	Caller func(ctx context.Context, key string) (agent.Caller, error)
	// WhoIs asks Cursor whose key this is.
	WhoIs func(ctx context.Context, key agent.Secret) (hosted.Person, error)
	// Models lists what a caller may use.
	Models func(ctx context.Context, caller agent.Caller) ([]catalog.Model, error)
	// HostedKeys says that there are hosted keys, and Entry who may sign up for one; "" is hosted.Open.
	HostedKeys bool
	Entry      hosted.Entry
	// Accounts signs people up.
	Accounts Accounts
	// SignUps bounds how often an address may try; it is shared with the API's route.
	SignUps *hosted.Limiter
	// OperatorTries bounds how often an address may try the operator's token; it is shared with the admin API.
	OperatorTries *hosted.Limiter
	// LocalOnly says that only this machine can reach the server.
	LocalOnly bool
	// Live is what the process does now, for the operator.
	Live func() []Figure
	// Limits are what the process allows, and Failures the newest turns that failed in it, for the operator.
	Limits   []Figure
	Failures func() []watch.Failure
	// Drain makes the server take no more turns, and Draining reports whether it does.
	Drain    func()
	Draining func() bool
	// Store is where accounts, keys, logs and sessions are kept. Its errors are the store's.
	Store Store
	// Hops finds out under which address a browser has reached us. Not nil.
	Hops *forwarded.Reader
	// PublicURL is the address of this server for its clients, without a slash at its end; "" means that it is found out
	// from each request.
	PublicURL string
	// Log gets what fails without a person being told; nil discards it.
	Log *slog.Logger
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Accounts is the hosted-key flow: *hosted.Service. Errors of the first two are *agent.Error, of the others the store's.
//
// It is an interface so that tests can say what Cursor answers.
type Accounts interface {
	SignUp(ctx context.Context, cursorKey agent.Secret, invitation string) (*hosted.SignedUp, error)
	Recognize(ctx context.Context, cursorKey agent.Secret) (store.Account, error)
	Rotate(ctx context.Context, keyID string) (agent.Secret, store.Key, error)
	Revoke(ctx context.Context, keyID string) error
	AddOwnKey(ctx context.Context, account, name string) (agent.Secret, store.Key, error)
	// Operator is for the operator's page; its errors may also be *agent.Error.
	Operator(who string) *hosted.Operator
}

// Store is what the pages read and write themselves.
//
// Sessions of browsers are documents in it (package session), so they need no table of their own
// and end with their account.
type Store interface {
	store.Accounts
	store.Keys
	store.RequestLogs
	store.Invitations
	store.Attempts
	store.Audits
	store.Documents
}

// A Site is all pages. It is safe for concurrent use.
//
// Nothing in it changes after New, so it needs no lock and no closing.
type Site struct {
	cfg Config
	// sessions says who is logged in. It keeps everything in the store.
	sessions *session.Sessions
	// description is openapi.json, compressed once somebody asks.
	description func() []byte
}

// A material is what the pages are made of. It never changes.
type material struct {
	assets *assets
	guide  *guide
	pages  map[string]*template.Template // by the name of their file, without its ending
}

// embedded is the material that the binary holds. It is made ready when somebody asks for a page first, in some ten
// milliseconds: many gateways never show one. All Sites of a process share it.
var embedded = sync.OnceValue(func() *material {
	m, err := newMaterial()
	if err != nil {
		panic(err) // the program was built wrongly, which its tests show
	}
	return m
})

// newMaterial reads the files, parses all templates and renders the documentation. It fails only if the program was built wrongly: a
// template or a file is broken, or a link in a document leads nowhere.
func newMaterial() (*material, error) {
	files, err := newAssets(packed)
	if err != nil {
		return nil, fmt.Errorf("the pages' files: %w", err)
	}
	guide, err := newGuide(docs.Files)
	if err != nil {
		return nil, fmt.Errorf("the documentation: %w", err)
	}
	pages, err := parseTemplates(templates)
	if err != nil {
		return nil, fmt.Errorf("the pages' templates: %w", err)
	}
	return &material{files, guide, pages}, nil
}

//go:embed templates
var templates embed.FS

// New makes a Site. It starts no goroutine and asks nobody anything.
func New(cfg Config) *Site {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Site{cfg: cfg, sessions: session.New(cfg.Store, cfg.Now),
		description: sync.OnceValue(func() []byte { return gzipped(openAPI) })}
}
