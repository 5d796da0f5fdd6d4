package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/accounts"
	"composer-api/internal/api/admin"
	"composer-api/internal/api/chat"
	"composer-api/internal/api/chat/stored"
	"composer-api/internal/api/completions"
	"composer-api/internal/api/forwarded"
	"composer-api/internal/api/known"
	"composer-api/internal/api/messages"
	"composer-api/internal/api/models"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses/service"
	"composer-api/internal/api/usage"
	"composer-api/internal/config"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/gateway"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/gateway/imagefetch"
	"composer-api/internal/gateway/park"
	"composer-api/internal/gateway/pdftext"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/waitlist"
	"composer-api/internal/httpd"
	"composer-api/internal/localtoken"
	"composer-api/internal/metrics"
	"composer-api/internal/pages"
	"composer-api/internal/pages/session"
	"composer-api/internal/replica"
	"composer-api/internal/status"
	"composer-api/internal/store"
	"composer-api/internal/store/bounded"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sealed"
	"composer-api/internal/store/sqlstore"
	"composer-api/internal/traces"
	"composer-api/internal/watch"
)

// The gateway put together. Everything that one package needs of another is handed to it here,
// as a value of its Config; no package finds another by itself. The order within Assemble is that
// of need, and ShutDown goes the other way.

// wire makes an Instance that will listen on addr, and on peers for other replicas, when that is not nil. The caller shuts it
// down. It opens what the Instance needs from outside; Assemble connects it.
func (c *serveCmd) wire(ctx context.Context, p *process, logs *loggers, addr net.Addr, peers *PeerListener, tracing *traces.Traces) (*Instance, error) {
	client, err := newHTTPClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	// One client, and so one cache of access tokens, for backends, sign-up and catalogue.
	auth := newAuth(&c.PublicAPI, c.BackendBase, client)
	up, err := c.newUpstreams(p, auth, logs.of("upstream"))
	if err != nil {
		return nil, err
	}
	ring, err := newRing(&c.Storage)
	if err != nil {
		return nil, err
	}
	if c.Demo {
		c.DB = sqlstore.Memory() // the demo neither reads nor changes what a real gateway keeps
	}
	// Before the store is opened: a setting that is wrong must not change the database's schema.
	lent, err := c.localKey(ctx, p, addr)
	if err != nil {
		return nil, err
	}
	db, err := openStore(ctx, p, &c.Storage, c.DBListen, ring, logs.of("store"))
	if err != nil {
		return nil, err
	}
	// From here on something is open. What fails below is closed by the end of the process: every error here ends the command.
	parts := Parts{
		Store: db, Ring: ring, Auth: auth, Backends: up.backends, OpenCodeV2: up.openCodeV2, OpenCode: up.openCode,
		LocalOnly: local(addr), Traces: tracing, Log: logs.of("server"), Local: lent, Peers: peers, logs: logs, demo: c.Demo,
	}
	if dir, err := p.env.StateDir(); err == nil && !c.Demo {
		// A folder that can't be written is no reason not to serve: without a token GET /status refuses everybody.
		if parts.Token, err = localtoken.ReadOrMake(dir); err != nil {
			parts.Log.Warn("there is no token for 'composer-api status'", "err", err)
		}
	}
	// The demo has neither: nothing of it may reach the network.
	if !c.Demo {
		parts.images = imagefetch.New(imagefetch.Config{MaxMemory: imageMemory()})
		parts.join = newWaitlist(&c.Accounts, client).Join
	}
	return Assemble(ctx, &c.Config, parts)
}

