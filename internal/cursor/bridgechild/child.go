package bridgechild

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/sdkv1"
)

// Config says how a child is started.
type Config struct {
	// Dir is the bridge's folder: the one that holds bin/node and dist/.
	Dir string
	// Root is where the private folder is made; "" means DefaultRoot.
	Root string
	// BackendURL, when not empty, is told to the bridge in place of Cursor's own address.
	BackendURL string
	// CAFile names additional certificate authorities, as PEM; "" for none.
	CAFile string
	// Confine is the command line of this program that calls ConfinedMain; nil runs the child unconfined.
	Confine []string
	// Environ are further variables for the child, such as HTTPS_PROXY. Nothing else is passed on.
	Environ []string
}

// A Child is a running bridge. Its methods may be called concurrently.
type Child struct {
	// Client calls the bridge.
	Client *sdkv1.Client
	// PID is the bridge's process id.
	PID int

	cmd      *exec.Cmd
	folder   *folder
	callback *sdkv1.CallbackServer
	exited   chan struct{} // closed when the process is gone
}

// Limits of what a start and an end may take.
const (
	startTimeout = 30 * time.Second
	endTimeout   = 4 * time.Second // after SIGTERM; the bridge needs 0.04 s, or 1.6 s after a cancelled run
)

// Start runs a bridge and waits until it is ready. handle runs the client's tools for its agents, see
// sdkv1.CallHandler. ctx bounds the start alone. The caller closes the child.
func Start(ctx context.Context, cfg Config, handle sdkv1.CallHandler) (*Child, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	root := cfg.Root
	if root == "" {
		root = DefaultRoot()
	}
	f, err := newFolder(root)
	if err != nil {
		return nil, fmt.Errorf("the bridge's private folder: %w", err)
	}
	c := &Child{folder: f, exited: make(chan struct{})}
	if err := c.start(ctx, cfg, handle); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Child) start(ctx context.Context, cfg Config, handle sdkv1.CallHandler) (err error) {
	if c.callback, err = sdkv1.NewCallbackServer(ctx, handle); err != nil {
		return err
	}
	argv, err := c.commandLine(cfg)
	if err != nil {
		return err
	}
	// The process outlives ctx: only Close ends it.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...)
	c.cmd.Dir = c.folder.workspace()
	c.cmd.Env = c.environ(cfg)
	isolate(c.cmd)
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := c.launch(); err != nil {
		return fmt.Errorf("the bridge could not be started: %w", err)
	}
	c.PID = c.cmd.Process.Pid
	if err := os.WriteFile(filepath.Join(c.folder.path, pidName), []byte(strconv.Itoa(c.PID)), 0o600); err != nil {
		return err
	}
	ready := make(chan readyLine, 1)
	go drain(stderr, ready)
	select {
	case line := <-ready:
		return c.connect(ctx, line)
	case <-c.exited:
		return errors.New("the bridge ended before it was ready")
	case <-ctx.Done():
		return fmt.Errorf("the bridge was not ready in time: %w", ctx.Err())
	}
}

// launch starts the process on a thread that stays for as long as the process does: on Linux the child is killed when
// the thread that started it ends.
func (c *Child) launch() error {
	started := make(chan error, 2) // a start, and a panic after it
	go func() {
		defer close(c.exited)
		defer agent.CatchPanic(func(err *agent.Error) { started <- err })
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := c.cmd.Start()
		started <- err
		if err == nil {
			_ = c.cmd.Wait() // how it ended says nothing: it is told to end, or it has crashed
		}
	}()
	return <-started
}

// commandLine runs node itself: the script beside it stays between us and node, and takes our signals.
func (c *Child) commandLine(cfg Config) ([]string, error) {
	argv := []string{
		filepath.Join(cfg.Dir, "bin", nodeName), filepath.Join(cfg.Dir, "dist", "bin", "cursor-sdk-bridge.js"), "--workspace", c.folder.workspace(),
	}
	for _, file := range argv[:2] {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("no bridge is installed in %s: %w", cfg.Dir, err)
		}
	}
	if cfg.Confine != nil {
		rules := rulesFor(cfg.Dir, c.folder.path)
		if cfg.CAFile != "" {
			rules.Read = append(rules.Read, filepath.Dir(cfg.CAFile))
		}
		argv = launcher(cfg.Confine, rules, argv)
	}
	return argv, nil
}

