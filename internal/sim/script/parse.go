package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

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
	script *Script
	block  *Calls // the open calls block
}

// line reads one line, without its indentation. Empty lines and comments have no effect.
func (p *parser) line(text string) error {
	if text == "" || strings.HasPrefix(text, "#") {
		return nil
	}
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
// waiting for results that nobody sends, so it is an error.
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
//	others   abort, delay, text and think may stand in a block, the rest not
func (p *parser) add(verb string, step Step) error {
	switch s := step.(type) {
	case Calls:
		if p.block != nil {
			return errors.New("calls within calls")
		}
		p.block = &s
		return nil
	case Call:
		if p.block == nil {
			step = Calls{Announced: 1, Steps: []Step{s}}
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

// parseCondition reads [not] WORD [ARGUMENT], where only attempt and prompt have an argument.
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

// verbs reads what follows a step's first word. Each entry has to use up its line, or to return an
// error for what is left (args.done), so that a misspelt option is not ignored.
var verbs = map[string]func(*args) (Step, error){
	"text":   textStep(func(s string) Step { return Text{Text: s} }),
	"notice": textStep(func(s string) Step { return Text{Text: s, Notice: true} }),
	"think":  textStep(func(s string) Step { return Think{s} }),
	"say":    textStep(func(s string) Step { return Say{s} }),
	"many": func(a *args) (Step, error) {
		n, err1 := a.positive()
		gap, err2 := a.duration()
		text, err3 := a.text()
		return Many{n, gap, text}, errors.Join(err1, err2, err3)
	},

	"call":    callStep(false),
	"builtin": callStep(true),
	"calls": func(a *args) (Step, error) {
		n, err := a.optionalNumber()
		return Calls{Announced: n}, err
	},
	"abort": func(a *args) (Step, error) {
		n, err := a.positive()
		return Abort{n}, errors.Join(err, a.done())
	},
	"mirror": func(a *args) (Step, error) {
		tool := a.word()
		object, err := a.json()
		return Mirror{tool, object}, err
	},
	"query": wordStep(queryKinds, func(s string) Step { return Query{s} }),
	"exec": func(a *args) (Step, error) {
		n, err := a.positive()
		return Exec{n}, errors.Join(err, a.done())
	},

	"set-blob": func(a *args) (Step, error) {
		name := a.word()
		text, err := a.text()
		return SetBlob{name, text}, errors.Join(err, notEmpty("name", name))
	},
	"get-blob": func(a *args) (Step, error) {
		name := a.word()
		return GetBlob{name}, errors.Join(notEmpty("name", name), a.done())
	},
	"checkpoint": func(a *args) (Step, error) {
		if a.rest == "" {
			return Checkpoint{}, nil
		}
		used, err1 := a.positive()
		limit, err2 := a.positive()
		return Checkpoint{used, limit}, errors.Join(err1, err2, a.done())
	},
	"tokens": func(a *args) (Step, error) {
		n, err := a.positive()
		return Tokens{n}, errors.Join(err, a.done())
	},
	"usage":      parseUsage,
	"turn-ended": plainStep(TurnEnded{}),
	"ask-tools":  plainStep(AskTools{}),
	"delay": func(a *args) (Step, error) {
		d, err := a.duration()
		return Delay{d}, errors.Join(err, a.done())
	},
	"expect": parseExpect,
	"play": func(a *args) (Step, error) {
		name := a.word()
		return Play{name}, errors.Join(notEmpty("name", name), a.done())
	},

	"hold": func(a *args) (Step, error) {
		d, err := a.optionalDuration()
		return Hold{d}, err
	},
	"stall": func(a *args) (Step, error) {
		d, err := a.optionalDuration()
		return Stall{d}, err
	},
	"cut":     plainStep(Cut{}),
	"drop":    plainStep(Drop{}),
	"error":   parseError,
	"status":  parseStatus,
	"garbage": wordStep(garbageKinds, func(s string) Step { return Garbage{s} }),
	"unknown": plainStep(Unknown{}),
	"frames":  wordStep(frameModes, func(s string) Step { return Frames{s} }),
	"gzip":    wordStep([]string{"on", "off"}, func(s string) Step { return Gzip{s == "on"} }),
}

// plainStep reads a step without arguments.
func plainStep(s Step) func(*args) (Step, error) {
	return func(a *args) (Step, error) { return s, a.done() }
}

// textStep reads a step whose only argument is a TEXT.
func textStep(build func(string) Step) func(*args) (Step, error) {
	return func(a *args) (Step, error) {
		text, err := a.text()
		return build(text), err
	}
}

// wordStep reads a step whose only argument is one of the allowed words.
func wordStep(allowed []string, build func(string) Step) func(*args) (Step, error) {
	return func(a *args) (Step, error) {
		word := a.word()
		return build(word), errors.Join(oneOf(word, allowed), a.done())
	}
}

// callStep reads TOOL JSON. The tool's name is not checked: to call a tool that the client never
// offered is one of the things that a script is for.
func callStep(builtin bool) func(*args) (Step, error) {
	return func(a *args) (Step, error) {
		tool := a.word()
		object, err := a.json()
		return Call{Tool: tool, Args: object, Builtin: builtin}, err
	}
}

// parseUsage reads K=N pairs in any order. A kind that is missing counts 0.
func parseUsage(a *args) (Step, error) {
	var u Usage
	for a.rest != "" {
		key, value, _ := strings.Cut(a.word(), "=")
		field := u.field(key)
		if field == nil {
			return nil, fmt.Errorf("unknown kind of token %q", key)
		}
		n, err := number(value, 0)
		if err != nil {
			return nil, err
		}
		*field = int64(n)
	}
	return u, nil
}

// usageFields are the kinds of tokens, in the order in which format writes them.
var usageFields = []string{"input", "output", "cache_read", "cache_write", "reasoning"}

// field is where the number of that name is kept; nil when there is no such kind.
func (u *Usage) field(key string) *int64 {
	switch key {
	case "input":
		return &u.Input
	case "output":
		return &u.Output
	case "cache_read":
		return &u.CacheRead
	case "cache_write":
		return &u.CacheWrite
	case "reasoning":
		return &u.Reasoning
	}
	return nil
}

// parseExpect reads WHAT [N] TEXT; only "result" has the number, which counts the turn's calls
// from 1.
func parseExpect(a *args) (Step, error) {
	e := Expect{What: a.word()}
	if err := oneOf(e.What, []string{"prompt", "tools", "model", "answer", "results", "result"}); err != nil {
		return nil, err
	}
	var err1, err2 error
	if e.What == "result" {
		e.N, err1 = a.positive()
	}
	e.Text, err2 = a.text()
	return e, errors.Join(err1, err2)
}

// parseError reads CODE [detail=N] [retryable=BOOL] [title=QUOTED] [TEXT]. The options may come in any
// order. The first word that is none of them begins the message, which may be missing.
func parseError(a *args) (Step, error) {
	e := Error{Code: a.word()}
	if err := oneOf(e.Code, connectCodes); err != nil {
		return nil, err
	}
	for {
		key, _, found := strings.Cut(a.peek(), "=")
		var err error
		switch {
		case found && key == "detail":
			e.Detail, err = number(strings.TrimPrefix(a.word(), "detail="), 1)
		case found && key == "retryable":
			var b bool
			b, err = strconv.ParseBool(strings.TrimPrefix(a.word(), "retryable="))
			e.Retryable = &b
		case found && key == "title":
			a.rest = strings.TrimPrefix(a.rest, "title=")
			e.Title, err = a.quoted()
		default:
			e.Message, err = a.optionalText()
			return e, err
		}
		if err != nil {
			return nil, err
		}
	}
}

// parseStatus reads CODE [retry-after=DURATION] [TEXT]. 1xx is refused: in HTTP those are interim
// responses, after which the final one is still to come.
func parseStatus(a *args) (Step, error) {
	code, err := number(a.word(), 100)
	if err != nil || code < 200 || code > 599 {
		return nil, errors.New("an HTTP status from 200 to 599 is needed")
	}
	s := Status{Code: code}
	if value, ok := strings.CutPrefix(a.peek(), "retry-after="); ok {
		a.word()
		if s.RetryAfter, err = parseDuration(value); err != nil {
			return nil, err
		}
	}
	s.Message, err = a.optionalText()
	return s, err
}

// args is what is left of a line, without blanks at either end. Its methods take words off the front;
// the error of each says what should have stood there.
type args struct{ rest string }

// peek is the next word, which stays; "" at the end of the line.
func (a *args) peek() string {
	if i := strings.IndexFunc(a.rest, unicode.IsSpace); i >= 0 {
		return a.rest[:i]
	}
	return a.rest
}

// word takes the next word; "" at the end of the line.
func (a *args) word() string {
	w := a.peek()
	a.rest = strings.TrimSpace(a.rest[len(w):])
	return w
}

// done is an error when something is left on the line.
func (a *args) done() error {
	if a.rest != "" {
		return fmt.Errorf("unexpected %q", a.rest)
	}
	return nil
}

// text takes the rest of the line, which must not be empty unless it is quoted.
func (a *args) text() (string, error) {
	if a.rest == "" {
		return "", errors.New("a text is missing")
	}
	return a.optionalText()
}

// optionalText takes the rest of the line, plain or quoted. Nothing may follow a quoted text.
func (a *args) optionalText() (string, error) {
	if strings.HasPrefix(a.rest, `"`) {
		s, err := a.quoted()
		return s, errors.Join(err, a.done())
	}
	s := a.rest
	a.rest = ""
	return s, nil
}

// quoted takes a Go string in double quotes, and leaves what follows it. Go's other quotes are not
// part of the language.
func (a *args) quoted() (string, error) {
	prefix, err := strconv.QuotedPrefix(a.rest)
	if err != nil || prefix[0] != '"' {
		return "", errors.New("a text in double quotes is needed")
	}
	a.rest = strings.TrimSpace(a.rest[len(prefix):])
	return strconv.Unquote(prefix)
}

// json takes the rest of the line as one JSON object, and removes the blanks between its tokens. It
// checks the syntax only: that arguments don't fit a tool's schema may be what a script is about.
func (a *args) json() (json.RawMessage, error) {
	var b bytes.Buffer
	if !strings.HasPrefix(a.rest, "{") {
		return nil, errors.New("a tool's name and then a JSON object are needed")
	}
	if err := json.Compact(&b, []byte(a.rest)); err != nil {
		return nil, err
	}
	a.rest = ""
	return b.Bytes(), nil
}

// positive takes a whole number of at least 1.
func (a *args) positive() (int, error) { return number(a.word(), 1) }

// optionalNumber takes the number that ends a line; 0 when there is none.
func (a *args) optionalNumber() (int, error) {
	if a.rest == "" {
		return 0, nil
	}
	n, err := a.positive()
	return n, errors.Join(err, a.done())
}

// duration takes a duration of at least 0.
func (a *args) duration() (time.Duration, error) { return parseDuration(a.word()) }

// optionalDuration takes the duration that ends a line; 0 when there is none.
func (a *args) optionalDuration() (time.Duration, error) {
	if a.rest == "" {
		return 0, nil
	}
	d, err := a.duration()
	return d, errors.Join(err, a.done())
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 200ms", s)
	}
	return d, nil
}

// number reads a whole number between least and a billion. The upper bound keeps every number inside
// an int32, which is what the wire has for most of them.
func number(s string, least int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > 1e9 {
		return 0, fmt.Errorf("%q is not a number of at least %d", s, least)
	}
	return n, nil
}

// oneOf is an error, with the list, unless word is one of the allowed words.
func oneOf(word string, allowed []string) error {
	if slices.Contains(allowed, word) {
		return nil
	}
	return fmt.Errorf("%q is none of %s", word, strings.Join(allowed, ", "))
}

func notEmpty(what, s string) error {
	if s == "" {
		return fmt.Errorf("a %s is missing", what)
	}
	return nil
}
