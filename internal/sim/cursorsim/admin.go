package cursorsim

import (
	"io"
	"net/http"

	"composer-api/internal/sim/script"
)

func (s *Sim) getRuns(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string][]Run{"runs": s.Runs()})
}

func (s *Sim) deleteRuns(w http.ResponseWriter, _ *http.Request) {
	s.Reset()
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sim) getViolations(w http.ResponseWriter, _ *http.Request) {
	violations := s.Violations()
	if violations == nil {
		violations = []Violation{}
	}
	writeJSON(w, http.StatusOK, map[string][]Violation{"violations": violations})
}

type state struct {
	Seed      uint64 `json:"seed"`
	Exchanges int    `json:"exchanges"`
	Runs      int    `json:"runs"`
	Open      int    `json:"open"`      // runs in progress
	TurnsLeft int    `json:"turnsLeft"` // of the script
}

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

func (s *Sim) postRevoke(w http.ResponseWriter, _ *http.Request) {
	s.RevokeTokens()
	w.WriteHeader(http.StatusNoContent)
}
