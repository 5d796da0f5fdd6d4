package hosted_test

import (
	"testing"

	"composer-api/internal/hosted"
	"composer-api/internal/store"
)

func TestLimitsAreSaidInWords(t *testing.T) {
	for want, l := range map[string]store.KeyLimits{
		"no limits":                              {},
		"1 request a minute; 1 token a minute":   {RequestsPerMinute: 1, TokensPerMinute: 1},
		"1 at once; 60 requests a minute":        {Concurrent: 1, RequestsPerMinute: 60},
		"only chat; not fast; 2 tokens a minute": {Surfaces: []string{"chat"}, NoFast: true, TokensPerMinute: 2},
	} {
		if got := hosted.DescribeLimits(&l); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
