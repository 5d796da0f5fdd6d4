package main

import (
	"regexp"
	"strconv"
	"strings"
)

// coverage holds, for each file as a profile names it, the lines that tests get to.
type coverage map[string]map[int]bool

// block is a line of a cover profile: FILE:LINE.COLUMN,LINE.COLUMN STATEMENTS COUNT.
var block = regexp.MustCompile(`^(.+):(\d+)\.\d+,(\d+)\.\d+ \d+ (\d+)$`)

// readCoverage reads a profile of go test. Lines of it that are no blocks are skipped.
func readCoverage(profile string) coverage {
	c := coverage{}
	for line := range strings.Lines(profile) {
		m := block.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || m[4] == "0" {
			continue
		}
		first, _ := strconv.Atoi(m[2]) // digits, by the expression
		last, _ := strconv.Atoi(m[3])
		if c[m[1]] == nil {
			c[m[1]] = map[int]bool{}
		}
		for n := first; n <= last; n++ {
			c[m[1]][n] = true
		}
	}
	return c
}

// reaches reports whether a test gets to the line. A file without any covered line can't be told from one of which the
// profile knows nothing, so there the answer is no as well.
func (c coverage) reaches(file string, line int) bool { return c[file][line] }
