package localagent

import "time"

// calls is what is known about the calls of a step, to tell when the client can be given all of them at once.
type calls struct {
	announced int // by upstream; 0 when it hasn't said
	arrived   int // whether a client's tool, a built-in one or an unknown one is called
	given     int // to the client, in this turn
	last      time.Time
}

// patience is how many times longer a turn waits for calls that were announced: siblings were seen to come more than a
// second apart.
const patience = 10

// settled is when the turn need not wait for more calls: now (zero) when all are there.
func (c *calls) settled(settle time.Duration) time.Time {
	switch {
	case c.announced == 0:
		return c.last.Add(settle)
	case c.arrived < c.announced:
		return c.last.Add(patience * settle)
	}
	return time.Time{}
}

// announce notes how many calls the step makes. It comes before the calls or after the first.
func (c *calls) announce(n int) {
	if c.announced > 0 && c.arrived >= c.announced {
		c.arrived = 0 // of a step before, whose beginning wasn't said
	}
	c.announced = n
}

// step begins a new step.
func (c *calls) step() { c.announced, c.arrived = 0, 0 }
