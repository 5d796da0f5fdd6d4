package main

import (
	"fmt"
	"strings"
)

// A row is one line of the table: what was measured, what each server had, and whether the gateway is where it should be.
type row struct {
	target string // its number in docs/speed.md
	// what is measured, in words, and the unit of every figure of the row.
	what   string
	unit   string
	figure map[string]spread // by the server's name

	// What the gateway's figure must be: at most limit, or with atLeast at least; of the figure of against, or absolute when that
	// is "". A limit of 0 is no target: the row is there to be read.
	limit   float64
	atLeast bool
	against string
}

// ratio is the gateway's figure against the baseline's; 0 when there is none.
func (r row) ratio() float64 {
	// A server that isn't there, such as nginx where it isn't installed, has no figure.
	base := r.figure[r.against].median
	if base == 0 {
		return 0
	}
	return r.figure[nameOurs].median / base
}

// verdict is "yes", "no", or "" for a row without a target.
func (r row) verdict() string {
	// The median of the rounds, as the table shows it.
	have := r.figure[nameOurs].median
	if r.against != "" {
		have = r.ratio()
	}
	switch {
	case r.limit == 0:
		return ""
	case r.atLeast == (have >= r.limit) || have == r.limit:
		return "yes"
	}
	return "no"
}

// isUnsteady reports whether the gateway's figure comes from rounds without a steady baseline.
func (r row) isUnsteady() bool { return r.figure[nameOurs].unsteady }

// wanted is the target, in words.
func (r row) wanted() string {
	sign := "≤"
	if r.atLeast {
		sign = "≥"
	}
	switch {
	case r.limit == 0:
		return "–"
	case r.against != "":
		return fmt.Sprintf("%s %s × %s", sign, number(r.limit), r.against)
	}
	return fmt.Sprintf("%s %s %s", sign, number(r.limit), r.unit)
}

// table is the rows as Markdown, with a column for each server. Figures are medians; those of the gateway have their lowest and
// highest, too. "≈" marks those that are unsteady.
func table(rows []row, servers []string) string {
	var b strings.Builder
	b.WriteString("| # | what | unit | " + strings.Join(servers, " | ") + " | target | ratio | holds |\n")
	b.WriteString("| --- | --- | --- | " + strings.Repeat("--: | ", len(servers)) + "--- | --: | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s |", r.target, r.what, r.unit)
		for _, name := range servers {
			s, ok := r.figure[name]
			median := number(s.median)
			if s.unsteady {
				median = "≈" + median
			}
			switch {
			case !ok:
				b.WriteString(" – |")
			// Only of the gateway's figures does the table say how far they lie apart.
			case name == nameOurs && s.low != s.high:
				fmt.Fprintf(&b, " **%s** (%s–%s) |", median, number(s.low), number(s.high))
			case name == nameOurs:
				fmt.Fprintf(&b, " **%s** |", median)
			default:
				fmt.Fprintf(&b, " %s |", median)
			}
		}
		ratio := "–"
		if n := r.ratio(); n > 0 {
			ratio = fmt.Sprintf("%.2f", n)
		}
		fmt.Fprintf(&b, " %s | %s | %s |\n", r.wanted(), ratio, r.verdict())
	}
	return b.String()
}

// number is a figure with about three digits.
func number(f float64) string {
	switch {
	case f >= 1e4:
		return fmt.Sprintf("%.0fk", f/1e3)
	case f >= 100 || f == float64(int(f)):
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}
