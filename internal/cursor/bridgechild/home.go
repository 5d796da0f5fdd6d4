package bridgechild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/gofrs/flock"

	"composer-api/internal/cursor/sdkv1"
)

// Config says how bridges are started.
type Config struct {
	// Dir is the bridge's folder: the one that holds bin/node and dist/.
	Dir string
	// Root is where private folders are made; "" means DefaultRoot.
	Root string
	// BackendURL, when not empty, is told to the bridge in place of Cursor's own address.
	BackendURL string
	// CAFile names additional certificate authorities, as PEM; "" for none. Each home has a copy: a confined bridge can't
	// read the file itself.
	CAFile string
	// Confine is the command line of this program that calls ConfinedMain; nil runs children unconfined.
	Confine []string
}

// prefix begins the names of the private folders.
const prefix = "composer-api-bridge-"

// The names inside a private folder.
const (
	lockName      = "lock" // locked by the gateway for as long as it lives, so that the sweep knows a folder in use
	homeName      = "home"
	workspaceName = "workspace"
	caName        = "ca.pem"
	childPrefix   = "child-" // a folder for each child
	tempName      = "tmp"    // in a child's folder
	pidName       = "pid"    // in a child's folder: a file with the process id, for whoever asks what runs
)

// A Home is a private folder with the bridges that run in it. It implements sdkv1.Home.
//
//	composer-api-bridge-123/      mode 0700
//	  lock                        held by this process
//	  home/                       the bridge's HOME: agents, settings
//	  workspace/                  empty; what agents are told to work in
//	  ca.pem                      a copy of CAFile, if there is one
//	  child-1/                    of one bridge: tmp/, pid, its token
//
// mu guards what stands below it. The children share home and workspace, so agents outlive the bridge that
// has made them.
type Home struct {
	cfg Config
	// path is the folder, always the same one.
	path string

	mu sync.Mutex
	// lock says to other processes that the folder is in use. dir is the folder, open, so that no later one can be taken for it.
	lock     *flock.Flock
	dir      *os.File
	children int // started so far
}

// NewHome makes a private folder. The caller closes the home.
//
// The lock is held until Close; a crash lets go of it, which is how Sweep knows.
func NewHome(cfg Config) (*Home, error) {
	for _, file := range commandLine(cfg.Dir) {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("no bridge is installed in %s: %w", cfg.Dir, err)
		}
	}
	if cfg.Root == "" {
		cfg.Root = DefaultRoot()
	}
	path, err := os.MkdirTemp(cfg.Root, prefix) // mode 0700
	if err != nil {
		return nil, fmt.Errorf("the bridge's private folder: %w", err)
	}
	h := &Home{cfg: cfg, path: path, lock: flock.New(filepath.Join(path, lockName), flock.SetPermissions(0o600))}
	if h.dir, err = os.Open(path); err == nil {
		err = h.fill()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the bridge's private folder: %w", err), h.Close())
	}
	return h, nil
}

// restore makes again what is gone of the folder. Programs that tidy up delete what nobody has used for days, and a logout what
// a user has in memory; bridges that run don't mind, but none could be started any more. What agents have kept is lost, and their
// conversations begin again from the transcript. mu is held.
func (h *Home) restore() error {
	err := h.remake()
	if err == nil {
		err = h.fill()
	}
	if err != nil {
		return fmt.Errorf("the bridge's private folder: %w", err)
	}
	return nil
}

// remake makes the folder itself, if it is gone. What lies in its place must be it: many may write where it lies. mu is held.
func (h *Home) remake() error {
	there, err := os.Lstat(h.path)
	if errors.Is(err, os.ErrNotExist) {
		// Mkdir fails when somebody else is faster.
		if err := os.Mkdir(h.path, 0o700); err != nil {
			return err
		}
		h.dir.Close()
		h.dir, err = os.Open(h.path)
		return err
	}
	if err != nil {
		return err
	}
	ours, err := h.dir.Stat()
	if err == nil && !os.SameFile(there, ours) {
		err = errors.New("another one has taken its place")
	}
	return err
}

// fill makes what is not yet inside. mu is held, or nobody else knows h.
func (h *Home) fill() error {
	// A lock on a file that was deleted is seen by nobody.
	if missing(h.lock.Path()) {
		h.lock.Close()
	}
	if ok, err := h.lock.TryLock(); err != nil || !ok {
		return errors.Join(errors.New("it can't be locked"), err)
	}
	for _, name := range []string{homeName, workspaceName} {
		if err := os.MkdirAll(filepath.Join(h.path, name), 0o700); err != nil {
			return err
		}
	}
	if h.cfg.CAFile == "" || !missing(filepath.Join(h.path, caName)) {
		return nil
	}
	pem, err := os.ReadFile(h.cfg.CAFile)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(h.path, caName), pem, 0o600)
}

// missing reports whether there is nothing at path.
func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}

// Workspace implements sdkv1.Home.
func (h *Home) Workspace() string { return filepath.Join(h.path, workspaceName) }

// Start implements sdkv1.Home.
//
// It may be called concurrently: each child has a folder of its own. startTimeout bounds it.
func (h *Home) Start(ctx context.Context, handle sdkv1.CallHandler) (sdkv1.Bridge, error) {
	folder, err := h.childFolder()
	if err != nil {
		return nil, err
	}
	c := &child{home: h, folder: folder, exited: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.start(ctx, handle); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// childFolder makes the folder of another child.
func (h *Home) childFolder() (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.restore(); err != nil {
		return "", err
	}
	h.children++
	folder := filepath.Join(h.path, childPrefix+strconv.Itoa(h.children))
	return folder, os.MkdirAll(filepath.Join(folder, tempName), 0o700)
}

// Close implements sdkv1.Home. It deletes the folder with everything in it. Its children must
// be closed before.
func (h *Home) Close() error {
	// Before the folder is deleted: on Windows an open one can't be.
	return errors.Join(h.dir.Close(), h.lock.Close(), os.RemoveAll(h.path))
}
