package schema

import (
	"errors"
	"regexp"
	"time"

	"github.com/dlclark/regexp2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A schema's patterns are JavaScript's. Go's own engine takes most of them and needs linear time. It knows no look-around,
// which zod writes for e-mail addresses; such patterns go to an engine that tries and goes back, with a bound on its time.

// regexps is the time that the patterns of the second engine have taken in one check.
type regexps struct{ spent time.Duration }

const (
	maxPattern   = 2_000                  // bytes, for the second engine
	matchTimeout = 200 * time.Millisecond // of one match
	regexpsTime  = 5 * time.Second        // of a check's matches together
)

// compilePattern reads a pattern, with the first engine that takes it. An error makes the whole
// schema unusable.
//
// regexp2 is the second engine, in its mode for ECMAScript.
func compilePattern(pattern string, b *budget) (jsonschema.Regexp, error) {
	if re, err := regexp.Compile(pattern); err == nil {
		return re, nil
	}
	if len(pattern) > maxPattern {
		return nil, errors.New("the pattern is too long")
	}
	re, err := regexp2.Compile(pattern, regexp2.ECMAScript)
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = matchTimeout
	return &backtracking{re, b}, nil
}

// backtracking is a pattern of the second engine.
type backtracking struct {
	*regexp2.Regexp
	// budget is the schema's: a pattern of this kind may take exponential time.
	budget *budget
}

// MatchString implements jsonschema.Regexp. It can't return an error, so one that takes too
// long panics; see Schema.check. The time is added up over all patterns of a check.
func (re *backtracking) MatchString(s string) bool {
	begin := time.Now()
	matched, err := re.Regexp.MatchString(s)
	re.budget.spent += time.Since(begin)
	if err != nil || re.budget.spent > regexpsTime {
		panic(errTooMuch)
	}
	return matched
}