// Parts are what an Instance needs from outside: ways to a model, a database, the network. serve opens the real ones, and
// the simulation (package simtest) has others.
//
// The exported fields are what a test of the whole can replace. All have to be set but Ring, Traces, Local, Token, Kept and
// Peers, of which it is said below what the zero value means.
type Parts struct {
	// Store is the database, neither sealed nor bounded. The Instance closes it.
	Store store.Store
	// Ring has the encryption keys; nil means that there are none, see newRing.
	Ring *seal.Ring
	// Auth asks Cursor about keys.
	Auth *auth.Client
	// Backends are the upstreams; the first serves /v1. The Instance closes those that are an io.Closer.
	Backends []agent.Backend
	// OpenCodeV2 and OpenCode name the backends of the routes for OpenCode.
	OpenCodeV2, OpenCode string
	// LocalOnly says that the listener is on the loopback interface.
	LocalOnly bool
	// Traces, when not nil, are told of requests and turns. The Instance shuts them down.
	Traces *traces.Traces
	// Local lends the server's own Cursor key to clients; nil for none.
	Local *httpd.LocalKey
	// Token is that of GET /status; the zero one refuses everybody.
	Token agent.Secret
	// Kept is how many bytes the runs that wait may keep, and conversations as many; 0 is a part of the memory limit.
	Kept int
	// Peers is where other replicas reach this one; nil for a server that is alone. The caller gives it to ServeReplicas.
	Peers *PeerListener
	// Log receives what the parts do, never a request's content. It has to be set.
	Log *slog.Logger

	logs   *loggers                                    // nil for Log in all parts
	images gateway.ImageFetcher                        // nil leaves images that are known by URL
	join   func(context.Context, waitlist.Entry) error // nil is a waiting list without a URL
	demo   bool                                        // nothing reaches the network, and no key is needed
}

