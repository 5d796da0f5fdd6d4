package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/config"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
)

// 'keys create' and 'keys limit': what a key is called, until when it is good, and what it may be used for.

// keyFlags are the flags of both. A flag that is not given leaves what is there.
// Pointers, because "not given" must differ from 0, false and the empty text.
type keyFlags struct {
	Name       *string `help:"What the key is called, for people." placeholder:"TEXT"`
	Expires    *expiry `help:"When it becomes invalid: a date (2027-01-31, at its end in UTC), a time from now (12h, 90d), or never." placeholder:"WHEN"`
	limitFlags `embed:""`
}

// limitFlags are the limits, of a key or of an account. For a number, 0 is no limit.
type limitFlags struct {
	Surface           []string     `help:"Only with these APIs: chat, completions, responses, messages." placeholder:"API,…"`
	Model             []string     `help:"Only with these models; * stands for any text." placeholder:"MODEL,…"`
	NoFast            *bool        `help:"Not with the fast tier." negatable:""`
	Concurrent        *wholeLimit  `help:"Requests at once." placeholder:"N"`
	RequestsPerMinute *wholeLimit  `help:"Requests a minute." placeholder:"N"`
	TokensPerMinute   *wholeLimit  `help:"Tokens a minute, those of prompts and of answers." placeholder:"N"`
	USDPerDay         *dollarLimit `name:"usd-per-day" help:"US dollars a day (UTC)." placeholder:"USD"`
	USDPerMonth       *dollarLimit `name:"usd-per-month" help:"US dollars a calendar month (UTC)." placeholder:"USD"`
}

// change applies the flags to a key.
func (f *keyFlags) change(k *store.Key, now time.Time) {
	set(&k.Name, f.Name)
	// "never" is a zero time, which takes the end away.
	if f.Expires != nil {
		k.Expires = f.Expires.from(now)
	}
	f.limit(&k.Limits)
}

// limit applies the flags to limits, which hosted.CheckLimits checks then; the types of the numbers have checked theirs
// before.
func (f *limitFlags) limit(l *store.KeyLimits) {
	// A list is replaced as a whole: --surface chat takes away what else was allowed.
	if f.Surface != nil {
		l.Surfaces = f.Surface
	}
	if f.Model != nil {
		l.Models = f.Model
	}
	// 0 is "no limit" in the store, too, so a flag of 0 takes a limit off.
	set(&l.NoFast, f.NoFast)
	set(&l.Concurrent, (*int64)(f.Concurrent))
	set(&l.RequestsPerMinute, (*int64)(f.RequestsPerMinute))
	set(&l.TokensPerMinute, (*int64)(f.TokensPerMinute))
	set(&l.USDPerDay, (*float64)(f.USDPerDay))
	set(&l.USDPerMonth, (*float64)(f.USDPerMonth))
}

// set is *to = *from, when there is one.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// keysCreateCmd is 'keys create ACCOUNT'.
type keysCreateCmd struct {
	config.Storage `embed:""`
	Account        string `arg:"" help:"The account's id, as 'accounts list' shows it: acct_…"`
	keyFlags       `embed:""`
}

// Run prints the new key alone on stdout, as 'keys rotate' does.
func (c *keysCreateCmd) Run(ctx context.Context, p *process) error {
	// Of a new key nothing is set, so the flags are all there is; the rest is CreateKey's.
	if err := c.Expires.check(time.Now()); err != nil {
		return err
	}
	var as store.Key
	c.change(&as, time.Now())
	return withOperator(ctx, p, &c.Storage, func(o *hosted.Operator) error {
		token, key, err := o.CreateKey(ctx, c.Account, as)
		if err != nil {
			return notFound(err, fmt.Sprintf("there is no account %q", c.Account), "'composer-api accounts list' lists them; an account begins with a sign-up")
		}
		// To stderr, so that "$(composer-api keys create …)" is the key and nothing else.
		fmt.Fprintf(p.stderr, "%s is made: %s. This is the only time that it is shown:\n", key.ID, describeLimits(&key))
		fmt.Fprintln(p.stdout, token.Reveal())
		return nil
	})
}

