package apitest

import (
	"slices"

	"composer-api/internal/agent"
)

// A twiceTold is a sink that has the answer broken off and begun again, once, before its end: what the gateway does with a run that
// fails while nothing has reached the client. What the client gets must be the same. A sink that can't forget what it was given
// must say so.
type twiceTold struct {
	agent.Sink
	events  []agent.Event // so far
	ended   bool          // the usage has come, at which the answer is begun again
	rewound bool
}

// Event implements agent.Sink.
func (s *twiceTold) Event(e *agent.Event) error {
	if e.Kind == agent.UsageKind && !s.ended && agent.Rewind(s.Sink) {
		s.rewound = true
		for i := range s.events {
			again := s.events[i] // the sink may change what it gets
			if err := s.Sink.Event(&again); err != nil {
				return err
			}
		}
	}
	s.ended = s.ended || e.Kind == agent.UsageKind
	kept := *e
	kept.Text = slices.Clone(e.Text)
	s.events = append(s.events, kept)
	return s.Sink.Event(e)
}
