package toolmap

import (
	"slices"
	"strings"
	"time"
)

// The fit functions turn a value of a Use into what one parameter accepts. They report false when that can't be done without
// guessing; then the call is not mapped, or the parameter is left out if it is optional.

// fitPlain takes a value that the parameter's type holds as it is.
//
//	v          p.takes           fits
//	"a"        string            yes, if it is one of the enum, or there is none
//	5          integer, number   yes
//	true       boolean           yes
//	["a"]      array             yes
//	"a"        array             no: one value is never made a list of
func fitPlain(v any, p *property) (any, bool) {
	switch v := v.(type) {
	case string:
		return v, p.takes("string") && (len(p.Enum) == 0 || slices.Contains(p.Enum, v))
	case int:
		return v, p.takes("integer") || p.takes("number")
	case bool:
		return v, p.takes("boolean")
	case []string:
		return v, p.takes("array")
	}
	return nil, false
}

// fitCommand takes a command line: as a string, or as the arguments of a shell where the client wants a list.
func fitCommand(v any, p *property) (any, bool) {
	if p.takes("string") {
		return fitPlain(v, p)
	}
	// As Codex's shell tool has it: -l so that the user's PATH is that of a terminal.
	return []any{"bash", "-lc", v}, p.takes("array")
}

// fitTimeout takes a duration where the unit is known, from the parameter's name or description. Seconds are rounded up, so
// that a command never has less time than the model asked for.
func fitTimeout(v any, p *property) (any, bool) {
	d, name, about := v.(time.Duration), simplify(p.name), strings.ToLower(p.Description)
	_, numeric := fitPlain(0, p)
	switch {
	// First, because "milliseconds" holds "seconds".
	case strings.HasSuffix(name, "ms") || strings.Contains(about, "millisecond"):
		return d.Milliseconds(), numeric
	case strings.Contains(name, "sec") || strings.Contains(about, "second"):
		return int64((d + time.Second - 1) / time.Second), numeric
	}
	return nil, false
}

// fitOffset takes a line number, which counts from 1, where it is known from the description how the client counts. Off by
// one, the model would see another part of the file than it asked for.
func fitOffset(v any, p *property) (any, bool) {
	n, about := v.(int), strings.ToLower(p.Description)
	_, numeric := fitPlain(0, p)
	switch {
	case n < 1: // from the end of the file
		return nil, false
	case strings.Contains(about, "0-based") || strings.Contains(about, "0-index") || strings.Contains(about, "zero-"):
		return n - 1, numeric
	case strings.Contains(about, "line number") || strings.Contains(about, "1-based") || strings.Contains(about, "1-index"):
		return n, numeric
	}
	return nil, false
}

// describe is the description of a command when the client requires one and the model has given
// none: the command's first line. It is cut to 80 bytes, at the end of a character.
//
// For a client such as Claude Code, which shows it to its user before the command runs.
func describe(u *Use) any {
	line, _, _ := strings.Cut(u.Command, "\n")
	if len(line) > 80 {
		line = strings.ToValidUTF8(line[:80], "") + "…"
	}
	return line
}

// foreground is the value for a parameter that asks whether to run in the background. Upstream
// waits for the output, so a command must not go to the background.
func foreground(*Use) any { return false }
