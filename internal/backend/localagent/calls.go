package localagent

import "time"

// calls is what is known about the calls of a step. It decides when a turn can end: most clients run the calls
// of one answer in parallel and send all results in one request, so all calls of a step should be in one turn.
//
//	announced and all have arrived     the turn ends at once
//	announced, some are missing        up to announcedFactor × settle after the last
//	not announced                      settle after the last
//
// It is protected by run.mu.
//
// It is emptied at the beginning of each stream (install); given is, too, at the end of each turn.
type calls struct {
	announced int       // how many upstream has announced for the step; 0 when it has announced none
	arrived   int       // of any kind: a client's tool, a built-in one, an unknown one
	given     int       // to the client, in this turn
	last      time.Time // when the last one for the client arrived
}

// announcedFactor is how many times longer a turn waits for calls that were announced: parallel calls were
// seen to come more than a second apart.
const announcedFactor = 10

// settled is when the turn need not wait for more calls: the zero time when all are there. A
// time that has passed already means that the turn ends now.
func (c *calls) settled(settle time.Duration) time.Time {
	switch {
	case c.announced == 0:
		return c.last.Add(settle)
	case c.arrived < c.announced:
		return c.last.Add(announcedFactor * settle)
	}
	return time.Time{}
}

// announce records how many calls the step makes. Upstream announces them before the calls or after the first.
func (c *calls) announce(n int) {
	if c.announced > 0 && c.arrived >= c.announced {
		c.arrived = 0 // they belong to a step before, and upstream sent no step_started in between
	}
	c.announced = n
}

// step begins a new step of the model. given stays: it counts the calls of a turn, and a turn
// may have several steps.
func (c *calls) step() { c.announced, c.arrived = 0, 0 }