// keysLimitCmd is 'keys limit KEY'.
type keysLimitCmd struct {
	config.Storage `embed:""`
	Key            string `arg:"" help:"The key's name, as 'keys list' shows it: key_…"`
	Clear          bool   `help:"Take all limits off first, and the end."`
	keyFlags       `embed:""`
}

// Run changes a key and says what it may then.
func (c *keysLimitCmd) Run(ctx context.Context, p *process) error {
	if err := c.Expires.check(time.Now()); err != nil {
		return err
	}
	return withOperator(ctx, p, &c.Storage, func(o *hosted.Operator) error {
		// The function is given the key as it is stored. Of two commands at the same time the later one wins.
		key, err := o.ChangeKey(ctx, c.Key, func(k *store.Key) error {
			// Cleared first, so that one command can replace all limits by others.
			if c.Clear {
				k.Limits, k.Expires = store.KeyLimits{}, time.Time{}
			}
			c.change(k, time.Now())
			return nil
		})
		if err != nil {
			return noKey(err, c.Key)
		}
		fmt.Fprintf(p.stdout, "%s: %s\n", key.ID, describeLimits(&key))
		return nil
	})
}

// describeLimits says what a key may, on a terminal: the patterns of models come from an operator, but a terminal shows what it is
// sent.
func describeLimits(k *store.Key) string { return printable(hosted.Describe(k)) }

// wholeLimit is a limit in whole numbers.
type wholeLimit int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *wholeLimit) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a whole number; 0 is no limit", text)
	}
	*l = wholeLimit(n)
	return nil
}

// dollarLimit is a limit in US dollars.
type dollarLimit float64

// UnmarshalText implements encoding.TextUnmarshaler. Neither infinity nor "not a number" gets through.
func (l *dollarLimit) UnmarshalText(text []byte) error {
	// The bound keeps infinity out, and what no budget has.
	const most = 1e9
	// Written so that NaN, of which every comparison is false, is refused, too.
	n, err := strconv.ParseFloat(strings.TrimPrefix(string(text), "$"), 64)
	if err != nil || !(n >= 0 && n <= most) {
		return fmt.Errorf("%q is not an amount of US dollars, such as 2.50; 0 is no limit", text)
	}
	*l = dollarLimit(n)
	return nil
}

// An expiry is when a key becomes invalid: at a time, after a time, or never.
// The zero value is never. At most one of the fields is set.
type expiry struct {
	// at is the first moment at which the key is no longer good, in UTC.
	at time.Time
	// after is the time from the command on; 0 when the key ends at a time.
	after time.Duration
}

// UnmarshalText implements encoding.TextUnmarshaler: "2027-01-31", "12h", "90d", "never".
func (e *expiry) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "never" {
		return nil
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		// Good until the end of that day, as a date on a ticket is.
		e.at = day.AddDate(0, 0, 1)
		return nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		// 16 bits: 65,535 days are 179 years, and no overflow of a Duration.
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n > 0 {
			e.after = time.Duration(n) * 24 * time.Hour
			return nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		e.after = d
		return nil
	}
	return fmt.Errorf("%q is neither a date (2027-01-31) nor a time from now (12h, 90d) nor never", s)
}

// check refuses an end that is over: a key that is made so is good for nothing, and whoever means to end one has a command for it.
func (e *expiry) check(now time.Time) error {
	if e == nil || e.at.IsZero() || e.at.After(now) {
		return nil
	}
	return &config.Error{Name: "--expires", Problem: "is in the past", Hint: "give a date to come, or a time from now such as 90d; 'composer-api keys revoke' ends a key at once"}
}

// from is the time that e means, said at now; zero is never.
func (e *expiry) from(now time.Time) time.Time {
	if e.after > 0 {
		return now.Add(e.after)
	}
	return e.at
}
