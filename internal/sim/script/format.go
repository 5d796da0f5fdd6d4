package script

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// How a step is written, one method for each kind: what Parse reads back as an equal step. It is
// for people (String in a failed test) and for the tests of Parse. The words are those of doc.go.

// The format methods are the counterparts of the entries in [verbs]: what one of them writes, Parse
// reads back as an equal step. TestScriptIsWrittenAsItIsRead and FuzzParse hold them together. So a
// new kind of step is added in three places: a type in step.go, an entry in verbs, a method here.

// format implements Step. Each Step writes the line that Parse reads it from.
func (s Text) format() string {
	if s.Notice {
		return "notice " + formatText(s.Text)
	}
	return "text " + formatText(s.Text)
}
func (s Think) format() string { return "think " + formatText(s.Text) }
func (s Say) format() string   { return "say " + formatText(s.Text) }
func (s Many) format() string {
	return fmt.Sprintf("many %d %s %s", s.N, s.Gap, formatText(s.Text))
}

// A single announced call is written without its block, because Parse turns the line "call read {…}"
// into exactly that: a Calls with one step.
func (s Calls) format() string {
	if len(s.Steps) == 1 && s.Announced == 1 {
		return s.Steps[0].format()
	}
	lines := []string{"calls" + optional(s.Announced)}
	for _, step := range s.Steps {
		lines = append(lines, step.format())
	}
	return strings.Join(append(lines, "end"), "\n")
}

func (s Call) format() string {
	if s.Builtin {
		return formatCall("builtin", s.Tool, s.Args)
	}
	return formatCall("call", s.Tool, s.Args)
}
func (s Abort) format() string  { return "abort " + strconv.Itoa(s.N) }
func (s Again) format() string  { return "again " + strconv.Itoa(s.N) }
func (s Mirror) format() string { return formatCall("mirror", s.Tool, s.Args) }
func (s Query) format() string  { return "query " + s.Kind }
func (s Exec) format() string   { return "exec " + strconv.Itoa(s.Field) }

func (s SetBlob) format() string { return "set-blob " + s.Name + " " + formatText(s.Text) }
func (s GetBlob) format() string { return "get-blob " + s.Name }

// A checkpoint without numbers is the zero value; the player chooses the numbers then.
func (s Checkpoint) format() string {
	if s == (Checkpoint{}) {
		return "checkpoint"
	}
	return fmt.Sprintf("checkpoint %d %d", s.Used, s.Max)
}
func (s Tokens) format() string { return "tokens " + strconv.Itoa(s.N) }

// Only the fields that are not zero are written, in the order of usageFields, so that equal steps
// have equal lines.
func (u Usage) format() string {
	line := "usage"
	for _, name := range usageFields {
		if n := *u.field(name); n != 0 {
			line += fmt.Sprintf(" %s=%d", name, n)
		}
	}
	return line
}
func (TurnEnded) format() string { return "turn-ended" }
func (AskTools) format() string  { return "ask-tools" }
func (s Delay) format() string   { return "delay " + s.For.String() }
func (s Expect) format() string {
	return "expect " + s.What + optional(s.N) + " " + formatText(s.Text)
}
func (Reached) format() string { return "# reached" }
func (s Play) format() string  { return "play " + s.Name }

// No duration means "for ever" in both, and is written as nothing.
func (s Hold) format() string  { return "hold" + optionalDuration(s.For) }
func (s Stall) format() string { return "stall" + optionalDuration(s.For) }
func (Cut) format() string     { return "cut" }
func (Drop) format() string    { return "drop" }

// The options in a fixed order, and the message last, as parseError needs it.
func (s Error) format() string {
	line := "error " + s.Code
	if s.Detail != 0 {
		line += " detail=" + strconv.Itoa(s.Detail)
	}
	if s.Retryable != nil {
		line += " retryable=" + strconv.FormatBool(*s.Retryable)
	}
	if s.Title != "" {
		line += " title=" + strconv.Quote(s.Title)
	}
	return line + formatMessage(s.Message)
}
func (s Status) format() string {
	line := "status " + strconv.Itoa(s.Code)
	if s.RetryAfter != 0 {
		line += " retry-after=" + s.RetryAfter.String()
	}
	return line + formatMessage(s.Message)
}
func (s Garbage) format() string { return "garbage " + s.Kind }
func (Unknown) format() string   { return "unknown" }
func (s Frames) format() string  { return "frames " + s.How }
func (s Gzip) format() string {
	if s.On {
		return "gzip on"
	}
	return "gzip off"
}

// formatText writes a TEXT. It is plain where Parse would read it back unchanged, and otherwise
// a Go string in quotes: when it is empty, begins or ends with blanks, begins with a quote
// itself, is not UTF-8, or has a control character (above all a line break, which would end the
// step). Parse trims blanks and stops at line breaks, so these can't stand in a plain text.
func formatText(s string) string {
	plain := s != "" && s == strings.TrimSpace(s) && s[0] != '"' && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, unicode.IsControl)
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// formatMessage writes the message that follows an error's or a status's options, with the blank
// before it. A message that contains "=" could be read as one more option, so it is quoted.
func formatMessage(s string) string {
	if s == "" {
		return ""
	}
	if text := formatText(s); !strings.Contains(text, "=") {
		return " " + text
	}
	return " " + strconv.Quote(s)
}

// formatCall writes a call. args was compacted by Parse, so it is one line.
func formatCall(verb, tool string, args json.RawMessage) string {
	return verb + " " + tool + " " + string(args)
}

// optional writes a number with the blank before it; nothing for 0, which is the default of every
// optional number in the language.
func optional(n int) string {
	if n == 0 {
		return ""
	}
	return " " + strconv.Itoa(n)
}

// optionalDuration is the same for a duration.
func optionalDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return " " + d.String()
}
