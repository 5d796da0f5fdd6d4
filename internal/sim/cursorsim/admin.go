package cursorsim

import (
	"io"
	"net/http"

	"composer-api/internal/sim/script"
)

// The handlers of /sim/…: what a test that talks HTTP (the conformance tests of other languages, a
// person with curl) needs in place of the methods of [Sim].

// getRuns answers GET /sim/runs.
func (s *Sim) getRuns(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string][]Run{"runs": s.Runs()})
}

// deleteRuns answers DELETE /sim/runs.
func (s *Sim) deleteRuns(w http.ResponseWriter, _ *http.Request) {
	s.Reset()
	w.WriteHeader(http.StatusNoContent)
}

// getViolations answers GET /sim/violations. None is an empty list and not null, because scripts in
// other languages take its length.
func (s *Sim) getViolations(w http.ResponseWriter, _ *http.Request) {
	violations := s.Violations()
	if violations == nil {
		violations = []Violation{}
	}
	writeJSON(w, http.StatusOK, map[string][]Violation{"violations": violations})
}

// state is what GET /sim/state answers. A run in progress is one without an end.
type state struct {
	// Seed is Config.Seed: with it the same faults can be had again.
	Seed uint64 `json:"seed"`
	// Exchanges count from the simulator's start; Runs are those that are recorded now, see Sim.Reset.
	Exchanges int `json:"exchanges"`
	Runs      int `json:"runs"`
	Open      int `json:"open"`      // runs in progress
	TurnsLeft int `json:"turnsLeft"` // of the script
}

// getState answers GET /sim/state: how far a test has come.
func (s *Sim) getState(w http.ResponseWriter, _ *http.Request) {
	st := state{Seed: s.config.Seed, Exchanges: s.Exchanges(), TurnsLeft: s.playlist.Left()}
	for _, r := range s.Runs() {
		st.Runs++
		if r.End == "" {
			st.Open++
		}
	}
	writeJSON(w, http.StatusOK, st)
}

// postScript answers POST /sim/script, whose body is the script as text, at most 1 MiB. A script that
// can't be parsed is answered with 400 and the parser's error, and changes nothing.
func (s *Sim) postScript(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil {
		var next *script.Script
		if next, err = script.Parse("script", data); err == nil {
			s.setScript(next)
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
}

// postRevoke answers POST /sim/revoke: a client that holds a token gets "unauthenticated" from now on
// and has to exchange its key again.
func (s *Sim) postRevoke(w http.ResponseWriter, _ *http.Request) {
	s.RevokeTokens()
	w.WriteHeader(http.StatusNoContent)
}
