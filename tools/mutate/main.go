// Command mutate finds out which small changes of the code no test notices.
//
//	go run ./mutate -dir .. -budget 10m ./internal/agent ./internal/store/seal
//
// It changes one operator, condition or statement of a package, runs the package's own tests, and goes on with the next
// change. A change is noticed when a test fails or runs into its time limit. What is left over (it "survives") is either
// a test that is missing or a change that makes no difference. The files themselves stay as they are: the compiler is
// given the changed text by its -overlay.
//
// A package can have hundreds of changes, so a run takes a sample of them and ends with its budget. The seed that it
// prints makes it take the same sample again.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	var opt options
	flag.StringVar(&opt.dir, "dir", ".", "root of the module")
	flag.IntVar(&opt.sample, "sample", 40, "changes to try in each package; 0 is all")
	flag.DurationVar(&opt.budget, "budget", 10*time.Minute, "when to begin no more changes")
	flag.Uint64Var(&opt.seed, "seed", 0, "of the sample; 0 takes a new one and prints it")
	flag.Parse()
	if opt.seed == 0 {
		opt.seed = rand.Uint64N(1_000_000) + 1
	}
	// Ctrl-C ends the tests that run, and prints the scores of what was measured.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, opt, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// options are the flags: dir is the module's root, the others as main describes them.
type options struct {
	dir    string
	sample int
	budget time.Duration
	seed   uint64
}

// A listed package is what "go list -json" says of one.
type listed struct {
	Dir, ImportPath string
	GoFiles         []string
}

// run tries the changes of each package and prints what survives, and a line with the score. Surviving changes are no
// error.
func run(ctx context.Context, opt options, patterns []string) error {
	packages, err := list(ctx, opt.dir, patterns)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	fmt.Printf("seed %d, up to %d changes a package (0: all), %v in all\n", opt.seed, opt.sample, opt.budget)
	end := time.Now().Add(opt.budget)
	// One after the other: tests that ran beside each other would take longer, and run into their limit.
	for _, p := range packages {
		if !time.Now().Before(end) || ctx.Err() != nil {
			fmt.Printf("%s: not measured, the time is over\n", p.ImportPath)
			continue
		}
		t := &trial{dir: opt.dir, work: work, p: p}
		if err := t.measure(ctx, opt, end); err != nil {
			return fmt.Errorf("%s: %w", p.ImportPath, err)
		}
	}
	return ctx.Err()
}

// list is the packages that the patterns name, in go list's order.
func list(ctx context.Context, dir string, patterns []string) ([]listed, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-json=Dir,ImportPath,GoFiles"}, patterns...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []listed
	// go list writes one object behind the other, without an array around them.
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// A trial is the measuring of one package.
type trial struct {
	// dir is the module's root, and work a private folder for the changed file and the overlay.
	dir, work string
	p         listed
	limit     time.Duration // of one run of the tests
	covered   coverage

	// tried counts the changes that compiled, noticed those of them that a test found.
	tried, noticed int
}

// measure tries a sample of the package's changes until end.
func (t *trial) measure(ctx context.Context, opt options, end time.Time) error {
	// All changes are made before one is tried, so that the sample is of the whole package.
	var all []change
	for _, name := range t.p.GoFiles {
		path := filepath.Join(t.p.Dir, name)
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		changes, err := changesOf(path, src)
		if err != nil {
			return err
		}
		all = append(all, changes...)
	}
	if len(all) == 0 {
		return nil
	}
	if err := t.baseline(ctx); err != nil {
		return err
	}
	// A generator for each package, so that its sample doesn't depend on which packages come before it.
	random := rand.New(rand.NewPCG(opt.seed, 0))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, c := range all {
		// tried counts what compiled, so a sample is as large as it was asked for.
		if opt.sample > 0 && t.tried == opt.sample || !time.Now().Before(end) || ctx.Err() != nil {
			break
		}
		if err := t.try(ctx, c); err != nil {
			return err
		}
	}
	if t.tried > 0 {
		fmt.Printf("%s: %d of %d changes noticed (%d %%), of %d possible\n", t.p.ImportPath, t.noticed, t.tried, 100*t.noticed/t.tried, len(all))
	}
	return nil
}

// baseline runs the tests as they are. It learns how long they take and which lines they reach.
func (t *trial) baseline(ctx context.Context) error {
	profile := filepath.Join(t.work, "cover")
	begin := time.Now()
	if out, err := t.test(ctx, 10*time.Minute, "-coverprofile", profile); err != nil {
		return fmt.Errorf("the tests fail without any change: %w\n%s", err, out)
	}
	// A change may make a loop endless: that counts as noticed. The slack is for a busy machine.
	t.limit = 3*time.Since(begin) + 20*time.Second
	text, err := os.ReadFile(profile)
	if err != nil {
		return err
	}
	t.covered = readCoverage(string(text))
	return nil
}

// try makes one change and counts what becomes of it. A change that doesn't compile doesn't count.
func (t *trial) try(ctx context.Context, c change) error {
	// No test runs the line, so the tests need not be run to know the result.
	if !t.covered.reaches(t.p.ImportPath+"/"+filepath.Base(c.path), c.line) {
		t.tried++
		fmt.Printf("SURVIVED %s (no test gets there)\n", t.describe(c))
		return nil
	}
	changed, overlay := filepath.Join(t.work, "changed.go"), filepath.Join(t.work, "overlay.json")
	if err := os.WriteFile(changed, c.text, 0o600); err != nil {
		return err
	}
	// The form of -overlay: see go help build.
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {c.path: changed}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return err
	}
	out, err := t.test(ctx, t.limit, "-failfast", "-overlay", overlay)
	var failed *exec.ExitError
	switch {
	// Interrupted: it counts as not tried.
	case ctx.Err() != nil:
	case err == nil:
		t.tried++
		fmt.Printf("SURVIVED %s\n", t.describe(c))
	// go itself could not be started.
	case !errors.As(err, &failed):
		return err
	case !unbuilt.Match(out):
		t.tried++
		t.noticed++
	}
	return nil
}

// unbuilt is what go test says when there is nothing to run.
var unbuilt = regexp.MustCompile(`(?m)^FAIL\s+\S+ \[(build|setup) failed\]`)

// describe is a change for the report: package, file, line, what.
func (t *trial) describe(c change) string {
	path, err := filepath.Rel(t.p.Dir, c.path)
	if err != nil {
		path = c.path
	}
	return fmt.Sprintf("%s/%s:%d: %s", t.p.ImportPath, path, c.line, c.what)
}

// test runs the package's tests with flags and returns what they say. The test binary ends itself at limit; should it
// not, go test is ended a minute later.
func (t *trial) test(ctx context.Context, limit time.Duration, flags ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit+2*time.Minute) // compiling takes its time, too
	defer cancel()
	args := append([]string{"test", "-count=1", "-vet=off", "-timeout", limit.String()}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, t.p.ImportPath)...)
	// A test that has started processes of its own may keep the output open; after WaitDelay nobody waits for it.
	cmd.Dir, cmd.WaitDelay = t.dir, 10*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go test ends its children then
	return cmd.CombinedOutput()
}
