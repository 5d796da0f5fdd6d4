package simtest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
)

// A situation is a habit, a fault and the place where they meet, such as "responses × renamed × cut × localagent".
// situations are those that a plan can lead to, without running it.
func (p *plan) situations() (all []string) {
	for _, who := range p.People {
		for _, t := range who.Tasks {
			for i, s := range t.Stages {
				kind := "no fault"
				if s.Fault != nil {
					kind = s.Fault.Kind
				}
				doing := cmp.Or(s.Answer, s.Leave, t.Before, t.Ask, "plain")
				place := "first"
				if i > 0 {
					place = "after results"
				}
				all = append(all, fmt.Sprintf("%s × %s × %s × %s × %s", p.Upstream, who.Surface, doing, kind, place))
				for _, o := range p.Operations {
					all = append(all, fmt.Sprintf("%s × %s × %s × %s", p.Upstream, who.Surface, doing, o.Do))
				}
			}
		}
	}
	return all
}

// A coverage counts the situations of the plans that were played.
type coverage map[string]int

// candidates is from how many seeds steer chooses one.
const candidates = 3

// steer chooses among the seeds from a number on the one whose plan has most situations that are new.
func (c coverage) steer(from uint64) (seed uint64, p *plan) {
	best := -1
	for i := range uint64(candidates) {
		q := newPlan(from + i)
		fresh := map[string]bool{}
		for _, s := range q.situations() {
			if c[s] == 0 {
				fresh[s] = true
			}
		}
		if len(fresh) > best {
			best, seed, p = len(fresh), from+i, q
		}
	}
	for _, s := range p.situations() {
		c[s]++
	}
	return seed, p
}

// print writes what was met, by what runs saw themselves: fewer words than the keys of c.
func printSituations(w io.Writer, met map[string]int) {
	for _, s := range slices.SortedFunc(maps.Keys(met), func(a, b string) int { return cmp.Or(cmp.Compare(met[b], met[a]), cmp.Compare(a, b)) }) {
		fmt.Fprintf(w, "%8d  %s\n", met[s], s)
	}
}
