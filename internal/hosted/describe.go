package hosted

import (
	"fmt"
	"strings"
	"time"

	"composer-api/internal/store"
)

// What is printed of keys, limits and invitations: on a terminal, on pages, in the list of an operator's acts. One wording for all.

// Describe says what a key may, for people; "no limits" for one that may everything. Names of models are as somebody has
// typed them.
func Describe(k *store.Key) string {
	parts := describe(&k.Limits)
	if !k.Expires.IsZero() {
		parts = append(parts, "until "+k.Expires.UTC().Format(time.DateTime)+"Z")
	}
	return orNoLimits(parts)
}

// DescribeLimits is Describe for the limits of an account.
func DescribeLimits(l *store.KeyLimits) string { return orNoLimits(describe(l)) }

// DescribeInvitation says what an invitation is good for.
func DescribeInvitation(i *store.Invitation) string {
	text := fmt.Sprintf("%d %s", i.Uses, plural("use", i.Uses)) + ", until " + i.Expires.UTC().Format(time.DateTime) + "Z"
	if i.Note != "" {
		text += ", " + i.Note
	}
	return text
}

// MaxKeyName is how long a key's name may be, in bytes.
const MaxKeyName = 100

// KeyState is what a key is like at a time, in a word: "good", "revoked", "expired". A key that was revoked stays "revoked" after
// its end.
func KeyState(k *store.Key, now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return "expired"
	}
	return "good"
}

// InvitationState is what an invitation is like at a time, in a word: "good", "revoked", "over", "used up".
func InvitationState(i *store.Invitation, now time.Time) string {
	switch {
	case !i.Revoked.IsZero():
		return "revoked"
	case i.Used >= i.Uses:
		return "used up"
	case !now.Before(i.Expires):
		return "over"
	}
	return "good"
}

// orNoLimits joins the limits; nil means that there is none.
func orNoLimits(parts []string) string {
	if parts == nil {
		return "no limits"
	}
	return strings.Join(parts, "; ")
}

// describe is the limits, each in words.
func describe(l *store.KeyLimits) (parts []string) {
	add := func(set bool, format string, args ...any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(len(l.Surfaces) > 0, "only %s", strings.Join(l.Surfaces, ", "))
	add(len(l.Models) > 0, "models %s", strings.Join(l.Models, ", "))
	add(l.NoFast, "not fast")
	add(l.Concurrent > 0, "%d at once", l.Concurrent)
	add(l.RequestsPerMinute > 0, "%d %s a minute", l.RequestsPerMinute, plural("request", l.RequestsPerMinute))
	add(l.TokensPerMinute > 0, "%d %s a minute", l.TokensPerMinute, plural("token", l.TokensPerMinute))
	add(l.USDPerDay > 0, "$%g a day", l.USDPerDay)
	add(l.USDPerMonth > 0, "$%g a month", l.USDPerMonth)
	return parts
}

// plural is the noun for n things.
func plural(noun string, n int64) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