// Assemble makes an Instance of parts. The caller shuts it down. After an error nothing of it runs; the parts stay the
// caller's. It is the one place where the packages meet:
//
//	httpd ──► surfaces ──► watch ──► hosted.Record ──► gateway ──► backends
//	  │          │                        │               │
//	  └──────────┴────────────────────────┴───────────────┴──► store: bounded ──► sealed ──► sqlstore
func Assemble(ctx context.Context, c *config.Config, p Parts) (*Instance, error) {
	ring, logs, counts := p.Ring, p.logs, metrics.New(buildVersion())
	if logs == nil {
		logs = &loggers{handler: p.Log.Handler(), levels: config.Levels{Level: config.Level{Level: slog.LevelDebug}}} // what is too low is left out by Log
	}
	// Calls pass the bound first and the seal second, so the time that encryption takes counts,
	// too.
	s := &Instance{
		log: p.Log, store: bounded.New(sealed.New(p.Store, ring), bounded.Limit, counts.Stored), backends: p.Backends,
		metrics: counts, today: status.NewToday(), lends: p.Local != nil, traces: p.Traces,
	}

	// What is outside of this machine comes in one value, so that the demo can replace all of it.
	world := outside{fetch: modelsFrom(p.Auth), images: p.images, verify: verify(p.Auth), join: p.join}
	if p.demo {
		world = demoOutside()
	}
	if world.join == nil {
		world.join = newWaitlist(&config.Accounts{}, nil).Join
	}
	// From the middle outwards: the gateway, then what stands in front of it, then the server.
	//
	// One for all: the models page, /v1/models and every turn see the same list.
	cat := catalog.New(catalog.Config{Fetch: world.fetch, Aliases: aliases(c.Aliases), Log: logs.of("catalog")})
	if err := s.makeGateway(c, &p, world.images, cat, logs); err != nil {
		return nil, err
	}
	people := hosted.New(hosted.Config{
		Store: s.store, Ring: ring, Verify: world.verify, Model: cat.Resolve, Entry: hosted.Entry(c.Accounts.Signup), Runner: agent.NewID("run_", 22), Log: logs.of("hosted"),
	})
	// keepAlive renews this process's lease through it.
	s.people = people
	// The API and the pages call the same service. The demo refuses both.
	signUp := people.SignUp
	if p.demo {
		signUp = noSignUp
	}
	// What records requests stands between surfaces and gateway, so the log knows how each request ended, as the client saw it.
	recent := watch.NewRecent(failuresRemembered)
	observers := watch.All{counts, s.today, recent}
	if p.Traces != nil {
		observers = append(observers, p.Traces)
	}
	record := func(statusOf func(agent.Code) int) agent.Turner {
		return watch.Turns(hosted.Record(s.gateway, people, statusOf), observers)
	}
	// How an error's code becomes a status differs between OpenAI's form and Anthropic's, and the
	// log is to show what the client saw. So there are two recorders in front of one gateway.
	turns := record(openai.Status)
	// What clients have sent is remembered in a part of the memory for conversations.
	// One value for chat completions and messages and responses, so the share is not multiplied by the surfaces.
	sent := known.New(known.Config{Bytes: remembered() / sentShare})
	// Nil for a server that is alone: then nobody else has to be told which responses are here.
	var held func(owner, id string, d time.Duration)
	if s.peers != nil {
		held = s.peers.Held
	}
	s.responses = service.New(service.Config{Turns: turns, Model: cat.Resolve, Store: s.store, Held: held, Seal: ring, MaxEventBytes: remembered(), Bounds: bounds(&c.Requests), Sent: sent, Log: logs.of("responses")})

	// Stored chat completions are documents of the same store as conversations.
	storedChats := stored.New(stored.Config{Store: s.store, Log: logs.of("chat")})

	reporter := status.New(status.Config{
		// Open: the demo has no token, and nothing to hide.
		Version: buildVersion(), Upstreams: names(p.Backends), Token: p.Token, Open: p.demo, Live: s.live, Today: s.today,
		Reachable: func(ctx context.Context) error { return s.gateway.Reachable(ctx, "") },
	})

	// One limiter for the API and the page: an address has one quota, whichever it uses.
	// The limiters count in the store, so that all replicas together keep to one limit.
	signUps := hosted.NewLimiter(s.store, "sign-up", c.Accounts.SignupLimit, time.Hour, nil)
	earlyAccess := hosted.NewLimiter(s.store, "early access", c.Accounts.SignupLimit, time.Hour, nil)
	// The operator's token has 256 random bits, so this is against load and noise in the log, not against guessing.
	operatorTries := hosted.NewLimiter(s.store, "operator's token", 10, 15*time.Minute, nil)
	// The pages get functions and not the services behind them, so that package pages knows neither the gateway nor the server.
	site := pages.New(pages.Config{
		Version: buildVersion(), Demo: p.demo, Upstreams: names(p.Backends),
		// "" is the first backend, which serves /v1.
		Reachable: func(ctx context.Context) error { return s.gateway.Reachable(ctx, "") },
		PingStore: s.store.Ping, Caller: identify(people), WhoIs: world.verify, Models: cat.List, HostedKeys: ring.Ready() && !p.demo, Entry: hosted.Entry(c.Accounts.Signup),
		Accounts: people, SignUps: signUps, OperatorTries: operatorTries, Store: s.store,
		LocalOnly: p.LocalOnly, Live: s.figures, Limits: limitsOf(c), Failures: recent.Failures, Drain: s.drain, Draining: func() bool { return s.server.Draining() },
		Hops: forwarded.NewReader(c.Accounts.TrustedProxies, logs.of("pages"), nil), PublicURL: string(c.PublicURL), Log: logs.of("pages"),
	})

	// Everything that a request can reach is in this value; httpd adds the checks that all routes share.
	server := httpd.Config{
		Surfaces: slices.Concat(
			chat.Routes(turns, storedChats, sent),
			storedChats.Routes(),
			completions.Routes(turns),
			s.responses.Routes(),
			messages.Routes(messages.Config{Turns: record(messages.Status), Seal: ring, Sent: sent, Log: logs.of("messages")}),
			models.Routes(cat, s.gateway),
			usage.Routes(s.store),
		),
		Routes: slices.Concat(
			accounts.Routes(accounts.Config{
				SignUp: signUp, SignUps: signUps, EarlyAccess: earlyAccess, Join: world.join, TrustedProxies: c.Accounts.TrustedProxies, PublicURL: string(c.PublicURL), Log: logs.of("accounts"),
			}),
			admin.Routes(admin.Config{
				Operator: people.Operator, Store: s.store, IsToken: session.New(s.store, time.Now).IsToken, Tries: operatorTries, LocalOnly: p.LocalOnly,
				Hops: forwarded.NewReader(c.Accounts.TrustedProxies, logs.of("accounts"), nil), Limits: adminLimits(limitsOf(c)), Log: logs.of("accounts"),
			}),
			site.Routes(),
			reporter.Routes(),
		),
		Home: site.Home,
		// Whoever claims a request first gives its errors their form; OpenAI's is what is left.
		ErrorForms: []api.ErrorForm{messages.ErrorForm(), site.ErrorForm()},
		ResolveKey: people.Resolve, PingStore: s.store.Ping,
		PingUpstream: func(ctx context.Context) error { return s.gateway.Reachable(ctx, "") },
		OpenCodeV2:   p.OpenCodeV2, OpenCode: p.OpenCode,
		Local: p.Local, LocalOnly: p.LocalOnly, Hosts: hostNames(c),
		MaxRequests: c.MaxRequests, MaxPerOwner: c.MaxPerKey, Bounds: bounds(&c.Requests), BodyMemory: bodyMemory(c.BodyMemory), Answered: counts.Answered, Log: logs.of("httpd"),
	}
	if p.demo {
		// One owner for all of the demo's callers, so they see each other's stored responses.
		server.Keyless = &agent.Caller{Owner: "demo"}
	}
	if s.peers != nil {
		server.Peers = s.peers
	}
	if p.Traces != nil {
		server.Begun = p.Traces.Begun
		server.Answered = func(ctx context.Context, a httpd.Answer) {
			counts.Answered(ctx, a)
			p.Traces.Answered(ctx, a)
		}
	}
	s.server = httpd.New(server)
	// It must outlive ctx, which ends with the signal: ShutDown ends it after the last writer.
	s.sweep(context.WithoutCancel(ctx))
	s.keepAlive(context.WithoutCancel(ctx))
	return s, nil
}

