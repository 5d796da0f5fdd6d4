package sdkbridge_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/cursor/bridgechild"
	"composer-api/internal/cursor/sdkv1"
	"composer-api/internal/sim/cursorsim"
	"composer-api/internal/sim/script"
)

// TestMain lets a copy of this test binary be the launcher of confined bridges.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "confined" {
		os.Stderr.WriteString(bridgechild.ConfinedMain(os.Args[2:]).Error() + "\n")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A rig is a Backend with the real bridge, whose upstream is a simulator.
type rig struct {
	*sdkbridge.Backend
	root string // where the bridges' private folders lie
	url  string // of the simulator, without TLS
	sim  *cursorsim.Sim
}

// A rigConfig says how a rig is made.
type rigConfig struct {
	backend sdkbridge.Config
	child   bridgechild.Config
	sim     cursorsim.Config
	tls     bool // the bridge speaks to the simulator with TLS, and so HTTP/2
	lost    bool // the bridge is not told where the simulator is
}

// newRig starts no bridge yet. The test is skipped where there is none.
func newRig(t *testing.T, cfg rigConfig) *rig {
	t.Helper()
	cfg.child.Dir = os.Getenv("COMPOSER_TEST_SDK_BRIDGE")
	if cfg.child.Dir == "" {
		t.Skip("COMPOSER_TEST_SDK_BRIDGE does not name a folder of Cursor's bridge; conformance/install.sh installs one")
	}
	r := &rig{root: t.TempDir(), sim: cursorsim.New(cfg.sim)}
	listeners := cursorsim.Listeners{Plain: listen(t), TLS: listen(t), CAFile: filepath.Join(t.TempDir(), "ca.pem")}
	r.url = "http://" + listeners.Plain.Addr().String()
	cfg.child.Root, cfg.child.BackendURL = r.root, r.url
	if cfg.tls {
		cfg.child.BackendURL, cfg.child.CAFile = "https://"+listeners.TLS.Addr().String(), listeners.CAFile
	}
	if cfg.lost {
		cfg.child.BackendURL = ""
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.sim.Serve(ctx, listeners) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	cfg.backend.NewHome = func() (sdkv1.Home, error) { return bridgechild.NewHome(cfg.child) }
	r.Backend = sdkbridge.New(cfg.backend)
	t.Cleanup(func() { r.Backend.Close() })
	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// play makes the simulator play source from now on.
func (r *rig) play(t *testing.T, source string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/sim/script", strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("the simulator does not take the script: %s", resp.Status)
	}
}

func (r *rig) start(t *testing.T, req *agent.Request) agent.Run {
	t.Helper()
	run, err := r.Start(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	return run
}

// The bridge loses the codes of Cursor's errors, so the exam leaves those out; errors_test.go has what is read off their
// words. Its agents go on with each run, so a conversation can be continued once. With TLS the bridge takes another way to
// Cursor: one HTTP/2 stream a run instead of two kinds of requests; there the simulator misbehaves a little, too.
func TestExam(t *testing.T) {
	for name, cfg := range map[string]rigConfig{
		"plain": {},
		"TLS":   {tls: true, sim: cursorsim.Config{Seed: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, cfg)
			backendtest.Exam(t, backendtest.Features{NoErrorCodes: true, NoCutCharacters: true, ContinueOnce: true, ExactNames: true}, func(t *testing.T, s *script.Script) agent.Backend {
				r.play(t, s.String())
				return r.Backend
			})
			for _, run := range r.sim.Runs() {
				if (run.Transport == "http2") != cfg.tls {
					t.Fatalf("a run came by %s", run.Transport)
				}
			}
			if found := r.sim.Violations(); len(found) > 0 {
				t.Logf("what the simulator thinks of the bridge: %v", found)
			}
		})
	}
}

// A call may be held for longer than anything on its way is patient: the bridge keeps the run alive.
func TestACallIsHeldForThirtyFiveSeconds(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{tls: true})
	r.play(t, "turn always\ncalls 2\ncall look {\"path\":\"a\"}\ncall listen {\"path\":\"b\"}\nend\ntext {result 1} and {result 2}")
	run := r.start(t, backendtest.Request("hi"))
	turn := collect(t, run)
	<-time.After(35 * time.Second) // real time: it is the bridge that is tested
	resume(t, run, turn, "seen")
	if last := collect(t, run); last.Text != "seen and seen" {
		t.Errorf("%+v", last)
	}
	for _, exec := range r.sim.Runs()[0].Execs {
		if exec.Tool != "" && exec.Heartbeats < 5 {
			t.Errorf("%d heartbeats for %s", exec.Heartbeats, exec.Tool)
		}
	}
	if n := len(r.sim.Runs()); n != 1 {
		t.Errorf("%d runs upstream", n)
	}
}

func TestTheBridgeLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{})
	r.play(t, "turn always\ntext hello")
	run, err := r.Start(t.Context(), backendtest.Request("hi"))
	if err != nil {
		t.Fatal(err)
	}
	if turn, err := backendtest.Collect(t.Context(), run); err != nil || turn.Text != "hello" {
		t.Errorf("%+v, %v", turn, err)
	}
	run.Close()
	began := time.Now()
	r.Backend.Close()
	t.Logf("closed after %v", time.Since(began))
	if left, err := os.ReadDir(r.root); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// eventually waits for a condition of another process.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not so in time: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// A run that is given up while its call is held is cancelled upstream first: the model must not see an answer of ours.
func TestARunThatIsGivenUpIsCancelledBeforeItsCallIsReleased(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{})
	r.play(t, "turn always\ncall look {\"path\":\"a\"}\ntext {result 1}")
	run := r.start(t, backendtest.Request("hi"))
	turn, err := backendtest.Collect(t.Context(), run)
	if err != nil || len(turn.Calls) != 1 || turn.Usage == nil || !turn.Usage.Estimated {
		t.Fatalf("%+v, %v", turn, err)
	}
	run.Close()
	eventually(t, "the run has ended upstream", func() bool { return r.sim.Runs()[0].End != "" })
	got := r.sim.Runs()[0]
	if got.End != cursorsim.EndedLeft {
		t.Errorf("the run ended %q", got.End)
	}
	for _, exec := range got.Execs {
		if exec.Tool == "look" && exec.Result != "" {
			t.Errorf("the model was told %q", exec.Result)
		}
	}
}

func TestImagesGoAlongInline(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{})
	r.play(t, "turn always\ntext seen")
	req := backendtest.Request("what is this? ")
	req.Messages[0].Parts = append(req.Messages[0].Parts, agent.Part{Image: &agent.Image{MIME: "image/png", Data: png}})
	if turn, err := backendtest.Collect(t.Context(), r.start(t, req)); err != nil || turn.Text != "seen" {
		t.Fatalf("%+v, %v", turn, err)
	}
	if n := r.sim.Runs()[0].Images; n != 1 {
		t.Errorf("%d images arrived", n)
	}
	req.Messages[0].Parts[1].Image = &agent.Image{URL: "http://127.0.0.1/a.png", Param: "messages[0]"}
	if _, err := r.Start(t.Context(), req); agent.CodeOf(err) != agent.InvalidValue {
		t.Errorf("an image that was not fetched: %v", err)
	}
}

// png is the smallest picture.
var png = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89" +
	"\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\xa7\x9a\xa0\xa0\x00\x00\x00\x00IEND\xaeB`\x82")

// killBridge ends the bridge as a crash would, and returns its process id.
func killBridge(t *testing.T, r *rig) int {
	t.Helper()
	pids := bridgechild.PIDs(r.root)
	if len(pids) != 1 {
		t.Fatalf("bridges: %v", pids)
	}
	bridge, err := os.FindProcess(pids[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := bridge.Kill(); err != nil {
		t.Fatal(err)
	}
	return pids[0]
}

func TestWhenTheBridgeDiesTheRunSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{})
	r.play(t, "turn always\ntext It begins.\nhold")
	run := r.start(t, backendtest.Request("hi"))
	if e, err := run.Next(t.Context()); err != nil || e.Kind != agent.Text {
		t.Fatalf("%+v, %v", e, err)
	}
	killBridge(t, r)
	if _, err := run.Next(t.Context()); agent.CodeOf(err) != agent.Upstream || agent.AsError(err).UserMessage() == "" {
		t.Errorf("got %v", err)
	}
}

