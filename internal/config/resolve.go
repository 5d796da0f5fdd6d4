package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// How a variable becomes the value of a flag: kong asks Env.Resolve for every flag that the
// command line did not set.

// VarTag is the struct tag that names a setting's variable.
const VarTag = "var"

// kong asks a Resolver for each flag that the command line doesn't have.
var _ kong.Resolver = (*Env)(nil)

// Validate implements kong.Resolver. The values are checked by Resolve.
func (e *Env) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver: it returns the variable's value for a flag that the command
// line did not set. It checks the value itself, because only here is it known which file a bad
// one came from. No value is nil, which leaves the flag's default.
//
// kong then decodes the value as if it had been a flag.
func (e *Env) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	// Flags without the tag are for the command line only (--dry-run, --yes).
	name := flag.Tag.Get(VarTag)
	if name == "" {
		return nil, nil
	}
	value, origin, ok := e.Lookup(name)
	if !ok {
		return nil, nil
	}
	if err := check(value, flag); err != nil {
		return nil, &Error{Name: name, Origin: origin, Problem: err.Error(), Hint: flag.Help}
	}
	return value, nil
}

// check returns what is wrong with value for flag, as the end of a sentence ("is not a whole
// number"). Types with an UnmarshalText check themselves. What isn't listed here is taken as it is.
func check(value string, flag *kong.Flag) error {
	target := flag.Target.Type()
	// A fresh value takes the text, so that a wrong one leaves the flag's own alone.
	if u, ok := reflect.New(target).Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(value))
	}
	// kong checks this, too, but its error names the flag, which nobody has typed.
	if flag.Enum != "" && !flag.EnumMap()[value] {
		return fmt.Errorf("must be one of %s", strings.TrimPrefix(flag.Enum, ","))
	}
	var err error
	switch {
	// Before the whole numbers: a Duration is an int64.
	case target == reflect.TypeFor[time.Duration]():
		_, err := parseDuration(value)
		return err
	case target.Kind() == reflect.Int, target.Kind() == reflect.Int64:
		if _, err = strconv.ParseInt(value, 10, 64); err != nil {
			return errors.New("is not a whole number")
		}
	case target.Kind() == reflect.Float64:
		if _, err = strconv.ParseFloat(value, 64); err != nil {
			return errors.New("is not a number")
		}
	case target.Kind() == reflect.Bool:
		if _, err = strconv.ParseBool(value); err != nil {
			return errors.New("is neither true nor false")
		}
	}
	return nil
}

// parseDuration is time.ParseDuration with errors for people. A number without a unit is the
// most common mistake, so its error says what to write.
func parseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err == nil {
		return d, nil
	}
	// "30": three guesses, and the person picks one.
	if _, number := strconv.Atoi(value); number == nil {
		return 0, fmt.Errorf("has no unit: write %ss for seconds, %sms for milliseconds or %sm for minutes", value, value, value)
	}
	return 0, errors.New("is not a duration such as 30s or 10m")
}

// Durations makes kong's errors about durations on the command line those of variables.
func Durations() kong.Option {
	return kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var value string
		if err := ctx.Scan.PopValueInto("duration", &value); err != nil {
			return err
		}
		d, err := parseDuration(value)
		if err != nil {
			return fmt.Errorf("%s %w", value, err)
		}
		target.SetInt(int64(d))
		return nil
	}))
}

// HelpValue is what --help says about a flag: its sentence, its default and its variable. It is a
// kong.HelpValueFormatter.
func HelpValue(value *kong.Value) string {
	help := value.Help
	if value.HasDefault && value.Default != "" {
		help += " Default: " + value.Default + "."
	}
	if name := value.Tag.Get(VarTag); name != "" {
		help += " [$" + name + "]"
	}
	return help
}
