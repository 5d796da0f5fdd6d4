package main

import (
	"regexp"
	"strconv"
	"strings"
)

// coverage holds, for each file as a profile names it, whether tests get to a line. Lines that are in no block of the profile,
// such as the condition of a case, are not in it.
type coverage map[string]map[int]bool

// block is a line of a cover profile: FILE:LINE.COLUMN,LINE.COLUMN STATEMENTS COUNT.
var block = regexp.MustCompile(`^(.+):(\d+)\.\d+,(\d+)\.\d+ \d+ (\d+)$`)

// readCoverage reads a profile of go test. Lines of it that are no blocks are skipped.
func readCoverage(profile string) coverage {
	c := coverage{}
	for line := range strings.Lines(profile) {
		m := block.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		first, _ := strconv.Atoi(m[2]) // digits, by the expression
		last, _ := strconv.Atoi(m[3])
		if c[m[1]] == nil {
			c[m[1]] = map[int]bool{}
		}
		// Two blocks may share a line; one that is reached is enough.
		for n := first; n <= last; n++ {
			c[m[1]][n] = c[m[1]][n] || m[4] != "0"
		}
	}
	return c
}

// reaches reports whether a test may get to the line: it does, or the profile doesn't tell. Of a file that isn't in the profile,
// no.
func (c coverage) reaches(file string, line int) bool {
	gets, told := c[file][line]
	return gets || !told && c[file] != nil
}
