package script

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The table of steps: which word begins a line, and how the rest of that line is read.
// A new step gets a row in verbs here, a type in step.go, its text form in format.go,
// and a line in doc.go.

// verbs reads what follows a step's first word. Each entry has to use up its line, or to return an
// error for what is left (args.done), so that a misspelt option is not ignored.
var verbs = map[string]func(*args) (Step, error){
	// What the model says.
	"text":   textStep(func(s string) Step { return Text{Text: s} }),
	"notice": textStep(func(s string) Step { return Text{Text: s, Notice: true} }),
	"think":  textStep(func(s string) Step { return Think{s} }),
	"say":    textStep(func(s string) Step { return Say{s} }),
	// All three are read before an error is returned, so that a line with two mistakes is told
	// both.
	"many": func(a *args) (Step, error) {
		n, err1 := a.positive()
		gap, err2 := a.duration()
		text, err3 := a.text()
		return Many{n, gap, text}, errors.Join(err1, err2, err3)
	},

	// Tool calls, and what the server asks the client for.
	"call":    callStep(false),
	"builtin": callStep(true),
	// What stands between "calls" and "end" is read by the parser (parse.go), which knows lines;
	// this sees one line only.
	"calls": func(a *args) (Step, error) {
		n, err := a.optionalNumber()
		return Calls{Announced: n}, err
	},
	"abort": func(a *args) (Step, error) {
		n, err := a.positive()
		return Abort{n}, errors.Join(err, a.done())
	},
	"again": func(a *args) (Step, error) {
		n, err := a.positive()
		return Again{n}, errors.Join(err, a.done())
	},
	"mirror": func(a *args) (Step, error) {
		tool := a.word()
		object, err := a.json()
		return Mirror{tool, object}, err
	},
	"query": wordStep(queryKinds, func(s string) Step { return Query{s} }),
	// Any number is taken, also that of a field which exists: a script may want to see what a
	// client makes of it.
	"exec": func(a *args) (Step, error) {
		n, err := a.positive()
		return Exec{n}, errors.Join(err, a.done())
	},

	// Blobs, checkpoints and the numbers of a turn.
	"set-blob": func(a *args) (Step, error) {
		name := a.word()
		text, err := a.text()
		return SetBlob{name, text}, errors.Join(err, notEmpty("name", name))
	},
	"get-blob": func(a *args) (Step, error) {
		name := a.word()
		return GetBlob{name}, errors.Join(notEmpty("name", name), a.done())
	},
	// Both numbers or none: a share without its whole says nothing.
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
		// Whether there is a script of that name only the player knows.
		return Play{name}, errors.Join(notEmpty("name", name), a.done())
	},

	// How a run ends, or doesn't.
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

// plainStep reads a step without arguments. s has no fields, so all scripts may share it.
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

// wordStep reads a step whose only argument is one of the allowed words. The error for another
// word lists those that are allowed.
func wordStep(allowed []string, build func(string) Step) func(*args) (Step, error) {
	return func(a *args) (Step, error) {
		word := a.word()
		return build(word), errors.Join(oneOf(word, allowed), a.done())
	}
}

// callStep reads TOOL JSON. The tool's name is not checked: to call a tool that the client never offered
// is one of the things that a script is for. builtin says whether it is one of Cursor's own tools.
func callStep(builtin bool) func(*args) (Step, error) {
	return func(a *args) (Step, error) {
		tool := a.word()
		object, err := a.json()
		return Call{Tool: tool, Args: object, Builtin: builtin}, err
	}
}

// parseUsage reads K=N pairs in any order. A kind that is missing counts 0. A kind that comes
// twice has the second number.
func parseUsage(a *args) (Step, error) {
	var u Usage
	for a.rest != "" {
		// A word without "=" has no number, and number refuses the empty text.
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
	// An expectation that fails ends the run with an error: so a test of a client learns that it
	// has sent something else.
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
		// Only peeked: the word may be the beginning of the message, as in "a=b is wrong".
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
			// Not by word: a title in quotes has blanks in it.
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

// parseStatus reads CODE [retry-after=DURATION] [TEXT]. 1xx is refused: in HTTP those are
// interim responses, after which the final one is still to come. The duration is what the
// header Retry-After will say.
func parseStatus(a *args) (Step, error) {
	// Connect's codes are words, HTTP's are numbers; so an error of the other kind is noticed here.
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
