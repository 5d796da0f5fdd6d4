package localagent

import (
	"testing"
	"testing/synctest"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/sim/cursorsim"
)

func TestMaxModeIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn always\ntext ok", cursorsim.Config{}, nil)
		for _, maxMode := range []bool{true, false} {
			req := backendtest.Request("hello")
			req.Model = agent.Model{ID: "sim-thinker", Params: []agent.Param{{ID: "effort", Value: "high"}}, MaxMode: maxMode}
			_, err := backendtest.Collect(t.Context(), r.start(t, req))
			if (err == nil) != maxMode { // the simulator refuses the model without
				t.Errorf("max mode %v: %v", maxMode, err)
			}
		}
	})
}

func TestRequestIDIsTheRunsOnTheFirstAttemptAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn when attempt 1\ncut\nturn always\ntext ok", cursorsim.Config{}, nil)
		collect(t, r.start(t, backendtest.Request("hello")))
		runs := r.sim.Runs()
		if len(runs) != 2 || runs[0].RequestID != runs[0].RunID || runs[1].RequestID == runs[1].RunID || runs[1].RunID != runs[0].RunID {
			t.Errorf("%+v", runs)
		}
		r.noViolations(t)
	})
}
