package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/config"
	"composer-api/internal/cursor/bridgechild"
	"composer-api/internal/cursor/bridgeinstall"
	"composer-api/internal/cursor/reach"
	"composer-api/internal/cursor/sdkv1"
)

// 'upstream', and how serve comes to Cursor's published bridge. The order in which to read:
// findBridge (is there one), confinement (how it is started), newSDKBridge (the backend).

// upstreamCmd installs, shows and removes Cursor's published bridge. serve uses it if it is installed.
type upstreamCmd struct {
	Install upstreamInstallCmd `cmd:"" help:"Install Cursor's published bridge, so that a Cursor key is all that serve needs."`
	Status  upstreamStatusCmd  `cmd:"" help:"Show the bridge that serve would use, and whether it works."`
	Remove  upstreamRemoveCmd  `cmd:"" help:"Remove the bridges that were installed."`
}

// upstreamInstallCmd is 'upstream install'. It uses the user's own pip or uv, so that their proxies and mirrors are used.
type upstreamInstallCmd struct {
	Version string `default:"${bridge_version}" placeholder:"VERSION" help:"Version of Cursor's package cursor-sdk."`
}

// Help is what --help prints below the command's line.
func (upstreamInstallCmd) Help() string {
	return "Gets the package cursor-sdk from PyPI with your pip or uv, checks its SHA-256, and unpacks the bridge in it into your state folder: 59 MB to get, " +
		"175 MB on disk. The bridge is Cursor's, not ours: it is proprietary, and Cursor's terms of service apply to it."
}

// Run installs a bridge. At the end it says what to type next.
func (c *upstreamInstallCmd) Run(ctx context.Context, p *process) error {
	installer, err := newInstaller(p)
	if err != nil {
		return err
	}
	// What pip or uv prints goes to the user as it comes.
	installer.Out = p.stdout
	// Said before anything is downloaded, so that whoever doesn't agree can still stop it.
	fmt.Fprintln(p.stdout, "The bridge is proprietary software of Cursor; Cursor's terms of service apply to it.")
	if _, err := installer.Install(ctx, c.Version); err != nil {
		err = fmt.Errorf("the bridge was not installed: %w", err)
		// Of a downloader's failure only the exit code is known here, so these two are about our own files.
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOSPC) {
			return &hinted{err, "see that this user may write to " + installer.Dir + " and that there are 250 MB of room, or name another state folder with XDG_STATE_HOME"}
		}
		return &hinted{err, "see that Python's pip or uv works here and reaches PyPI, or install the package cursor-sdk yourself and set COMPOSER_SDK_BRIDGE to the folder in it that holds bin/node"}
	}
	fmt.Fprintln(p.stdout, "next: composer-api serve")
	return nil
}

// upstreamStatusCmd is 'upstream status'. It finds the bridge as serve does, so it takes the same settings.
type upstreamStatusCmd struct {
	config.SDKBridge `embed:""`
}

// Run shows the bridge, and starts it once to see whether it works. It needs no key: the bridge
// answers a ping without one. Its exit code says whether serve could use the bridge, for scripts.
func (c *upstreamStatusCmd) Run(ctx context.Context, p *process) error {
	found, err := findBridge(p, &c.SDKBridge)
	if err != nil {
		return err
	}
	if found == nil {
		return &hinted{errors.New("no bridge is installed"), "install one with 'composer-api upstream install'"}
	}
	confine, how, err := confinement(&c.SDKBridge, bridgechild.Confinement())
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "version      %s\npath         %s\nconfinement  %s\n", found.Version, found.Dir, how)
	took, err := tryBridge(ctx, bridgechild.Config{Dir: found.Dir, Confine: confine})
	if err != nil {
		return &hinted{fmt.Errorf("the bridge does not work: %w", err), "install it again with 'composer-api upstream remove' and 'composer-api upstream install'"}
	}
	fmt.Fprintf(p.stdout, "health       ok, ready after %v\n", took.Round(time.Millisecond))
	return nil
}

