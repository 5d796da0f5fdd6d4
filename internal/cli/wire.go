package cli

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"composer-api/internal/agent"
	apiaccounts "composer-api/internal/api/accounts"
	"composer-api/internal/api/responses/service"
	"composer-api/internal/config"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/gateway"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/gateway/imagefetch"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/waitlist"
	"composer-api/internal/httpd"
	"composer-api/internal/store"
	"composer-api/internal/store/sealed"
)

// An instance is everything that serve runs.
type instance struct {
	log       *slog.Logger
	store     store.Store
	gateway   *gateway.Gateway
	responses *service.Service
	server    *httpd.Server
	upstreams *upstreams
	swept     chan struct{} // closed when nothing sweeps the store any more
	stopSweep context.CancelFunc
}

// wire makes an instance. The caller shuts it down.
func (c *serveCmd) wire(ctx context.Context, p *process, log *slog.Logger) (*instance, error) {
	client, err := newHTTPClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	auth := newAuth(&c.Upstream, client)
	up, err := c.newUpstreams(auth, log)
	if err != nil {
		return nil, err
	}
	ring, err := newRing(&c.Storage)
	if err != nil {
		return nil, err
	}
	db, err := openStore(ctx, p, &c.Storage)
	if err != nil {
		return nil, err
	}
	s := &instance{log: log, store: sealed.New(db, ring), upstreams: up}

	models := catalog.Config{Fetch: modelsFrom(auth), Log: log}
	if c.Demo {
		models.Fetch = nil
	}
	cat := catalog.New(models)
	s.gateway = gateway.New(gateway.Config{
		Backends: up.backends, Catalog: cat, ParkTimeout: c.ParkTimeout, Unconfigured: unconfigured, Log: log,
		Durable:  gateway.NewDurableMemory(gateway.DurableConfig{Store: s.store, Backends: up.backends, Log: log}),
		Sessions: s.store, Images: imagefetch.New(imagefetch.Config{}),
	})
	hosted := hosted.New(hosted.Config{Store: s.store, Ring: ring, Verify: verify(auth), Log: log})
	turns := httpd.Record(s.gateway, hosted)
	s.responses = service.New(service.Config{Turns: turns, Store: s.store, Seal: ring, Log: log})

	routes := httpd.Config{
		Turns: turns, Models: cat, ResolveKey: hosted.Resolve, PingStore: s.store.Ping,
		OpenCodeV2: up.openCodeV2, OpenCode: up.openCode,
		Surfaces: responseRoutes(s.responses), Extra: accountRoutes(&c.Accounts, hosted, client),
		MaxRequests: c.MaxRequests, MaxPerOwner: c.MaxPerKey, Log: log,
	}
	if c.Demo {
		routes.Keyless = &agent.Caller{Owner: "demo"}
	}
	s.server = httpd.New(routes)
	s.sweep(context.WithoutCancel(ctx))
	return s, nil
}

func (c *serveCmd) newUpstreams(auth *auth.Client, log *slog.Logger) (*upstreams, error) {
	if c.Demo {
		return demoUpstreams(), nil
	}
	return newUpstreams(&c.Config, auth, log)
}

// verify asks Cursor whose key it is.
func verify(auth *auth.Client) func(context.Context, agent.Secret) (hosted.Person, error) {
	return func(ctx context.Context, key agent.Secret) (hosted.Person, error) {
		me, err := auth.Me(ctx, key)
		if err != nil {
			return hosted.Person{}, err
		}
		return hosted.Person{
			UserID: string(me.UserID), Email: me.UserEmail, FirstName: me.UserFirstName, LastName: me.UserLastName, KeyName: me.APIKeyName,
		}, nil
	}
}

// responseRoutes mounts the Responses API.
func responseRoutes(s *service.Service) []httpd.Route {
	var routes []httpd.Route
	for _, r := range s.Routes() {
		routes = append(routes, httpd.Route{Pattern: r.Pattern, Turn: r.Turn, Handle: func(w http.ResponseWriter, req *http.Request, call *httpd.Call) error {
			return r.Handle(w, req, service.Call{Caller: call.Caller, Upstream: call.Upstream, Session: call.Session})
		}})
	}
	return routes
}

// accountRoutes mounts sign-up and the waiting list.
func accountRoutes(cfg *config.Accounts, hosted *hosted.Service, client *http.Client) []httpd.Route {
	list := waitlist.New(waitlist.Config{
		URL: string(cfg.WaitlistURL), FallbackURL: string(cfg.WaitlistFallbackURL),
		Token: cfg.WaitlistToken.Secret, Source: cfg.WaitlistSource, HTTP: client,
	})
	var routes []httpd.Route
	for _, r := range apiaccounts.Routes(apiaccounts.Config{
		SignUp: hosted.SignUp, Join: list.Join, Limit: cfg.SignupLimit, TrustedProxies: cfg.TrustedProxies,
	}) {
		routes = append(routes, httpd.Route{Pattern: r.Pattern, Open: true, Handle: func(w http.ResponseWriter, req *http.Request, _ *httpd.Call) error {
			return r.Handle(w, req)
		}})
	}
	return routes
}

// sweepEvery is how often what has expired is thrown away.
const sweepEvery = 5 * time.Minute

// sweep throws away what has expired, now and then, until shutDown.
func (s *instance) sweep(ctx context.Context) {
	ctx, s.stopSweep = context.WithCancel(ctx)
	s.swept = make(chan struct{})
	go func() {
		defer close(s.swept)
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := s.store.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("sweeping the store", "err", err)
			}
		}
	}()
}

// shutDown takes no new turns, lets those that are on finish within the grace period, and ends the runs that wait for
// tool results: their clients will start again from the transcript.
func (s *instance) shutDown(ctx context.Context, grace time.Duration) {
	s.log.Info("shutting down", "grace", grace)
	s.server.Drain()
	s.responses.Close()
	patience, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := s.gateway.Close(patience); err != nil {
		s.log.Warn("streams were cut off at the end of the grace period")
	}
	// What is left has its last bytes to write.
	const lastBytes = 2 * time.Second
	closing, cancel := context.WithTimeout(ctx, lastBytes)
	defer cancel()
	if err := s.server.Shutdown(closing); err != nil {
		s.log.Warn("connections were cut off", "err", err)
	}
	if err := s.upstreams.close(); err != nil {
		s.log.Warn("closing the upstreams", "err", err)
	}
	s.stopSweep()
	<-s.swept
	if err := s.store.Close(); err != nil {
		s.log.Warn("closing the store", "err", err)
	}
}
