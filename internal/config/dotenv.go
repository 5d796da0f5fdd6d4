package config

import (
	"fmt"
	"regexp"
	"strings"
)

// The files .env and .dev.vars. The reader is our own, because what it does with quotes and
// comments has to be what the reference system does with the same file.

// An assignment is one NAME=value of a file.
type assignment struct {
	// value is without its quotes.
	name, value string
	line        int // the first line is 1
}

// assignmentStart matches the beginning of an assignment, up to its value.
var assignmentStart = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=[ \t]*`)

// parseDotenv reads the format of .dev.vars and .env files as the reference system's tools do:
//
//	# a comment
//	NAME=bare value        # up to the comment, blanks trimmed
//	export NAME='text'     an "export" is ignored
//	NAME="two\nlines"      \n and \r are escapes in double quotes only
//	NAME=`over
//	two lines`             quoted values may contain line breaks
//
// A quote after a backslash does not end the value, and both stay in it. A $ is an ordinary character, so a
// password that contains one stays whole. An error names the line and shows nothing of it. When a name comes
// twice, the last one counts.
func parseDotenv(text string) ([]assignment, error) {
	var all []assignment
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff")
	for line := 1; text != ""; {
		head, rest, _ := strings.Cut(text, "\n")
		if blank := strings.TrimSpace(head); blank == "" || blank[0] == '#' {
			text, line = rest, line+1
			continue
		}
		m := assignmentStart.FindStringSubmatch(head)
		if m == nil {
			return nil, fmt.Errorf("line %d is not an assignment", line)
		}
		value, length, ok := dotenvValue(text[len(m[0]):])
		if !ok {
			return nil, fmt.Errorf("line %d has a quote that never ends", line)
		}
		all = append(all, assignment{m[1], value, line})
		// A quoted value may reach over several lines, all of which are read here.
		read := text[:len(m[0])+length]
		tail, rest, _ := strings.Cut(text[len(read):], "\n")
		if tail = strings.TrimSpace(tail); tail != "" && tail[0] != '#' {
			return nil, fmt.Errorf("line %d goes on after its value's closing quote", line)
		}
		text, line = rest, line+strings.Count(read, "\n")+1
	}
	return lastOfEach(all), nil
}

// dotenvValue reads the value at the beginning of s; length is how many bytes of s it takes, quotes
// included. ok is false for a quote that is never closed. A bare value ends at the first "#" or line break.
//
// No escape makes a "#" part of a bare value: who needs one writes quotes.
func dotenvValue(s string) (value string, length int, ok bool) {
	if s != "" && strings.IndexByte("\"'`", s[0]) >= 0 {
		quote := s[0]
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == '\\' && i+1 < len(s) && s[i+1] == quote:
				i++
			case s[i] == quote:
				return unescape(s[1:i], quote), i + 1, true
			}
		}
		return "", 0, false
	}
	end := strings.IndexAny(s, "#\n")
	if end < 0 {
		end = len(s)
	}
	return strings.TrimSpace(s[:end]), end, true
}

// unescape replaces the escapes of a double-quoted value. In the other quotes a backslash is an
// ordinary character.
func unescape(s string, quote byte) string {
	if quote != '"' {
		return s
	}
	return strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(s)
}

// lastOfEach keeps the last assignment of each name. The order is from the last line to the
// first.
func lastOfEach(all []assignment) []assignment {
	seen := make(map[string]bool)
	var kept []assignment
	for i := len(all) - 1; i >= 0; i-- {
		if !seen[all[i].name] {
			seen[all[i].name] = true
			kept = append(kept, all[i])
		}
	}
	return kept
}
