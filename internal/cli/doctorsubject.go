package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/config"
	"composer-api/internal/cursor/auth"
	"composer-api/internal/cursor/bridgechild"
	"composer-api/internal/doctor"
	"composer-api/internal/gateway"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/hosted"
	"composer-api/internal/httpd"
	"composer-api/internal/localtoken"
	"composer-api/internal/setup"
	"composer-api/internal/store"
	"composer-api/internal/store/sqlstore"
	"composer-api/internal/watch"
)

// What the doctor looks at: the gateway as serve would make it, out of the same parts.

// subject is the gateway as serve would make it. Settings that can't be used are a finding; an error is that of this command's
// own line.
func (c *doctorCmd) subject(ctx context.Context, p *process) (*doctor.Subject, error) {
	s := &doctor.Subject{Version: versionLine()}
	cfg, parsed, err := c.settings(p, &s.Settings)
	if err != nil {
		return nil, err
	}
	// With wrong settings serve would not start, so there is no gateway to look at.
	if len(s.Settings.Wrong) > 0 {
		return s, nil
	}
	s.Settings.Set = settingsOf(p, parsed)
	// From here on the settings are good, and cfg is what serve would use.
	s.Ports = ports(cfg)
	if err := certificatesOf(p, cfg, s); err != nil {
		return nil, err
	}
	// Each of these adds what the checks of one kind look at. bridgeOf comes before folders and cursorOf, which read Bridge.Wanted.
	bridgeOf(p, cfg, s)
	folders(p, cfg, s)
	if err := storeOf(p, cfg, s); err != nil {
		return nil, err
	}
	if err := c.cursorOf(ctx, p, cfg, s); err != nil {
		return nil, err
	}
	return s, clientsOf(p, cfg, s)
}

// cursorOf fills in how Cursor is reached and asked.
func (c *doctorCmd) cursorOf(ctx context.Context, p *process, cfg *config.Config, s *doctor.Subject) error {
	roots, err := rootCAs(cfg.CAFile)
	if err != nil {
		// A file of certificates that can't be read: without it nothing can be said about the
		// network.
		s.Settings.Wrong = append(s.Settings.Wrong, fault(err))
		return nil
	}
	client, err := newHTTPClient(cfg.CAFile)
	if err != nil {
		return err
	}
	// The check of each address makes its own connections with these authorities; nil means the system's.
	s.Network.Roots = roots
	// The public API always: keys are checked there, whatever the upstream is.
	s.Addresses = []doctor.Address{{URL: string(cfg.APIBase), Setting: "CURSOR_API_BASE"}}
	const backend = "CURSOR_BACKEND_BASE_URL"
	if cfg.LocalAgentOn() {
		s.Addresses = append(s.Addresses, doctor.Address{URL: cfg.LocalAgentURL(), Setting: backend, HTTP2: true})
	}
	if cfg.ChatOn() {
		s.Addresses = append(s.Addresses, doctor.Address{URL: cfg.ChatURL(), Setting: backend})
	}
	if s.Bridge.Wanted && cfg.BackendBase != "" {
		s.Addresses = append(s.Addresses, doctor.Address{URL: string(cfg.BackendBase), Setting: backend})
	}
	if cfg.BridgeURL != "" {
		s.Addresses = append(s.Addresses, doctor.Address{URL: string(cfg.BridgeURL), Setting: "CURSOR_SDK_BRIDGE_URL"})
	}
	// One client for all checks, so that the key is exchanged once and the turn below uses the same token.
	asked := newAuth(&cfg.PublicAPI, cfg.BackendBase, client)
	// A key that can't be read, such as one in a keyring that is locked, is a finding. The other checks go on without a key.
	if s.Key.Secret, s.Key.Origin, err = serversKey(ctx, p, &cfg.CursorKey); err != nil {
		wrong := fault(err)
		s.Key.Wrong = &wrong
	}
	s.Key.Give = howToGive(s.Key.Origin)
	// Only the name of the key is shown, never whose it is: people paste this output into issues.
	s.Key.WhoIs = func(ctx context.Context, key agent.Secret) (string, error) {
		me, err := asked.Me(ctx, key)
		if err != nil {
			return "", err
		}
		return me.APIKeyName, nil
	}
	// Only these two upstreams take an access token for the key; the bridge gets the key itself.
	if cfg.LocalAgentOn() || cfg.ChatOn() {
		s.Key.Exchange = func(ctx context.Context, key agent.Secret) (time.Time, error) {
			token, err := asked.Token(ctx, key)
			// A token without a time in it has the zero time.
			expires, _ := auth.Expiry(token.Reveal())
			return expires, err
		}
	}
	// The one check that costs money. It is made last, and not at all with --no-turn.
	if !c.NoTurn {
		s.Turn = func(ctx context.Context) (*doctor.Turn, error) { return oneTurn(ctx, p, cfg, asked, s.Key.Secret) }
	}
	return nil
}

