package toolmap

import "time"

// Kind says which built-in tool is meant.
// 0 is no kind: a request that can't be mapped.
type Kind uint8

// The built-in tools that can be mapped. All others are refused by name.
const (
	Shell Kind = iota + 1
	Read
	Write
	Delete
	Grep
	List
	Fetch
)

// A Use is what the model wants to do with a built-in tool. A zero field means that the model has given no value.
//
// Package localagent fills it in from upstream's request; this package finds a tool of the
// client's that can do the same, and writes its arguments.
//
// Durations, counts and lines are in the units of Go and of people (lines from 1); fit.go converts
// them to a client's.
// It is a value that belongs to one call, and is only read here.
type Use struct {
	// Kind says which of the fields may be set.
	Kind Kind

	Command     string        // Shell
	Dir         string        // Shell: where to run it
	Timeout     time.Duration // Shell
	Description string        // Shell: what it is for, in words
	Background  bool          // Shell: don't wait for it

	Path    string // Read, Write, Delete, Grep, List
	Content string // Write: the whole file; may be empty
	Offset  int    // Read: the first line, from 1
	Limit   int    // Read: how many lines

	Pattern    string // Grep
	Glob       string // Grep: which files
	FileType   string // Grep: which files, by ripgrep's type names
	OutputMode string // Grep: content, files_with_matches or count
	Before     int    // Grep: lines of context
	After      int
	Context    int
	IgnoreCase bool
	Multiline  bool
	HeadLimit  int      // Grep: how much of the output
	Skip       int      // Grep: how much of the output to leave out before that
	Sort       string   // Grep
	Ignore     []string // List: globs of what to leave out

	URL string // Fetch
}

// values lists what the use has a value for, by role. The content of a write counts even when it is empty: an empty file is a
// file.
//
// A number of 0 and a false count as no value: that is how upstream's messages say "not given".
func (u *Use) values() map[role]any {
	// A map and not the struct, because the rules go through roles without knowing the kind.
	values := map[role]any{}
	text := func(r role, s string) {
		if s != "" {
			values[r] = s
		}
	}
	number := func(r role, n int) {
		if n != 0 {
			values[r] = n
		}
	}
	flag := func(r role, b bool) {
		if b {
			values[r] = true
		}
	}
	text(command, u.Command)
	text(dir, u.Dir)
	text(description, u.Description)
	flag(background, u.Background)
	// A time.Duration stays one: fitTimeout has to know the unit.
	if u.Timeout != 0 {
		values[timeout] = u.Timeout
	}
	text(path, u.Path)
	if u.Kind == Write {
		values[content] = u.Content
	}
	number(offset, u.Offset)
	number(limit, u.Limit)
	text(pattern, u.Pattern)
	text(glob, u.Glob)
	text(fileType, u.FileType)
	text(outputMode, u.OutputMode)
	number(before, u.Before)
	number(after, u.After)
	number(around, u.Context)
	flag(ignoreCase, u.IgnoreCase)
	flag(multiline, u.Multiline)
	number(headLimit, u.HeadLimit)
	number(skip, u.Skip)
	text(sorting, u.Sort)
	if len(u.Ignore) > 0 {
		values[ignore] = u.Ignore
	}
	text(url, u.URL)
	return values
}
