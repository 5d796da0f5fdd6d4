package bridgechild

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
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

// A child is a running bridge. It implements sdkv1.Bridge. Its methods may be called concurrently.
//
//	state     process         left by
//	new       none            start
//	starting  runs            the ready line and connect; or an error, after which Start closes it
//	ready     runs            Close, or its own end (exited)
//	closed    gone            —
//
// home, folder and exited are set before start, the rest by start; nothing changes afterwards.
type child struct {
	// home has the folder that all bridges of it share.
	home   *Home
	folder string // of this child alone
	// client calls the bridge; callback takes its calls. cmd is the process, of which a goroutine waits for the end.
	client   *sdkv1.Client
	cmd      *exec.Cmd
	callback *sdkv1.CallbackServer
	exited   chan struct{} // closed when the process is gone
}

// Limits of what a start and an end may take.
const (
	startTimeout = time.Minute     // the bridge needs 0.7 s; 23 s were seen with a tenth of a processor
	endTimeout   = 4 * time.Second // after SIGTERM; the bridge needs 0.04 s, or 1.6 s after a cancelled run
)

// start runs the process and waits until it is ready. A child that could not be started is closed, too.
//
// The callback server listens before the process runs, because the bridge is told of it as soon
// as it is ready.
func (c *child) start(ctx context.Context, handle sdkv1.CallHandler) error {
	// Port 0: the system chooses a free one, which the bridge is told.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.callback = sdkv1.NewCallbackServer(listener, handle)
	argv := append(commandLine(c.home.cfg.Dir), "--workspace", c.home.Workspace())
	if confine := c.home.cfg.Confine; confine != nil {
		argv = launcher(confine, c.rules(), argv)
	}
	// The process outlives ctx: only Close ends it.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...)
	c.cmd.Dir = c.home.Workspace()
	c.cmd.Env = c.environ()
	isolate(c.cmd)
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		return err
	}
	// The bridge holds some files for each agent. The limit is raised for this process, and
	// children inherit it.
	raiseFileLimit()
	if err := c.launch(); err != nil {
		return fmt.Errorf("the bridge could not be started: %w", err)
	}
	if err := os.WriteFile(c.pidFile(), []byte(strconv.Itoa(c.cmd.Process.Pid)), 0o600); err != nil {
		return err
	}
	// Room for one, so that drain never waits for a start that has been given up.
	ready := make(chan readyLine, 1)
	// drain goes on after the ready line, for the life of the process.
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

// commandLine runs node itself: the script beside it stays between us and node, and takes our signals.
func commandLine(dir string) []string {
	return []string{filepath.Join(dir, "bin", nodeName), filepath.Join(dir, "dist", "bin", "cursor-sdk-bridge.js")}
}

func (c *child) temp() string    { return filepath.Join(c.folder, tempName) }
func (c *child) pidFile() string { return filepath.Join(c.folder, pidName) }

// rules say what the child may touch when it is confined.
// Reading is allowed where node and its libraries lie, and in the bridge's own folder; writing only
// in the folders that end with the child.
func (c *child) rules() accessRules {
	rules := systemRules()
	rules.Read = append(rules.Read, c.home.cfg.Dir, filepath.Join(c.home.path, caName))
	rules.Write = append(rules.Write, filepath.Join(c.home.path, homeName), c.home.Workspace(), c.temp())
	return rules
}

// environ is all that the child sees of our environment. Without HOME the bridge would write into the user's own home.
func (c *child) environ() []string {
	// The variables of the user's shell stay out: they hold other programs' keys, and some change
	// what node does (NODE_OPTIONS).
	env := append(private(runtime.GOOS, filepath.Join(c.home.path, homeName), c.temp(), os.Getenv), "CURSOR_SDK_CLIENT_LANGUAGE=go")
	if c.home.cfg.BackendURL != "" {
		env = append(env, "CURSOR_BACKEND_URL="+c.home.cfg.BackendURL)
	}
	if c.home.cfg.CAFile != "" {
		env = append(env, "NODE_EXTRA_CA_CERTS="+filepath.Join(c.home.path, caName))
	}
	return env
}

// launch starts the process on a thread that stays for as long as the process does: on Linux the child is killed when
// the thread that started it ends.
func (c *child) launch() error {
	// Two, so that neither send waits when nobody receives any more.
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

// A readyLine is what the bridge says of itself once it listens.
type readyLine struct {
	// The file is in the bridge's own folder, and is read once.
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
	// In bytes. The ready line has about 200.
	const longest = 64 << 10
	r := bufio.NewReaderSize(stderr, longest)
	for {
		line, err := r.ReadSlice('\n') // a longer line comes in several pieces
		if rest, found := bytes.CutPrefix(line, []byte(readyPrefix)); found {
			var announced readyLine
			// A line that begins so and can't be read is passed over; the start then ends by its
			// time.
			if json.Unmarshal(rest, &announced) == nil && announced.URL != "" {
				select {
				case ready <- announced:
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
//
// The token is the bridge's own, for its requests from us; it has nothing to do with the user's key.
func (c *child) connect(ctx context.Context, line readyLine) error {
	// The bridge names a file for us to read, and what is in it is sent back: it must be one of its own.
	//
	// IsLocal refuses what leads out of the folder by "..".
	file, err := filepath.Rel(c.folder, line.AuthTokenFile)
	if err != nil || !filepath.IsLocal(file) {
		return errors.New("the bridge keeps its token outside of its private folder")
	}
	token, err := os.ReadFile(filepath.Join(c.folder, file))
	if err != nil {
		return fmt.Errorf("the bridge's token: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute} // no proxy: it is on the loopback
	c.client = sdkv1.NewClient(line.URL, agent.NewSecret(strings.TrimSpace(string(token))), &http.Client{Transport: transport})
	version, err := c.client.Version(ctx)
	if err != nil {
		return fmt.Errorf("the bridge does not answer: %w", err)
	}
	if version.Protocol != "sdk.v1" {
		return fmt.Errorf("the bridge speaks %q, not sdk.v1; hint: install another version with 'composer-api upstream install'", version.Protocol)
	}
	return c.client.SetToolCallback(ctx, c.callback.URL(), c.callback.Token())
}

// Client implements sdkv1.Bridge.
func (c *child) Client() *sdkv1.Client { return c.client }

// Exited implements sdkv1.Bridge.
func (c *child) Exited() <-chan struct{} { return c.exited }

// Memory implements sdkv1.Bridge: what is resident of the process, not of programs that it has started.
func (c *child) Memory() int64 { return residentMemory(c.cmd.Process.Pid) }

// Close implements sdkv1.Bridge. What the child has kept stays in the home; its own folder is deleted.
//
// SIGTERM first, so that the bridge can end its runs; after endTimeout the whole process group
// is killed. It returns when the process is gone.
func (c *child) Close() error {
	if c.cmd != nil && c.cmd.Process != nil {
		terminate(c.cmd)
		select {
		case <-c.exited:
		case <-time.After(endTimeout):
		}
		kill(c.cmd) // and what it has started
		<-c.exited
	}
	if c.client != nil {
		c.client.Close()
	}
	var err error
	if c.callback != nil {
		err = c.callback.Close()
	}
	return errors.Join(err, os.RemoveAll(c.folder))
}