// howToGive is how the gateway is given a key in the place of the one that came from origin, as serversKey names it: there, because
// it would be found before one elsewhere.
func howToGive(origin string) string {
	switch {
	case origin == "" || origin == keyringOrigin:
		return "'composer-api cursor-key set' puts it into the system's keyring; or 'export CURSOR_API_KEY=crsr_…' before 'serve'"
	case filepath.IsAbs(origin): // CURSOR_API_KEY_FILE, or the file in the state folder
		return "write it into " + origin
	case origin == "environment":
		return "'export CURSOR_API_KEY=crsr_…'"
	}
	return "write it into " + origin // ".env line 3"
}

// oneTurn asks the model for a word, through an upstream and a gateway as serve makes them.
func oneTurn(ctx context.Context, p *process, cfg *config.Config, asked *auth.Client, key agent.Secret) (*doctor.Turn, error) {
	// What goes wrong is told by the finding; a log line in between would be noise.
	log := slog.New(slog.DiscardHandler)
	up, err := newUpstreams(p, cfg, asked, log)
	if err != nil {
		return nil, err
	}
	s := &Instance{backends: up.backends}
	// After the gateway, which may have a run of theirs.
	defer s.closeBackends()
	// No store, no files, no other replicas: one short turn needs none of them.
	g := gateway.New(gateway.Config{Backends: up.backends, Catalog: catalog.New(catalog.Config{}), Unconfigured: unconfigured, Log: log})
	defer g.Close(ctx)
	req := &agent.Request{
		// The catalogue's first model, and the catalogue without a network: the list of models is
		// another check's question.
		Caller: httpd.DirectCaller(key.Reveal()), ModelName: catalog.Builtin()[0].ID,
		Messages: []agent.Message{{Role: agent.User, Parts: []agent.Part{{Text: "Reply with the word OK and nothing else."}}}},
	}
	seen := watch.NewSink(req, unheard{})
	if err := g.Turn(ctx, req, seen); err != nil {
		return nil, err
	}
	// A moment that never came is the zero time, long before.
	since := func(t time.Time) time.Duration { return max(0, t.Sub(seen.Begun)) }
	return &doctor.Turn{
		Upstream: seen.Accepted.Upstream, Model: req.ModelName,
		Accepted: since(seen.Connected), FirstWord: since(seen.FirstToken), Ended: time.Since(seen.Begun),
		Tokens: seen.Usage.Total(), CostUSD: seen.Usage.CostUSD(),
	}, nil
}

// unheard takes an answer that nobody reads.
// It implements agent.Sink, and never fails.
type unheard struct{}

func (unheard) Accept(agent.Accepted) error { return nil }
func (unheard) Event(*agent.Event) error    { return nil }
func (unheard) Flush() error                { return nil }

// bridgeOf fills in the bridge that serve would use.
func bridgeOf(p *process, cfg *config.Config, s *doctor.Subject) {
	b := &s.Bridge
	// The bridge is a node process that has its own ways to the network, which a proxy may not
	// cover.
	b.Wanted, b.Proxied = wantsSDKBridge(cfg), behindProxy(p)
	switch {
	case cfg.Prefer == localAgentName && !cfg.LocalAgentOn(), cfg.Prefer == "chat" && !cfg.ChatOn():
		b.Wrong = &doctor.Fault{
			Text: "COMPOSER_UPSTREAM asks for " + cfg.Prefer + ", which is not configured",
			Cure: "unset COMPOSER_UPSTREAM, or set CURSOR_BACKEND_BASE_URL and the endpoint of " + cfg.Prefer,
		}
	case !b.Wanted:
		return
	}
	found, err := findBridge(p, &cfg.SDKBridge)
	launcher, how, confineErr := confinement(&cfg.SDKBridge, bridgechild.Confinement())
	// Both are told: a missing bridge and a confinement that this system can't give have nothing to
	// do with each other.
	if err := errors.Join(err, confineErr); err != nil {
		wrong := fault(err)
		b.Wrong = &wrong
		return
	}
	if found == nil {
		b.Missing = true
		return
	}
	// What stands before the colon; the rest is for 'upstream status'.
	kind, _, _ := strings.Cut(how, ":")
	b.Version, b.Dir, b.Confinement, b.Unconfined = found.Version, found.Dir, kind, launcher == nil
	// A folder that was named is the user's own affair: 'upstream install' would not replace it.
	if cfg.SDKBridge.Dir != "" {
		b.Named = "COMPOSER_SDK_BRIDGE"
	}
	b.Try = func(ctx context.Context) (time.Duration, error) {
		return tryBridge(ctx, bridgechild.Config{Dir: found.Dir, BackendURL: string(cfg.BackendBase), CAFile: cfg.CAFile, Confine: launcher})
	}
}