func TestWhenTheBridgeDiesBeforeAnythingWasSaidTheRunBeginsAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{})
	r.play(t, "turn always\nhold")
	run := r.start(t, backendtest.Request("hi"))
	eventually(t, "the run has reached upstream", func() bool { return len(r.sim.Runs()) == 1 })
	r.play(t, "turn always\ntext hello")
	killBridge(t, r)
	if turn, err := backendtest.Collect(t.Context(), run); err != nil || turn.Text != "hello" {
		t.Errorf("%+v, %v", turn, err)
	}
}

// The agents of a bridge that is replaced, or has died, are taken over by the next one.
func TestAConversationGoesOnWhenTheRealBridgeIsReplacedOrDies(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{backend: sdkbridge.Config{RecycleRuns: 2}})
	r.play(t, "turn times 9 when continued\ntext again: {prompt}\nturn always\ntext hello")
	say := func(req *agent.Request) backendtest.Turn {
		run := r.start(t, req)
		defer run.Close()
		return collect(t, run)
	}
	turn := say(backendtest.Request("hi"))
	first := bridgechild.PIDs(r.root)
	say(backendtest.Request("hi")) // wears the first bridge out
	say(backendtest.Request("hi")) // has the next one started
	eventually(t, "the first bridge has been replaced", func() bool {
		now := bridgechild.PIDs(r.root)
		return len(now) == 1 && now[0] != first[0]
	})
	if turn = say(followUp(turn, "replaced")); turn.Text != "again: replaced" {
		t.Errorf("after the replacement: %+v", turn)
	}
	killed := killBridge(t, r)
	eventually(t, "the death of the bridge is known", func() bool { return !slices.Contains(bridgechild.PIDs(r.root), killed) })
	if turn = say(followUp(turn, "killed")); turn.Text != "again: killed" {
		t.Errorf("after the death: %+v", turn)
	}
	runs := r.sim.Runs()
	for _, run := range runs[3:] {
		if run.ConversationID != runs[0].ConversationID || !run.Continued {
			t.Errorf("upstream saw %s (continued: %v) instead of %s", run.ConversationID, run.Continued, runs[0].ConversationID)
		}
	}
}

func TestEachOwnerHasABridge(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{backend: sdkbridge.Config{PerOwner: true, MaxBridges: 2}})
	r.play(t, "turn always\ntext hello")
	for i, owner := range []string{"ann", "bob", "ann", "cem"} {
		req := backendtest.Request("hi")
		req.Caller.Owner = owner
		run := r.start(t, req)
		if turn, err := backendtest.Collect(t.Context(), run); err != nil || turn.Text != "hello" {
			t.Fatalf("%+v, %v", turn, err)
		}
		run.Close()
		if want := min(i+1, 2); i != 2 {
			eventually(t, "as many bridges as owners, up to the bound", func() bool { return len(bridgechild.PIDs(r.root)) == want })
		}
	}
}

// The bridge runs Cursor's own tools when the server asks for one, whatever tools the agent is offered. A confined one
// can't reach anything outside of its private folder. The unconfined one shows that the test would notice.
func TestAConfinedBridgeReadsAndWritesNothingOutside(t *testing.T) {
	if bridgechild.Confinement() == "" {
		t.Skip("this system has no confinement")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, confine := range map[string][]string{"confined": {exe, "confined"}, "unconfined": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outside := t.TempDir()
			secret := filepath.Join(outside, "secret")
			if err := os.WriteFile(secret, []byte("the secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			written := filepath.Join(outside, "written")
			r := newRig(t, rigConfig{child: bridgechild.Config{Confine: confine}})
			r.play(t, fmt.Sprintf("turn always\nbuiltin read {\"path\":%q}\nbuiltin write {\"path\":%q,\"fileText\":\"x\"}\ntext {result 1}; {result 2}", secret, written))
			turn := collect(t, r.start(t, backendtest.Request("hi")))
			_, missing := os.Stat(written)
			free := confine == nil
			for what, got := range map[string]bool{
				"read a file":               strings.Contains(turn.Text, "the secret"),
				"wrote outside of its home": missing == nil,
			} {
				if got != free {
					t.Errorf("it %s: %v; %q", what, got, turn.Text)
				}
			}
		})
	}
}
