package sdkbridge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/cursor/bridgechild"
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
	root string // where the bridge's private folder lies
	url  string // of the simulator
	sim  *cursorsim.Sim
}

// newRig starts no bridge yet. The test is skipped where there is none. change may be nil.
func newRig(t *testing.T, change func(*sdkbridge.Config)) *rig {
	t.Helper()
	dir := os.Getenv("COMPOSER_TEST_SDK_BRIDGE")
	if dir == "" {
		t.Skip("COMPOSER_TEST_SDK_BRIDGE does not name a folder of Cursor's bridge; conformance/install.sh installs one")
	}
	r := &rig{root: t.TempDir(), sim: cursorsim.New(cursorsim.Config{})}
	upstream := httptest.NewServer(r.sim)
	r.url = upstream.URL
	cfg := sdkbridge.Config{Child: bridgechild.Config{Dir: dir, Root: r.root, BackendURL: upstream.URL}}
	if change != nil {
		change(&cfg)
	}
	r.Backend = sdkbridge.New(cfg)
	t.Cleanup(upstream.Close)
	t.Cleanup(func() { r.Backend.Close() })
	return r
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
// words. Its agents go on with each run, so a conversation can be continued once.
func TestExam(t *testing.T) {
	r := newRig(t, nil)
	backendtest.Exam(t, backendtest.Features{NoErrorCodes: true, NoCutCharacters: true, ContinueOnce: true, ExactNames: true}, func(t *testing.T, s *script.Script) agent.Backend {
		r.play(t, s.String())
		return r.Backend
	})
}

func TestTheBridgeLeavesNothing(t *testing.T) {
	r := newRig(t, nil)
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
	r := newRig(t, nil)
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
	r := newRig(t, nil)
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

// killBridge ends the bridge as a crash would.
func killBridge(t *testing.T, r *rig) {
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
}

func TestWhenTheBridgeDiesTheRunSaysSo(t *testing.T) {
	r := newRig(t, nil)
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
	r := newRig(t, nil)
	r.play(t, "turn always\nhold")
	run := r.start(t, backendtest.Request("hi"))
	eventually(t, "the run has reached upstream", func() bool { return len(r.sim.Runs()) == 1 })
	r.play(t, "turn always\ntext hello")
	killBridge(t, r)
	if turn, err := backendtest.Collect(t.Context(), run); err != nil || turn.Text != "hello" {
		t.Errorf("%+v, %v", turn, err)
	}
}

func TestABridgeIsReplacedAfterSoManyRuns(t *testing.T) {
	r := newRig(t, func(cfg *sdkbridge.Config) { cfg.RecycleRuns = 2 })
	r.play(t, "turn always\ntext hello")
	seen := map[int]bool{}
	for range 5 {
		run := r.start(t, backendtest.Request("hi"))
		if turn, err := backendtest.Collect(t.Context(), run); err != nil || turn.Text != "hello" {
			t.Fatalf("%+v, %v", turn, err)
		}
		for _, pid := range bridgechild.PIDs(r.root) {
			seen[pid] = true
		}
		run.Close()
	}
	if len(seen) != 3 {
		t.Errorf("five runs were on %d bridges, want 3", len(seen))
	}
	eventually(t, "the old bridges have ended", func() bool { return len(bridgechild.PIDs(r.root)) == 1 })
}

func TestEachOwnerHasABridge(t *testing.T) {
	r := newRig(t, func(cfg *sdkbridge.Config) { cfg.PerOwner, cfg.MaxWorkers = true, 2 })
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
			outside := t.TempDir()
			secret := filepath.Join(outside, "secret")
			if err := os.WriteFile(secret, []byte("the secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			r := newRig(t, func(cfg *sdkbridge.Config) { cfg.Child.Confine = confine })
			written := filepath.Join(outside, "written")
			r.play(t, fmt.Sprintf("turn always\nbuiltin read {\"path\":%q}\ntext read: {result 1}\nbuiltin write {\"path\":%q,\"fileText\":\"x\"}\ntext ; written: {result 2}", secret, written))
			turn, err := backendtest.Collect(t.Context(), r.start(t, backendtest.Request("hi")))
			if err != nil {
				t.Fatal(err)
			}
			_, missing := os.Stat(written)
			read, wrote := strings.Contains(turn.Text, "the secret"), missing == nil
			if free := confine == nil; read != free || wrote != free {
				t.Errorf("read %v, wrote %v: %q", read, wrote, turn.Text)
			}
		})
	}
}

func TestAProbeAsksTheBridgeAndThenForCursor(t *testing.T) {
	away := agent.Errorf(agent.Upstream, "Cursor can't be reached.")
	var reached error
	r := newRig(t, func(c *sdkbridge.Config) { c.Reach = func(context.Context) error { return reached } })
	if err := r.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	reached = away
	if err := r.Probe(t.Context()); !errors.Is(err, away) {
		t.Errorf("without Cursor: %v", err)
	}
	if n := len(r.sim.Runs()); n != 0 {
		t.Errorf("the probes took %d runs", n)
	}
}