// environ is all that the child sees of our environment. Without HOME the bridge would write into the user's own home.
func (c *Child) environ(cfg Config) []string {
	env := []string{
		"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC", "HOME=" + c.folder.home(), "TMPDIR=" + c.folder.temp(), "CURSOR_SDK_CLIENT_LANGUAGE=go",
	}
	if cfg.BackendURL != "" {
		env = append(env, "CURSOR_BACKEND_URL="+cfg.BackendURL)
	}
	if cfg.CAFile != "" {
		env = append(env, "NODE_EXTRA_CA_CERTS="+cfg.CAFile)
	}
	return append(env, cfg.Environ...)
}

// A readyLine is what the bridge says of itself once it listens.
type readyLine struct {
	URL           string `json:"url"`
	AuthTokenFile string `json:"authTokenFile"`
}

// readyPrefix begins the ready line. The line names the file of the token, so it is never logged.
const readyPrefix = "cursor-sdk-bridge ready "

// drain reads what the bridge writes until it ends, and finds the ready line in it. It keeps and logs nothing: the bridge
// may write what was said.
func drain(stderr io.Reader, ready chan<- readyLine) {
	// Whatever it was that we could not read: a bridge that nobody reads would stop when the pipe is full.
	defer agent.CatchPanic(func(*agent.Error) { io.Copy(io.Discard, stderr) })
	const longest = 64 << 10
	r := bufio.NewReaderSize(stderr, longest)
	for {
		line, err := r.ReadSlice('\n') // a longer line comes in several pieces
		if rest, found := bytes.CutPrefix(line, []byte(readyPrefix)); found {
			var said readyLine
			if json.Unmarshal(rest, &said) == nil && said.URL != "" {
				select {
				case ready <- said:
				default: // it says so once
				}
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// connect makes the client, and tells the bridge where tools are run.
func (c *Child) connect(ctx context.Context, line readyLine) error {
	if !strings.HasPrefix(line.AuthTokenFile, c.folder.path+string(filepath.Separator)) {
		return errors.New("the bridge keeps its token outside of its private folder")
	}
	token, err := os.ReadFile(line.AuthTokenFile)
	if err != nil {
		return fmt.Errorf("the bridge's token: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute} // no proxy: it is on the loopback
	c.Client = sdkv1.NewClient(line.URL, agent.NewSecret(strings.TrimSpace(string(token))), &http.Client{Transport: transport})
	version, err := c.Client.Version(ctx)
	if err != nil {
		return fmt.Errorf("the bridge does not answer: %w", err)
	}
	if version.Protocol != "sdk.v1" {
		return fmt.Errorf("the bridge speaks %q, not sdk.v1; hint: install another version with 'composer-api upstream install'", version.Protocol)
	}
	return c.Client.SetToolCallback(ctx, c.callback.URL(), c.callback.Token())
}

// Workspace is the empty folder that the child's agents work in.
func (c *Child) Workspace() string { return c.folder.workspace() }

// Exited is closed when the process is gone, whatever the reason.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Close ends the process, waits until it is gone, and deletes its private folder. Cancel its runs before: it would wait
// for them. Close must be called once, also after the process has ended by itself.
func (c *Child) Close() error {
	if c.cmd != nil && c.cmd.Process != nil {
		terminate(c.cmd)
		select {
		case <-c.exited:
		case <-time.After(endTimeout):
		}
		kill(c.cmd) // and what it has started
		<-c.exited
	}
	var err error
	if c.callback != nil {
		err = c.callback.Close()
	}
	return errors.Join(err, c.folder.remove())
}