// tryBridge starts a bridge, asks it for a sign of life and ends it. It returns how long the start
// took. The bridge has a private folder of its own, which is removed. took is 0 when it didn't start.
//
// The folder is removed last, after the bridge that works in it has ended.
func tryBridge(ctx context.Context, cfg bridgechild.Config) (took time.Duration, err error) {
	home, err := bridgechild.NewHome(cfg)
	if err != nil {
		return 0, err
	}
	// Both errors, because a folder that stays behind holds what a bridge has written.
	defer func() { err = errors.Join(err, home.Close()) }()
	began := time.Now()
	bridge, err := home.Start(ctx, noTools)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, bridge.Close()) }()
	took = time.Since(began)
	return took, bridge.Client().Ping(ctx)
}

// noTools answers tool calls of the bridge that status starts. It runs no model, so there are none.
func noTools(context.Context, sdkv1.CustomToolCall) sdkv1.ToolResult {
	return sdkv1.ToolError("There are no tools.")
}

// upstreamRemoveCmd is 'upstream remove'.
type upstreamRemoveCmd struct{}

// Run removes what install has installed, of every version. A bridge that COMPOSER_SDK_BRIDGE or a virtual environment has
// is not ours, and stays. What could be removed is printed also when the rest fails.
func (c *upstreamRemoveCmd) Run(_ context.Context, p *process) error {
	installer, err := newInstaller(p)
	if err != nil {
		return err
	}
	removed, err := installer.Remove()
	for _, version := range removed {
		fmt.Fprintf(p.stdout, "removed version %s\n", version)
	}
	if err == nil && len(removed) == 0 {
		fmt.Fprintln(p.stdout, "nothing was installed")
	}
	return err
}

// newInstaller makes the installer for the user's state folder. It makes no folder yet.
func newInstaller(p *process) (*bridgeinstall.Installer, error) {
	state, err := p.env.StateDir()
	if err != nil {
		return nil, err
	}
	return &bridgeinstall.Installer{Dir: filepath.Join(state, "bridge")}, nil
}

// findBridge is the bridge that serve uses; nil when there is none:
//
//  1. the one that COMPOSER_SDK_BRIDGE names; that it isn't there is an error
//  2. the one that 'upstream install' has installed, or that the active virtual environment has
func findBridge(p *process, cfg *config.SDKBridge) (*bridgeinstall.Bridge, error) {
	if cfg.Dir != "" {
		b, err := bridgeinstall.At(cfg.Dir)
		if err != nil {
			return nil, &config.Error{Name: "COMPOSER_SDK_BRIDGE", Problem: err.Error(), Hint: "give the folder that holds bin/node and dist/, or leave it out and type 'composer-api upstream install'"}
		}
		return &b, nil
	}
	installer, err := newInstaller(p)
	if err != nil {
		return nil, nil // without a home folder nothing is installed
	}
	// Whoever has installed the package cursor-sdk in an active virtual environment needs no second
	// copy.
	if b, ok := installer.Find(p.env.Get("VIRTUAL_ENV")); ok {
		return &b, nil
	}
	return nil, nil
}

// confinedCommand is the first argument of a copy of this program that confines itself and then becomes
// the bridge. It is not a command for people, and not in the tree.
const confinedCommand = "confined-bridge"

// confinement decides how bridges are started: launcher is the command line that confines them (nil for
// none), and how is a description for the operator.
//
//	COMPOSER_SDK_BRIDGE_CONFINE   the system can confine   it can't
//	off                           not confined             not confined
//	auto                          confined                 not confined
//	require                       confined                 an error
//
// kind is what the system has, "" for nothing: bridgechild.Confinement.
func confinement(cfg *config.SDKBridge, kind string) (launcher []string, how string, err error) {
	switch {
	case cfg.Confine == "off":
		return nil, "off, by COMPOSER_SDK_BRIDGE_CONFINE", nil
	case kind == "" && cfg.Confine == "require":
		return nil, "", &config.Error{Name: "COMPOSER_SDK_BRIDGE_CONFINE", Problem: "asks for a confinement, and this system has none", Hint: "use a Linux kernel with Landlock, or 'auto' to go on without"}
	case kind == "":
		return nil, "none: this system has no Landlock", nil
	}
	// The confinement is applied by the process itself before it becomes the bridge: Landlock only
	// ever restricts the caller and what it starts.
	exe, err := thisProgram()
	if err != nil {
		return nil, "", err
	}
	return []string{exe, confinedCommand}, kind + ": it reads the system and its own folder, writes its private folder only, and reaches no other program but over the network", nil
}

// selfLink is the program that reads the name, on Linux: also when its file has been deleted or replaced, as by an upgrade. A later
// version may want other arguments. Source: proc(5).
const selfLink = "/proc/self/exe"

