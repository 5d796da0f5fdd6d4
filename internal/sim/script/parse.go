package script

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// How a script is read: lines (this file), each step's arguments (verbs.go), and the
// words of a line (args.go). format.go does the opposite. The language itself is
// described in doc.go.

// Parse reads a script. Steps before the first "turn" line belong to a turn of their own. Errors say
// "name:line: what is wrong", and the first one ends the parsing.
//
// data may come from a user's prompt, so nothing in it is trusted: FuzzParse checks that Parse never
// panics and that what it accepts can be written (String) and read again.
func Parse(name string, data []byte) (*Script, error) {
	p := parser{script: &Script{Name: name}}
	for i, text := range strings.Split(string(data), "\n") {
		if err := p.line(strings.TrimSpace(text)); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	if p.block != nil {
		return nil, fmt.Errorf("%s: calls without end", name)
	}
	return p.script, nil
}

// A parser reads line by line. It has one piece of state beyond the script so far: whether it stands
// between "calls" and "end".
type parser struct {
	// script is what was read so far.
	script *Script
	block  *Calls // the open calls block
}

// line reads one line, without its indentation. Empty lines and comments have no effect. The
// error has no place in it; Parse puts the file's name and the number of the line before it.
func (p *parser) line(text string) error {
	if text == "" || strings.HasPrefix(text, "#") {
		return nil
	}
	// Blanks between words don't matter; those within a text do.
	a := &args{text}
	verb := a.word()
	// "turn" and "end" give the script its structure; every other line is a step.
	if verb == "turn" {
		if p.block != nil {
			return errors.New("calls without end")
		}
		turn, err := parseTurn(a)
		if err != nil {
			return err
		}
		p.script.Turns = append(p.script.Turns, turn)
		return nil
	}
	// Outside of a block "end" is no step, and the error below says so.
	if verb == "end" && p.block != nil {
		return p.endBlock(a)
	}
	parse, ok := verbs[verb]
	if !ok {
		return fmt.Errorf("unknown step %q", verb)
	}
	step, err := parse(a)
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	return p.add(verb, step)
}

// endBlock closes the open calls block. A block in which nothing is called would leave the player
// waiting for results that nobody sends, so it is an error. Text and delays alone don't count as calls.
func (p *parser) endBlock(a *args) error {
	if err := a.done(); err != nil {
		return err
	}
	block := *p.block
	p.block = nil
	if !slices.ContainsFunc(block.Steps, isCall) {
		return errors.New("calls without a call")
	}
	p.push(block)
	return nil
}

func isCall(s Step) bool { _, ok := s.(Call); return ok }

// add puts a step where it belongs: into the open block, or into the turn. It also checks what only
// the place can tell:
//
//	calls    opens a block; blocks don't nest
//	call     outside a block becomes a block of one announced call
//	status   only first in its turn: later, the stream has its 200 already
//	again    only in a block: its result is awaited like a call's
//	others   abort, delay, text and think may stand in a block, the rest not
func (p *parser) add(verb string, step Step) error {
	switch s := step.(type) {
	case Calls:
		if p.block != nil {
			return errors.New("calls within calls")
		}
		// It is pushed when it ends, with all of its steps.
		p.block = &s
		return nil
	case Call:
		if p.block == nil {
			step = Calls{Announced: 1, Steps: []Step{s}}
		}
	// A call is repeated while its first one is open.
	case Again:
		if p.block == nil {
			return errors.New("again stands between calls and end")
		}
	case Abort, Delay, Text, Think:
		// Fine in both places.
	default:
		if p.block != nil {
			return fmt.Errorf("%s can't stand between calls and end", verb)
		}
		if _, ok := s.(Status); ok && !p.atTurnStart() {
			return errors.New("status must be the turn's first step")
		}
	}
	if p.block != nil {
		p.block.Steps = append(p.block.Steps, step)
		return nil
	}
	p.push(step)
	return nil
}

// atTurnStart reports whether the next step is the first of its turn.
func (p *parser) atTurnStart() bool {
	n := len(p.script.Turns)
	return n == 0 || len(p.script.Turns[n-1].Steps) == 0
}

// push appends a step to the current turn. Steps before any "turn" line get a turn without
// conditions, so that the shortest script is a single step.
func (p *parser) push(step Step) {
	if len(p.script.Turns) == 0 {
		p.script.Turns = append(p.script.Turns, Turn{})
	}
	turn := &p.script.Turns[len(p.script.Turns)-1]
	turn.Steps = append(turn.Steps, step)
}

// parseTurn reads what follows "turn":
//
//	turn [always | times N] [when CONDITION [and CONDITION]...]
//
// The order of the words is fixed: how often comes before when.
func parseTurn(a *args) (Turn, error) {
	var t Turn
	switch word := a.peek(); word {
	case "always":
		a.word()
		t.Times = always
	case "times":
		a.word()
		n, err := a.positive()
		if err != nil {
			return t, fmt.Errorf("turn times: %w", err)
		}
		t.Times = n
	}
	for a.rest != "" {
		want := "and"
		if len(t.When) == 0 {
			want = "when"
		}
		// "turn when A and B": the first joint is when, all others are and.
		if word := a.word(); word != want {
			return t, fmt.Errorf("turn: %q where %q could stand", word, want)
		}
		c, err := parseCondition(a)
		if err != nil {
			return t, fmt.Errorf("turn: %w", err)
		}
		t.When = append(t.When, c)
	}
	return t, nil
}

// parseCondition reads [not] WORD [ARGUMENT], where only attempt and prompt have an argument. The number
// and the text are read only after the word is known, because each word has its own kind of argument.
func parseCondition(a *args) (c condition, err error) {
	c.Word = a.word()
	if c.Word == "not" {
		c.Not = true
		c.Word = a.word()
	}
	if conditions[c.Word] == nil {
		return c, fmt.Errorf("unknown condition %q", c.Word)
	}
	switch c.Word {
	case "attempt":
		c.N, err = a.positive()
	case "prompt":
		c.Text, err = a.quoted()
	}
	return c, err
}
