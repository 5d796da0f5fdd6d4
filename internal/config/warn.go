package config

import (
	"fmt"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"strings"
)

// Warnings: about what works and is probably a mistake. They are printed before the command's
// own output, and change nothing.

// A Warning is about something that works but is probably not meant.
type Warning struct {
	Text string // never holds a value
	// Hint says what to do.
	Hint string
}

// secretNames are the endings of the names of variables that hold a secret. Every setting of the type Secret has one of them.
var secretNames = []string{"_KEY", "_KEY_PREVIOUS", "_TOKEN", "_SECRET", "_HEADERS"}

// HoldsSecret reports whether the variable of that name holds a secret. It goes by the name, so that it can be asked about
// variables of other programs, too.
func HoldsSecret(name string) bool {
	return slices.ContainsFunc(secretNames, func(end string) bool { return strings.HasSuffix(name, end) })
}

// exposed warns about a file that has a secret in it and that others can read. On Windows the mode says
// nothing about that. Only the first such variable is named: one is enough to change the file's mode.
//
// What is checked is the name of a variable and never its value.
func exposed(file string, mode fs.FileMode, assignments []assignment) (Warning, bool) {
	const othersRead = 0o044
	if runtime.GOOS == "windows" || mode.Perm()&othersRead == 0 {
		return Warning{}, false
	}
	for _, a := range assignments {
		if a.value != "" && HoldsSecret(a.name) {
			return Warning{Text: fmt.Sprintf("%s holds %s and can be read by other users of this machine", file, a.name), Hint: "chmod 600 " + file}, true
		}
	}
	return Warning{}, false
}

// foreignVariables are variables of other programs that look like ours misspelt: PHP's Composer has the
// first, Cursor's own tools have the others.
var foreignVariables = []string{"COMPOSER_PROCESS_TIMEOUT", "CURSOR_AGENT", "CURSOR_TRACE_ID"}

// Misspelt warns about variables that begin like ours and are not in known. In .dev.vars and .env
// any such variable is a mistake. In the environment, where other programs have variables with
// these prefixes, only a name that resembles one of ours is. The order is that of the names.
func (e *Env) Misspelt(known []string) []Warning {
	var warnings []Warning
	for _, name := range slices.Sorted(maps.Keys(e.vars)) {
		ours := strings.HasPrefix(name, "COMPOSER_") || strings.HasPrefix(name, "CURSOR_")
		if !ours || slices.Contains(known, name) || slices.Contains(foreignVariables, name) {
			continue
		}
		nearest, near := nearestName(name, known)
		origin := e.vars[name].origin
		if origin == "environment" && !near {
			continue
		}
		w := Warning{Text: fmt.Sprintf("%s (%s) is no setting of composer-api", name, origin), Hint: `"composer-api serve --help" lists the settings`}
		if near {
			w.Hint = "did you mean " + nearest + "?"
		}
		warnings = append(warnings, w)
	}
	return warnings
}

// nearestName is the name in known that name resembles most. Names are near when few letters differ (a quarter
// of the shorter one, but at least one), or when one has a word that the other doesn't have.
//
// The part before the first "_" counts as one letter when it differs, so that CURSOR_ for
// COMPOSER_ is found.
func nearestName(name string, known []string) (nearest string, near bool) {
	best := -1
	for _, k := range known {
		prefix, word, _ := strings.Cut(name, "_")
		knownPrefix, knownWord, _ := strings.Cut(k, "_")
		d := distance(word, knownWord)
		if prefix != knownPrefix {
			d++
		}
		resembles := d <= max(1, min(len(word), len(knownWord))/4) || prefix == knownPrefix && oneWordMore(word, knownWord)
		if resembles && (best < 0 || d < best) {
			nearest, near, best = k, true, d
		}
	}
	return nearest, near
}

// oneWordMore reports whether the names are equal if one word of one of them is left out. Words are separated
// by "_".
func oneWordMore(a, b string) bool {
	long, short := strings.Split(a, "_"), strings.Split(b, "_")
	if len(long) < len(short) {
		long, short = short, long
	}
	if len(long) != len(short)+1 || len(short) < 2 {
		return false
	}
	for i := range long {
		if slices.Equal(slices.Delete(slices.Clone(long), i, i+1), short) {
			return true
		}
	}
	return false
}

// distance is how many letters must be inserted, deleted or replaced to turn a into b (the Levenshtein
// distance). It keeps one row of the usual table. It counts bytes, which names are made of.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := diagonal
			if a[i] != b[j] {
				next = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