// thisProgram is a path by which this program can be started again.
func thisProgram() (string, error) {
	if _, err := os.Stat(selfLink); err == nil {
		return selfLink, nil
	}
	return os.Executable()
}

// behindProxy reports whether the operator has a proxy. The bridge (cursor-sdk 1.1.0) does not use one for its runs, so it is
// not told of it, which keeps the password that may stand in its address from what Cursor's server has the bridge run.
func behindProxy(p *process) bool {
	// Both spellings are in use, and Go reads both.
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		if p.env.Get(name) != "" {
			return true
		}
	}
	return false
}

// newSDKBridge makes the backend for the bridge that is found; nil when there is none. It also
// deletes the folders that crashed bridges have left, and starts the first bridge in the
// background, so that the first request needn't wait for it. The caller closes the backend,
// which ends the bridges.
func newSDKBridge(p *process, cfg *config.Config, log *slog.Logger) (*sdkbridge.Backend, error) {
	found, err := findBridge(p, &cfg.SDKBridge)
	if err != nil {
		return nil, err
	}
	if found == nil {
		// Asked for by name. If nobody asked, no bridge is no error: serve says how to get one.
		if cfg.Prefer == sdkbridge.Name {
			return nil, &config.Error{Name: "COMPOSER_UPSTREAM", Problem: "asks for sdkbridge, which is not installed", Hint: "type 'composer-api upstream install'"}
		}
		return nil, nil
	}
	launcher, how, err := confinement(&cfg.SDKBridge, bridgechild.Confinement())
	if err != nil {
		return nil, err
	}
	// Another gateway of this user may be running; its folders are left alone.
	if deleted, err := bridgechild.Sweep(bridgechild.DefaultRoot()); err != nil {
		log.Warn("folders of bridges that have crashed could not be deleted", "err", err)
	} else if deleted > 0 {
		log.Info("deleted the folders of bridges that have crashed", "count", deleted)
	}
	if launcher == nil {
		log.Warn("Cursor's bridge is not confined: it runs what Cursor's server asks it to, as this user", "version", found.Version, "confinement", how)
	} else {
		log.Info("Cursor's bridge", "version", found.Version, "confinement", how)
	}
	if behindProxy(p) {
		log.Warn("Cursor's bridge needs a direct way to Cursor: it does not use the proxy of HTTPS_PROXY", "version", found.Version)
	}
	// What every bridge of this process is started with; one value for all.
	child := bridgechild.Config{
		Dir: found.Dir, BackendURL: string(cfg.BackendBase), CAFile: cfg.CAFile, Confine: launcher,
	}
	reachCursor, err := reachProbe(cfg)
	if err != nil {
		return nil, err
	}
	b := sdkbridge.New(sdkbridge.Config{
		NewHome: func() (sdkv1.Home, error) { return bridgechild.NewHome(child) },
		// With an encryption key there may be hosted keys, and so users who don't know each other: each gets a bridge.
		PerOwner:   cfg.SDKBridge.PerOwner == "yes" || cfg.SDKBridge.PerOwner == "auto" && !cfg.EncryptionKey.IsZero(),
		MaxBridges: cfg.SDKBridge.Max, RecycleRuns: cfg.SDKBridge.Recycle, RecycleMemory: int64(cfg.SDKBridge.Memory) << 20,
		Settle: cfg.Settle, StartTimeout: cfg.StartTimeout, ProgressTimeout: cfg.ProgressTimeout, Log: log,
		Reach: reachCursor,
	})
	// It returns at once. A bridge that doesn't start is logged, and tried again by the first
	// request.
	b.Warm()
	return b, nil
}

// reachProbe finds out whether Cursor can be reached from here: the backend that the bridge is
// told, or else the public API, because where the bridge goes by itself only it knows. What is
// returned makes one request; its error says which setting to look at.
func reachProbe(cfg *config.Config) (func(context.Context) error, error) {
	client, err := newHTTPClient(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	base, setting := string(cfg.APIBase), "CURSOR_API_BASE"
	if cfg.BackendBase != "" {
		base, setting = string(cfg.BackendBase), "CURSOR_BACKEND_BASE_URL"
	}
	return func(ctx context.Context) error { return reach.Probe(ctx, client.Transport, base, setting) }, nil
}
