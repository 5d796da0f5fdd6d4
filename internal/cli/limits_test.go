package cli

import (
	"testing"
	"time"

	"composer-api/internal/config"
)

func TestTheOperatorSeesWhatTheSettingsAllow(t *testing.T) {
	c := &config.Config{}
	c.MaxPerKey, c.SignupLimit, c.KeyMaxCost, c.KeyMaxTurns, c.ParkTimeout = 8, 5, 2.5, 100, 10*time.Minute
	want := map[string]string{
		"Turns at once": "no limit", "Turns at once with one key": "8", "A key, each day (UTC)": "$2.5, 100 turns", "A conversation": "no limit",
		"Sign-ups from one address": "5 an hour", "A parked run waits": "10m",
		"Kept for one owner": "256 MiB and 10000 of responses, of conversations and of documents; over that, the oldest go", "Log of hosted keys": "90 days",
	}
	for _, f := range limitsOf(c) {
		if f.Value != want[f.Name] {
			t.Errorf("%s: %q, want %q", f.Name, f.Value, want[f.Name])
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}