// storeOf fills in the database.
func storeOf(p *process, cfg *config.Config, s *doctor.Subject) error {
	// Nothing is opened: this is only the name.
	where, err := dsn(p, &cfg.Storage)
	if err != nil {
		s.Settings.Wrong = append(s.Settings.Wrong, fault(err))
		return nil
	}
	// For PostgreSQL there is no file; the name is the DSN without its password.
	path, isFile := sqlstore.File(where)
	s.Store.Name = masked("COMPOSER_DB", where)
	if isFile {
		s.Store.Name, s.Store.File = path, path
	}
	// Functions, because nothing is opened before the check runs. Package doctor knows no database.
	s.Store.Newer = func(err error) bool { return errors.Is(err, sqlstore.ErrNewerSchema) }
	s.Store.Writable = func(ctx context.Context) error { return sqlstore.Writable(ctx, where) }
	s.Store.Sealing = func(ctx context.Context) (doctor.Sealing, error) { return sealingOf(ctx, p, &cfg.Storage) }
	s.Store.Pending = func(ctx context.Context) (names []string, exists bool, err error) {
		// A database that doesn't exist yet is none that lacks steps. To ask for its state would
		// make the file.
		if isFile {
			if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
				return nil, false, nil
			}
		}
		all, err := sqlstore.MigrateStatus(ctx, where)
		// A zero time is a step that was not applied yet.
		for _, m := range all {
			if m.Applied.IsZero() {
				names = append(names, m.Name)
			}
		}
		return names, true, err
	}
	return nil
}

// sealingOf tries the encryption keys of the settings on the accounts of the database.
func sealingOf(ctx context.Context, p *process, c *config.Storage) (doctor.Sealing, error) {
	ring, err := newRing(c)
	if err != nil {
		return doctor.Sealing{}, err // a finding of the settings' before it comes to this
	}
	found := doctor.Sealing{Set: ring.Ready(), Previous: !c.EncryptionKeyPrevious.IsZero()}
	err = withStore(ctx, p, c, func(db store.Store) error {
		s, err := hosted.SealingOf(ctx, db, ring)
		found.Accounts, found.Locked, found.Old = s.Accounts, s.Locked, s.Old
		return err
	})
	return found, err
}

// folders fills in where files are written.
func folders(p *process, cfg *config.Config, s *doctor.Subject) {
	s.Free = doctor.FreeSpace
	// An error of it is a finding of storeOf.
	if where, err := dsn(p, &cfg.Storage); err == nil {
		if path, isFile := sqlstore.File(where); isFile {
			s.Folders = append(s.Folders, doctor.Folder{Path: filepath.Dir(path), What: "the database", Cure: "name another file with COMPOSER_DB"})
		}
	}
	if s.Bridge.Wanted {
		s.Folders = append(s.Folders, doctor.Folder{Path: bridgechild.DefaultRoot(), What: "what Cursor's bridge keeps while it runs", Cure: "name another folder with TMPDIR"})
	}
}

// ports are what serve listens on.
func ports(cfg *config.Config) []doctor.Port {
	list := []doctor.Port{{Addr: string(cfg.Addr), Flag: "--addr", What: "the gateway", Another: nextPort(string(cfg.Addr))}}
	// Those of --http-addr and --replica-addr are not looked at.
	if cfg.MetricsAddr != "" {
		list = append(list, doctor.Port{Addr: string(cfg.MetricsAddr), Flag: "--metrics-addr", What: "the metrics", Another: nextPort(string(cfg.MetricsAddr))})
	}
	return list
}

// nextPort is the port after that of addr, on this machine.
func nextPort(addr string) string {
	_, text, _ := net.SplitHostPort(addr)
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 || n >= 65535 {
		// Port 0 and a service's name have no number to add to.
		n = 8787
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(n+1))
}

// clientsOf fills in how the clients of this machine stand to the gateway.
func clientsOf(p *process, cfg *config.Config, s *doctor.Subject) error {
	m, err := machine(p)
	if err != nil {
		// A service account in a container has none.
		return nil // without a home folder there are no clients
	}
	models, err := builtInModels(context.Background())
	if err != nil {
		return err
	}
	// The state of a client is compared with what setup would write now.
	gateway := &setup.Gateway{Root: string(clientRoot(cfg, string(cfg.Addr))), Models: models}
	// Read and never made: the doctor writes nothing. Without a token the clients' files can only refer to a variable.
	if token, err := localtoken.Read(m.State); err == nil {
		gateway.Token = token
	}
	for _, client := range setup.Clients() {
		s.Clients = append(s.Clients, setup.Look(m, client, gateway))
	}
	return nil
}
