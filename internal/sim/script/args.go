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

// The words of one line. A function here takes something off the front of the line, or
// says what should have stood there; the step's verb and the line's number are put
// before that by line and Parse.

// args is what is left of a line, without blanks at either end. Its methods take words off the front;
// the error of each says what should have stood there.
type args struct{ rest string }

// peek is the next word, which stays; "" at the end of the line.
func (a *args) peek() string {
	// Any white space parts words, tabs too.
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
	// It can't fail: QuotedPrefix has read it.
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

// parseDuration reads a duration in Go's form; one below 0 is an error.
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

// notEmpty is an error for a word that is missing; what names it.
func notEmpty(what, s string) error {
	if s == "" {
		return fmt.Errorf("a %s is missing", what)
	}
	return nil
}
