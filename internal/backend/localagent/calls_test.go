package localagent

import (
	"testing"
	"time"
)

// Upstream may announce a step's calls without having said that a step begins. What has arrived belongs to the one before.
func TestCallsOfTheStepBeforeDoNotCount(t *testing.T) {
	last := time.Unix(1000, 0)
	c := calls{last: last}
	c.announce(2)
	c.arrived = 2
	if at := c.settled(time.Second); !at.IsZero() {
		t.Errorf("all have arrived, and it waits until %v", at)
	}
	c.announce(1)
	if at, want := c.settled(time.Second), last.Add(announcedFactor*time.Second); !at.Equal(want) {
		t.Errorf("one is missing, and it waits until %v, want %v", at, want)
	}
	// Announced after its first call: that one counts.
	c = calls{last: last, arrived: 1}
	c.announce(1)
	if at := c.settled(time.Second); !at.IsZero() {
		t.Errorf("the only call has arrived, and it waits until %v", at)
	}
}
