package hosted_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/hosted"
	"composer-api/internal/store/memstore"
)

func TestTheLimiterLetsSoManyThroughInAnyHour(t *testing.T) {
	clock := now
	l := hosted.NewLimiter(memstore.New(memstore.Config{}).Open(), "sign-up", 2, time.Hour, func() time.Time { return clock })
	addr := netip.MustParseAddr("192.0.2.1")
	for _, step := range []struct {
		pass time.Duration
		wait time.Duration // what is left to wait; 0 when let through
	}{
		{0, 0},
		{10 * time.Minute, 0},
		{10 * time.Minute, 40 * time.Minute},
		{39 * time.Minute, time.Minute}, // a refused attempt doesn't count
		{time.Minute, 0},                // the first is an hour old
		{0, 10 * time.Minute},           // the second isn't
		{10 * time.Minute, 0},
	} {
		clock = clock.Add(step.pass)
		err := l.Allow(t.Context(), addr)
		if step.wait == 0 {
			if err != nil {
				t.Errorf("at %v: %v", clock.Sub(now), err)
			}
		} else if e := agent.AsError(err); e.Code != agent.RateLimited || e.RetryAfter != step.wait {
			t.Errorf("at %v: %v, wait %v, want %v", clock.Sub(now), e, e.RetryAfter, step.wait)
		}
	}
}

func TestTheLimiterTellsAddressesApart(t *testing.T) {
	for _, c := range []struct {
		first, second string
		same          bool
	}{
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		l := hosted.NewLimiter(memstore.New(memstore.Config{}).Open(), "sign-up", 1, time.Hour, nil)
		if err := l.Allow(t.Context(), netip.MustParseAddr(c.first)); err != nil {
			t.Error(err)
		}
		if err := l.Allow(t.Context(), netip.MustParseAddr(c.second)); (err != nil) != c.same {
			t.Errorf("%s after %s: %v", c.second, c.first, err)
		}
	}
	unlimited := hosted.NewLimiter(nil, "sign-up", 0, time.Hour, nil)
	for range 100 {
		if err := unlimited.Allow(t.Context(), netip.Addr{}); err != nil {
			t.Error(err)
		}
	}
}

// What is kept must not say who tried, and another thing has a count of its own.
func TestTheLimiterKeepsNoAddress(t *testing.T) {
	db := memstore.New(memstore.Config{})
	addr := netip.MustParseAddr("192.0.2.77")
	for _, what := range []string{"sign-up", "early access"} {
		if err := hosted.NewLimiter(db.Open(), what, 1, time.Hour, nil).Allow(t.Context(), addr); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		// On another replica.
		if err := hosted.NewLimiter(db.Open(), what, 1, time.Hour, nil).Allow(t.Context(), addr); agent.CodeOf(err) != agent.RateLimited {
			t.Errorf("%s: %v", what, err)
		}
	}
	if strings.Contains(db.Dump(), "192.0.2") {
		t.Error("the address is kept")
	}
}

// Who can't be counted can't be let through.
func TestTheLimiterNeedsItsStore(t *testing.T) {
	db := memstore.New(memstore.Config{}).Open()
	db.Away(true)
	if err := hosted.NewLimiter(db, "sign-up", 1, time.Hour, nil).Allow(t.Context(), netip.Addr{}); agent.CodeOf(err) != agent.Overloaded {
		t.Error(err)
	}
}
