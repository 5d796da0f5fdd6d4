package simtest

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// lawOf is the law that a run broke first: "p1: text: it got …" is of the law text.
func lawOf(w *world) string {
	if len(w.laws.broken) == 0 {
		return ""
	}
	_, what, _ := strings.Cut(w.laws.broken[0], ": ")
	law, _, _ := strings.Cut(what, ":")
	return law
}

// shrink takes people, operations, tasks, stages and habits away as long as the plan still breaks the same law. It stops when
// nothing more can go, or after a minute.
func shrink(t *testing.T, p *plan, law string) *plan {
	began := time.Now()
	for smaller := true; smaller; {
		smaller = false
		for i := 0; time.Since(began) < time.Minute; i++ {
			q := p.clone()
			if !takeAway(q, i) {
				break
			}
			if w, _ := simulate(t, q); lawOf(w) == law {
				p, smaller = q, true
				i--
			}
		}
	}
	return p
}

// takeAway takes the thing number n away from a plan; false when it has fewer.
func takeAway(p *plan, n int) bool {
	ways := []func(){}
	for i := range p.People {
		if len(p.People) > 1 {
			ways = append(ways, func() { p.People = slices.Delete(p.People, i, i+1) })
		}
	}
	for i := range p.Operations {
		ways = append(ways, func() { p.Operations = slices.Delete(p.Operations, i, i+1) })
	}
	if p.Carries {
		ways = append(ways, func() { p.Carries = false })
	}
	if p.Replicas == 3 && !slices.ContainsFunc(p.Operations, func(o *operation) bool { return o.Replica == 2 }) {
		ways = append(ways, func() { p.Replicas = 2 })
	}
	if p.Misbehaves != 0 {
		ways = append(ways, func() { p.Misbehaves = 0 })
	}
	for _, who := range p.People {
		for i := range who.Tasks {
			if i == len(who.Tasks)-1 && i > 0 { // from the end, so that the others keep their names
				ways = append(ways, func() { who.Tasks = who.Tasks[:i] })
			}
		}
		if who.Converse {
			ways = append(ways, func() { who.Converse = false })
		}
		if who.Exchange != nil {
			ways = append(ways, func() { who.Exchange = nil })
		}
		for _, text := range []*string{&who.Echo} {
			if *text != "" {
				ways = append(ways, func() { *text = "" })
			}
		}
		for _, t := range who.Tasks {
			for _, text := range []*string{&t.Before, &t.Ask} {
				if *text != "" {
					ways = append(ways, func() { *text = "" })
				}
			}
			if t.Strays {
				ways = append(ways, func() { t.Strays = false })
			}
			if len(t.Stages) > 2 || len(t.Stages) == 2 && t.Ask != "required" { // a call is required of the first stage
				ways = append(ways, func() { t.Stages = t.Stages[:len(t.Stages)-1]; t.Stages[len(t.Stages)-1].Calls = 0 })
			}
			for _, s := range t.Stages {
				for _, text := range []*string{&s.Answer, &s.Leave} {
					if *text != "" {
						ways = append(ways, func() { *text = "" })
					}
				}
				for _, number := range []*int{&s.Think} {
					if *number > 0 {
						ways = append(ways, func() { *number = 0 })
					}
				}
				if s.Calls > 1 {
					ways = append(ways, func() { s.Calls = 1 })
				}
				if s.Fault != nil {
					ways = append(ways, func() { s.Fault = nil })
				}
			}
		}
	}
	if n >= len(ways) {
		return false
	}
	ways[n]()
	return true
}
