package config

import (
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
)

// A Warning is something that works and is probably not meant.
type Warning struct {
	Text string // never holds a value
	Hint string
}

// secretNames are how the names of variables end that hold a secret.
var secretNames = []string{"_KEY", "_KEY_PREVIOUS", "_TOKEN", "_HEADERS"}

// exposed warns of a file that holds a secret and that others can read. On Windows the mode says nothing about that.
func exposed(file string, mode fs.FileMode, assignments []assignment) (Warning, bool) {
	const othersRead = 0o044
	if runtime.GOOS == "windows" || mode.Perm()&othersRead == 0 {
		return Warning{}, false
	}
	for _, a := range assignments {
		if a.value != "" && slices.ContainsFunc(secretNames, func(end string) bool { return strings.HasSuffix(a.name, end) }) {
			return Warning{Text: fmt.Sprintf("%s holds %s and can be read by other users of this machine", file, a.name), Hint: "chmod 600 " + file}, true
		}
	}
	return Warning{}, false
}
