package harness

import (
	"fmt"
	"strings"
)

// Summary tells the record in one line a run, and one more for each tool call, for failure messages and golden files.
// What differs from one time to the next (ids, times) is left out, and so is the prompt, whose wording belongs to the
// gateway; scripts check it with `expect prompt`.
func Summary(runs []Run) string {
	var b strings.Builder
	for i, r := range runs {
		fmt.Fprintf(&b, "run %d: %s", i+1, r.Model)
		if r.Attempt > 1 {
			fmt.Fprintf(&b, ", attempt %d", r.Attempt)
		}
		for _, fact := range []struct {
			is   bool
			name string
		}{{r.Continued, "continued"}, {r.Resume, "resumed"}} {
			if fact.is {
				b.WriteString(", " + fact.name)
			}
		}
		if len(r.Tools) > 0 {
			b.WriteString(", tools " + strings.Join(r.Tools, " "))
		}
		if r.Images > 0 {
			fmt.Fprintf(&b, ", images %d", r.Images)
		}
		end := r.End
		if r.Parked() {
			end = "parked"
		} else if end == "" {
			end = "open"
		}
		b.WriteString(", end " + end)
		if r.Error != "" && r.End != "left" { // how leaving shows is up to the transport
			fmt.Fprintf(&b, " (%s)", r.Error)
		}
		b.WriteString("\n")
		for _, c := range r.Calls() {
			fmt.Fprintf(&b, "  %s %s: %q\n", c.Kind, c.Tool, c.Result)
		}
		for _, failure := range r.Failures {
			fmt.Fprintf(&b, "  FAILED: %s\n", failure)
		}
	}
	return b.String()
}
