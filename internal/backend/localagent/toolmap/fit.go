package toolmap

import (
	"slices"
	"strings"
	"time"
)

// fitPlain takes a value that the parameter's type holds as it is.
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
	return []any{"bash", "-lc", v}, p.takes("array")
}

// fitTimeout takes a duration where the unit is known, from the parameter's name or description.
func fitTimeout(v any, p *property) (any, bool) {
	d, name, about := v.(time.Duration), simplify(p.name), strings.ToLower(p.Description)
	_, numeric := fitPlain(0, p)
	switch {
	case strings.HasSuffix(name, "ms") || strings.Contains(about, "millisecond"):
		return d.Milliseconds(), numeric
	case strings.Contains(name, "sec") || strings.Contains(about, "second"):
		return int64((d + time.Second - 1) / time.Second), numeric
	}
	return nil, false
}

// fitOffset takes a line number, which counts from 1, where it is known how the client counts.
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

// describe says what a command is for when the client wants to know and the model hasn't said: the command itself.
func describe(u *Use) any {
	line, _, _ := strings.Cut(u.Command, "\n")
	if len(line) > 80 {
		line = strings.ToValidUTF8(line[:80], "") + "…"
	}
	return line
}

func foreground(*Use) any { return false }