// makeGateway makes the gateway and, with other replicas, the way to them. Each needs the other: the gateway tells the replicas
// which runs wait here, and they ask it for them. An error is that of the way to other replicas.
func (s *Instance) makeGateway(c *config.Config, p *Parts, images gateway.ImageFetcher, cat *catalog.Catalog, logs *loggers) error {
	// Nil for a server that is alone. Otherwise s.peers is set before the first turn.
	var parked func(owner string, calls []string)
	if p.Peers != nil {
		parked = func(owner string, calls []string) { s.peers.Parked(owner, calls) }
	}
	s.gateway = gateway.New(gateway.Config{
		Parked:   parked,
		Backends: p.Backends, Catalog: cat, ParkTimeout: c.ParkTimeout, Unconfigured: unconfigured, Log: logs.of("gateway"),
		Durable:  gateway.NewDurableMemory(gateway.DurableConfig{Store: s.store, Backends: p.Backends, Log: logs.of("gateway")}),
		Sessions: s.store, Images: images, Files: pdftext.New(pdftext.Config{Memory: pdfMemory()}), MaxParkedBytes: cmp.Or(p.Kept, remembered()), MaxMemoryBytes: cmp.Or(p.Kept, remembered()-remembered()/sentShare),
		Controls: controls(&c.Controls), Unclaimed: func(cause park.Cause) { s.metrics.Unclaimed(string(cause)) },
	})
	s.metrics.Watch(sources(s.gateway, p.Backends))
	if p.Peers == nil {
		return nil
	}
	var err error
	s.peers, err = replica.New(replica.Config{
		Address: p.Peers.Address, Secret: p.Peers.Secret, Dial: p.Peers.Dial, Store: s.store, Awaits: s.gateway.Awaits, Kept: c.ParkTimeout, Log: logs.of("replica"),
	})
	return err
}

// failuresRemembered is how many failed turns the operator's page can show.
const failuresRemembered = 50

// localKey is what lends the server's own key to clients; nil for none. The demo has no key to lend.
func (c *serveCmd) localKey(ctx context.Context, p *process, addr net.Addr) (*httpd.LocalKey, error) {
	if c.Demo {
		return nil, nil
	}
	lent, err := localKey(ctx, p, &c.CursorKey, &c.LocalAuth, local(addr))
	// A key was given, and localKey lends it to nobody: the listener can be reached from other machines.
	if err == nil && lent == nil && !c.CursorKey.APIKey.IsZero() {
		fmt.Fprintln(p.stderr, "composer-api: warning: CURSOR_API_KEY is not lent to anybody, because other machines can reach this server")
		fmt.Fprintln(p.stderr, "hint: listen on 127.0.0.1, or set COMPOSER_LOCAL_AUTH_REMOTE=true to take the token of 'composer-api token' from other machines, too")
	}
	return lent, err
}

// newUpstreams makes the demo's backend or the configured ones. The caller closes them.
func (c *serveCmd) newUpstreams(p *process, auth *auth.Client, log *slog.Logger) (*upstreams, error) {
	if c.Demo {
		return demoUpstreams(), nil
	}
	return newUpstreams(p, &c.Config, auth, log)
}

// newWaitlist makes the client of the operator's waiting list. Without a URL it refuses every entry.
func newWaitlist(cfg *config.Accounts, client *http.Client) *waitlist.Client {
	return waitlist.New(waitlist.Config{
		URL: string(cfg.WaitlistURL), FallbackURL: string(cfg.WaitlistFallbackURL),
		Token: cfg.WaitlistToken.Secret, Source: cfg.WaitlistSource, HTTP: client,
	})
}
