package hosted_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/hosted"
)

func TestTheLimiterLetsSoManyThroughInAnyHour(t *testing.T) {
	clock := now
	l := hosted.NewLimiter(2, time.Hour, func() time.Time { return clock })
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
		err := l.Allow(addr)
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
		l := hosted.NewLimiter(1, time.Hour, nil)
		if err := l.Allow(netip.MustParseAddr(c.first)); err != nil {
			t.Error(err)
		}
		if err := l.Allow(netip.MustParseAddr(c.second)); (err != nil) != c.same {
			t.Errorf("%s after %s: %v", c.second, c.first, err)
		}
	}
	unlimited := hosted.NewLimiter(0, time.Hour, nil)
	for range 100 {
		if err := unlimited.Allow(netip.Addr{}); err != nil {
			t.Error(err)
		}
	}
}

func TestTheLimiterForgetsTheQuietestAddressWhenItIsFull(t *testing.T) {
	clock := now
	l := hosted.NewLimiter(1, time.Hour, func() time.Time { return clock })
	addr := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.%d.%d.1", i/256, i%256)) }
	for i := range 10_001 {
		clock = clock.Add(time.Millisecond)
		if err := l.Allow(addr(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Allow(addr(1)); err == nil {
		t.Error("an address that should be remembered was let through")
	}
	if err := l.Allow(addr(0)); err != nil {
		t.Errorf("the quietest should be forgotten: %v", err)
	}
}
