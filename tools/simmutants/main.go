// Command simmutants puts faults into the product on purpose, one after the other, and says how many seeds the simulation
// needs to find each.
//
//	go run ./simmutants -dir .. -seeds 400
//
// The faults are those of internal/simtest/testdata/mutants.txtar. The sources stay as they are: each fault is an overlay of
// the compiler's.
package main

import (
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
	// A fault that is not found is a law that is missing, or too few seeds.
	if caught < tried {
		os.Exit(1)
	}
}

// run tries the faults whose name has only in it. A fault that can't be tried counts as not caught.
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
	// One folder for all faults: each writes its files over those of the one before.
	defer os.RemoveAll(temp)
	for _, f := range archive.Files {
		// "" is in every name.
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

// changes applies a fault to the sources: the changed text of each file, by its path. Its changes stand one after the other, with
// a line && between them.
func changes(root, fault string) (map[string]string, error) {
	texts := map[string]string{}
	for change := range strings.SplitSeq(fault, "\n&&\n") {
		// Its first line is the file, from the root. What is before ==== becomes what is after it.
		path, change, _ := strings.Cut(change, "\n")
		before, after, ok := strings.Cut(change, "====\n")
		path = filepath.Join(root, path)
		text, read := texts[path]
		if !read {
			source, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			text = string(source)
		}
		before = strings.TrimSuffix(before, "\n")
		// The code has changed since the fault was written. It has to be written again.
		if !ok || strings.Count(text, before) != 1 {
			return nil, fmt.Errorf("%s does not have the text once", path)
		}
		texts[path] = strings.Replace(text, before, strings.TrimSuffix(after, "\n"), 1)
	}
	return texts, nil
}

// try says how a fault was found; "" when it was not.
func try(root, temp string, f txtar.File, seeds int, budget time.Duration) (string, error) {
	texts, err := changes(root, string(f.Data))
	if err != nil {
		return "", err
	}
	// Full paths on both sides: the compiler does not look at where the overlay lies.
	replace := map[string]string{}
	for path, text := range texts {
		changed := filepath.Join(temp, fmt.Sprintf("changed%d.go", len(replace)))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[path] = changed
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(temp, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	binary := filepath.Join(temp, "simtest.test")
	// Built once for each fault: the seeds then cost no compiling.
	build := exec.CommandContext(context.Background(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", list, "-o", binary, "./internal/simtest")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("does not compile: %s", out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	// Not shrunk: only whether a seed finds the fault is of interest here.
	test := exec.CommandContext(ctx, binary, "-test.run", "TestSimulate$", "-seeds", fmt.Sprint(seeds), "-shrink=false")
	test.Dir = filepath.Join(root, "internal/simtest")
	out, err := test.CombinedOutput()
	switch m := failed.FindStringSubmatch(string(out)); {
	case m != nil:
		return "seed " + m[1] + ", law " + m[2], nil
	// The budget is over, and nothing was found.
	case ctx.Err() != nil:
		return "", nil
	case err != nil:
		return "the process died: " + firstLine(out), nil
	}
	return "", nil
}

// firstLine is the line in which a crash says why.
func firstLine(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal") {
			return strings.TrimSpace(line)
		}
	}
	return "no panic"
}
