package script

import (
	"slices"
	"strconv"
	"strings"
)

// A Script is what the model says in one or more turns. It is not changed after Parse, so it may be shared.
type Script struct {
	// Name is that of the file, for errors.
	Name  string
	Turns []Turn
}

// A Turn is what happens from one user message to the end of the answer. It may take several HTTP
// requests of the client: each tool result continues the same turn.
type Turn struct {
	// Times is how many runs may play it; 0 is one, always is no limit.
	Times int
	// When must all hold for a run that plays it.
	When []condition
	// Steps are played in order. A turn without steps answers nothing and ends.
	Steps []Step
}

// always is the Turn.Times of a turn that is never used up.
const always = -1

// A condition says which runs a turn is for. It is valid only with a Word of [conditions].
type condition struct {
	// Not turns the condition round.
	Not  bool
	Word string // tools, images, system, continued, resume, attempt, prompt
	N    int    // attempt: the number
	Text string // prompt: what it contains
}

// Facts is what a run is about, as far as a script may ask. Whoever plays (one of the
// simulators) fills it in from the request; a field that it can't know stays zero, and
// conditions on it are false then.
type Facts struct {
	// Prompt is the user's text as it reached the player, directives included.
	Prompt string
	Model  string // as agent.Model prints it: "composer-2.5;fast=false"
	// Tools are the names that the client gave; Images counts the pictures in the prompt.
	Tools  []string
	Images int
	// System is the system prompt that the client gives in place of the server's own; "" when it gives none.
	System string
	// Messages is how many messages the conversation has; 0 when the player can't know.
	Messages int
	// Continued is set when the run carries on a conversation from a checkpoint.
	Continued bool
	// Resume is set when the run carries on after a stream that broke.
	Resume bool
	// Attempt counts the streams opened for this run, from 1.
	Attempt int

	// Default, when not nil, is what a run plays in place of the default answer, where no script says anything else.
	Default []Step

	// What follows is for a Model alone.

	// Told is all that the player was told with this run: Prompt, and where a request holds the whole conversation, all of it.
	Told string
	// Said is what the run that this one resumes had said, up to the checkpoint.
	Said string
	// Conversation is the conversation's id, and Key what tells the owner of the key from others.
	Conversation, Key string
}

// String writes the script as Parse reads it. Comments are lost, everything else is kept. A
// turn line is always written, also for steps that had none before them.
func (s *Script) String() string {
	var b strings.Builder
	for _, t := range s.Turns {
		b.WriteString(t.header() + "\n")
		for _, step := range t.Steps {
			b.WriteString(step.format() + "\n")
		}
	}
	return b.String()
}

// header writes the "turn" line as parseTurn reads it.
func (t *Turn) header() string {
	words := []string{"turn"}
	switch {
	case t.Times == always:
		words = append(words, "always")
	case t.Times > 0:
		words = append(words, "times", strconv.Itoa(t.Times))
	}
	for i, c := range t.When {
		words = append(words, map[bool]string{true: "when", false: "and"}[i == 0])
		words = append(words, c.format()...)
	}
	return strings.Join(words, " ")
}

// format writes the condition's words as parseCondition reads them.
func (c condition) format() []string {
	var words []string
	if c.Not {
		words = append(words, "not")
	}
	words = append(words, c.Word)
	switch c.Word {
	case "attempt":
		words = append(words, strconv.Itoa(c.N))
	case "prompt":
		words = append(words, strconv.Quote(c.Text))
	}
	return words
}

// told is all that the model is told at the start: a system prompt of the client's, and the prompt.
func (f *Facts) told() string {
	if f.System == "" {
		return f.Prompt
	}
	return f.System + "\n" + f.Prompt
}

// conditions say whether a fact holds; f.Prompt is without directives. A player that doesn't count
// attempts leaves Attempt at 0, which is the same as the first.
var conditions = map[string]func(condition, *Facts) bool{
	"tools":     func(_ condition, f *Facts) bool { return len(f.Tools) > 0 },
	"images":    func(_ condition, f *Facts) bool { return f.Images > 0 },
	"system":    func(_ condition, f *Facts) bool { return f.System != "" },
	"continued": func(_ condition, f *Facts) bool { return f.Continued },
	"resume":    func(_ condition, f *Facts) bool { return f.Resume },
	"attempt":   func(c condition, f *Facts) bool { return max(f.Attempt, 1) == c.N },
	"prompt":    func(c condition, f *Facts) bool { return strings.Contains(f.told(), c.Text) },
}

// fits reports whether the turn is for such a run.
func (t *Turn) fits(f *Facts) bool {
	return !slices.ContainsFunc(t.When, func(c condition) bool { return conditions[c.Word](c, f) == c.Not })
}
