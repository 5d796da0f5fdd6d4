package localagent

import "time"

// calls is what is known about the calls of a step, to tell when the client can be given all of them at once: most clients
// run the calls of one answer in parallel, and send all results in one request. It is guarded by run.mu.
type calls struct {
	announced int       // how many upstream has announced for the step; 0 when it has announced none
	arrived   int       // of any kind: a client's tool, a built-in one, an unknown one
	given     int       // to the client, in this turn
	last      time.Time // when the last one for the client arrived
}

// patience is how many times longer a turn waits for calls that were announced: siblings were seen to come more than a
// second apart.
const announcedFactor = 10

// settled is when the turn need not wait for more calls: now (zero) when all are there.
func (c *calls) settled(settle time.Duration) time.Time {
	switch {
	case c.announced == 0:
		return c.last.Add(settle)
	case c.arrived < c.announced:
		return c.last.Add(announcedFactor * settle)
	}
	return time.Time{}
}

// announce notes how many calls the step makes. It comes before the calls or after the first.
func (c *calls) announce(n int) {
	if c.announced > 0 && c.arrived >= c.announced {
		c.arrived = 0 // they belong to a step before, and upstream sent no step_started in between
	}
	c.announced = n
}

// step begins a new step.
func (c *calls) step() { c.announced, c.arrived = 0, 0 }
