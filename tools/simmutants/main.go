// Command simmutants puts faults into the product on purpose, one after the other, and says how many seeds the simulation
// needs to find each.
//
//	go run ./simmutants -dir .. -seeds 400
//
// The faults are those of internal/simtest/testdata/mutants.txtar. The sources stay as they are: each fault is an overlay of
// the compiler's.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/tools/txtar"
)

func main() {
	dir := flag.String("dir", "..", "root of the module")
	seeds := flag.Int("seeds", 400, "how many seeds each fault gets")
	only := flag.String("only", "", "a part of the names of the faults to try")
	budget := flag.Duration("budget", 2*time.Minute, "how long the seeds of one fault may take")
	flag.Parse()
	caught, tried, err := run(*dir, *seeds, *only, *budget)
	if err != nil {
		fmt.Fprintln(os.Stderr, "simmutants:", err)
		os.Exit(2)
	}
	fmt.Printf("%d of %d caught\n", caught, tried)
	if caught < tried {
		os.Exit(1)
	}
}

func run(dir string, seeds int, only string, budget time.Duration) (caught, tried int, err error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return 0, 0, err
	}
	archive, err := txtar.ParseFile(filepath.Join(root, "internal/simtest/testdata/mutants.txtar"))
	if err != nil {
		return 0, 0, err
	}
	temp, err := os.MkdirTemp("", "simmutants")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(temp)
	for _, f := range archive.Files {
		if !strings.Contains(f.Name, only) {
			continue
		}
		tried++
		how, err := try(root, temp, f, seeds, budget)
		switch {
		case err != nil:
			how = err.Error()
		case how != "":
			caught++
		default:
			how = fmt.Sprintf("not in %d seeds", seeds)
		}
		fmt.Printf("| %s | %s |\n", f.Name, how)
	}
	return caught, tried, nil
}

// A failing seed as the simulation prints it: its number, and the law that was broken.
var failed = regexp.MustCompile(`seed \d+ \(number (\d+)\): \d+ broken, the first: [^:]*: (\w+)`)

// try says how a fault was found; "" when it was not.
func try(root, temp string, f txtar.File, seeds int, budget time.Duration) (string, error) {
	path, change, _ := strings.Cut(string(f.Data), "\n")
	before, after, ok := strings.Cut(change, "====\n")
	source, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return "", err
	}
	before = strings.TrimSuffix(before, "\n")
	if !ok || bytes.Count(source, []byte(before)) != 1 {
		return "", fmt.Errorf("%s does not have the text once", path)
	}
	changed := filepath.Join(temp, "changed.go")
	text := strings.Replace(string(source), before, strings.TrimSuffix(after, "\n"), 1)
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, path): changed}})
	if err != nil {
		return "", err
	}
	list := filepath.Join(temp, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	binary := filepath.Join(temp, "simtest.test")
	build := exec.CommandContext(context.Background(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", list, "-o", binary, "./internal/simtest")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("does not compile: %s", out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	test := exec.CommandContext(ctx, binary, "-test.run", "TestSimulate$", "-seeds", fmt.Sprint(seeds), "-shrink=false")
	test.Dir = filepath.Join(root, "internal/simtest")
	out, err := test.CombinedOutput()
	switch m := failed.FindStringSubmatch(string(out)); {
	case m != nil:
		return "seed " + m[1] + ", law " + m[2], nil
	case ctx.Err() != nil:
		return "", nil
	case err != nil:
		return "the process died: " + firstLine(out), nil
	}
	return "", nil
}

func firstLine(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal") {
			return strings.TrimSpace(line)
		}
	}
	return "no panic"
}
