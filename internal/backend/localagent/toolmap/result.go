package toolmap

import (
	"strconv"
	"strings"
)

// Reading what a client's tool returns, for built-in tools whose answer has more form than a text.

// A Match is one line that a search found. Line counts from 1.
type Match struct {
	// File is as the tool has written it.
	File string
	Line int
	Text string
}

// Matches reads the output of a search as grep -n prints it: file:line:text, one match a line.
// It reports false when any line has another form: then the caller passes all of it on as it
// is. A file's name with a colon in it gives another form, and so false.
//
//	main.go:12:func main() {     {main.go 12 func main() {}
//	12:func main() {             false: no name
//	main.go                      false: no number
func Matches(output string) ([]Match, bool) {
	var found []Match
	for _, line := range Lines(output) {
		file, rest, ok := strings.Cut(line, ":")
		number, text, ok2 := strings.Cut(rest, ":")
		n, err := strconv.ParseInt(number, 10, 32)
		if !ok || !ok2 || err != nil || n < 1 {
			return nil, false
		}
		found = append(found, Match{File: file, Line: int(n), Text: text})
	}
	return found, true
}

// Lines splits output into its lines, without empty ones.
func Lines(output string) []string {
	var lines []string
	for line := range strings.Lines(output) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
