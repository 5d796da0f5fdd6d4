package simtest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"
)

// A situation is a habit, a fault or an operation, and the place where they meet, such as
// "localagent × responses × renamed × cut × after results".

// of is the situation of a stage, without the fault and the place: who does what.
func (p *plan) of(who *person, t *task, s *stage) string {
	return p.Upstream + " × " + who.Surface + " × " + cmp.Or(s.Answer, s.Leave, t.Before, t.Ask, "plain")
}

// position is where in a task a stage is.
func position(stage int) string {
	if stage == 0 {
		return " × first"
	}
	return " × after results"
}

// carried is where the results of a stage's calls come in: at another replica than the one that waits for them.
const carried = " × carried"

// situations are those that a plan can lead to, without running it.
func (p *plan) situations() (all []string) {
	for _, who := range p.People {
		for _, t := range who.Tasks {
			for i, s := range t.Stages {
				kind := "no fault"
				if s.Fault != nil {
					kind = s.Fault.Kind
				}
				all = append(all, p.of(who, t, s)+" × "+kind+position(i))
				if i > 0 && p.Carries && who.Wanders {
					all = append(all, p.of(who, t, t.Stages[i-1])+carried)
				}
				for _, o := range p.Operations {
					all = append(all, p.of(who, t, s)+" × "+o.Do)
				}
			}
		}
	}
	return all
}

// comes notes that a run has come to a stage, and with which fault.
func (w *world) comes(speaks string, t *task, stage int, kind string) {
	now := time.Now()
	on := w.during(now, now)
	who := w.plan.People[slices.IndexFunc(w.plan.People, func(p *person) bool { return p.Speaks == speaks })]
	here := w.plan.of(who, t, t.Stages[stage])
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pairs[here+" × "+kind+position(stage)]++
	for _, o := range on {
		w.pairs[here+" × "+o.Do]++
	}
}

// meets notes that a situation was met.
func (w *world) meets(situation string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pairs[situation]++
}

// A coverage is which situations were met by the plans that were played, and which of them could have been.
type coverage struct{ planned, met map[string]int }

func newCoverage() *coverage { return &coverage{map[string]int{}, map[string]int{}} }

const (
	// candidates is from how many seeds steer chooses one.
	candidates = 3
	// hopes is in how many plans a situation may be that was never met, before it counts as met: some can't be.
	hopes = 3
)

// steer chooses among the seeds from a number on the one whose plan has most situations that were never met.
func (c *coverage) steer(from uint64) (seed uint64, p *plan) {
	best := -1
	for i := range uint64(candidates) {
		q := newPlan(from + i)
		fresh := map[string]bool{}
		for _, s := range q.situations() {
			if c.met[s] == 0 && c.planned[s] < hopes {
				fresh[s] = true
			}
		}
		if len(fresh) > best {
			best, seed, p = len(fresh), from+i, q
		}
	}
	for _, s := range p.situations() {
		c.planned[s]++
	}
	return seed, p
}

// note adds what a world has met.
func (c *coverage) note(met map[string]int) {
	for s, times := range met {
		c.met[s] += times
	}
}

// TestSteering holds steer against the choice of the first candidate each time, where all that is planned is met.
func TestSteering(t *testing.T) {
	const numbers = 200
	steered, blind := newCoverage(), newCoverage()
	for i := range uint64(numbers) {
		_, p := steered.steer(1 + i*candidates)
		steered.note(steered.planned)
		for _, s := range newPlan(1 + i*candidates).situations() {
			blind.met[s]++
		}
		if len(p.situations()) == 0 {
			t.Fatal("a plan has no situations")
		}
	}
	t.Logf("of %d seeds %d situations, without steering %d", numbers, len(steered.met), len(blind.met))
	if len(steered.met) < len(blind.met)*11/10 {
		t.Errorf("steering leads %d seeds to %d situations, and %d without it", numbers, len(steered.met), len(blind.met))
	}
}

// print writes what was met, by what runs saw themselves: fewer words than the keys of c.
func printSituations(w io.Writer, met map[string]int) {
	for _, s := range slices.SortedFunc(maps.Keys(met), func(a, b string) int { return cmp.Or(cmp.Compare(met[b], met[a]), cmp.Compare(a, b)) }) {
		fmt.Fprintf(w, "%8d  %s\n", met[s], s)
	}
}
