package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// progress is where the bench says what it is doing.
var progress io.Writer = os.Stderr

// text is what was measured, as the table and its notes.
func (s *suite) text() string {
	// Stable, so that rows of one target stay in the order in which they were measured.
	slices.SortStableFunc(s.rows, func(a, b row) int { return cmp.Compare(order(a.target), order(b.target)) })
	var b strings.Builder
	title, target := "What composer-api costs", "bench"
	if s.scale {
		title, target = "What composer-api costs when there is much of something", "bench-scale"
	}
	fmt.Fprintf(&b, "# %s\n\nMeasured %s on %s, in %v. `make %s` makes this file; docs/speed.md says what the lines mean.\n\n",
		title, s.begun.Format(time.DateTime), machine(), time.Since(s.begun).Round(time.Second), target)
	b.WriteString(table(s.rows, s.names()))
	if slices.ContainsFunc(s.rows, row.isUnsteady) {
		b.WriteString("\n- ≈: the machine was too busy for a steady baseline within the rounds of this contest, so the figure says less.")
	}
	for _, note := range s.notes {
		b.WriteString("\n- " + note)
	}
	b.WriteString("\n")
	return b.String()
}

// report prints the table, and writes it and the drawings into the folder of results.
func (s *suite) report() error {
	var b strings.Builder
	b.WriteString(s.text())
	if s.only != "" { // a part of the table doesn't replace the whole
		fmt.Print(b.String())
		return nil
	}
	if err := os.MkdirAll(s.results, 0o755); err != nil {
		return err
	}
	name := "latest"
	if s.scale {
		name = "scale"
	}
	for _, file := range slices.Sorted(maps.Keys(s.plots)) {
		if err := s.plots[file].write(filepath.Join(s.results, name+"-"+file+".svg")); err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n![%s](%s-%s.svg)\n", s.plots[file].title, name, file)
	}
	fmt.Print(b.String())
	return os.WriteFile(filepath.Join(s.results, name+".md"), []byte(b.String()), 0o644)
}

// order sorts the table: by the targets' numbers, and what has none at the end.
func order(target string) int {
	n, err := strconv.Atoi(target)
	if err != nil {
		return 1000
	}
	return n
}

// machine says on what the bench ran.
func machine() string {
	model := "an unknown processor"
	// Linux alone has it.
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range bytes.Lines(data) {
			if name, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(name)) == "model name" {
				model = string(bytes.TrimSpace(value))
				break
			}
		}
	}
	return fmt.Sprintf("%d cores of %s, %s, %s", runtime.NumCPU(), model, runtime.Version(), runtime.GOOS)
}
