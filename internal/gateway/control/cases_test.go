package control_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"composer-api/internal/golden"
)

// TestCases plays each case of testdata on three surfaces, chat completions, Responses and Messages, each as a stream and
// as a whole answer: six clients, which must all get the same, from a simulator that must receive the same from all. A case
// is a txtar file; its comment says what it shows. Its sections:
//
//	script       what the simulated model says; see package script
//	ask          the client's first request, in no surface's spelling; see type ask
//	results      the client's next request: the results of the calls that it got, one a line; after the word may stand
//	             what else is new in the request, see type ask, or "after a restart"
//	question     the client's next request: what the user says
//	got          golden: what the client gets from each request
//	got SURFACE  golden: the same for one of the six clients, where it gets something else
//	upstream     golden: what the simulator receives
func TestCases(t *testing.T) {
	golden.Cases(t, "testdata/*.txtar", func(t *testing.T, c *golden.Case) {
		var first ask
		d := json.NewDecoder(strings.NewReader(c.Section("ask")))
		d.DisallowUnknownFields()
		if err := d.Decode(&first); err != nil {
			t.Fatal(err)
		}
		for i, surface := range surfaces {
			if !surface.can(&first) {
				continue
			}
			t.Run(surface.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					got, upstream := converse(t, surface, c, first)
					name := "got " + surface.name
					if i == 0 || c.Section(name) == "" && (!golden.Updating() || c.Section("got") == got) {
						name = "got"
					}
					c.Want(t, name, got)
					if i == 0 || !golden.Updating() {
						c.Want(t, "upstream", upstream)
					} else if upstream != c.Section("upstream") {
						t.Errorf("upstream receives something else than from the other clients:\n%s", upstream)
					}
				})
			})
		}
	})
}

// converse has the conversation of a case and tells it from both ends.
func converse(t *testing.T, s surface, c *golden.Case, first ask) (got, upstream string) {
	w := newWorld(t, c.Section("script"), first)
	client := &client{t: t, world: w, surface: s, ask: first}
	var b strings.Builder
	send := func() {
		a := client.send()
		if a.usage != "" && !a.costs() {
			t.Errorf("x-composer-cost is %q after\n%s", a.header.Get("X-Composer-Cost"), a)
		}
		b.WriteString(a.String())
	}
	send()
	for _, f := range c.Files {
		name, _, _ := strings.Cut(f.Name, " ")
		if name != "results" && name != "question" {
			continue
		}
		if strings.HasSuffix(f.Name, "after a restart") {
			w.restart()
		}
		if _, changes, ok := strings.Cut(f.Name, " {"); ok {
			client.ask.change(t, "{"+changes)
		}
		said := strings.TrimSpace(string(f.Data))
		if name == "question" {
			client.question(said)
		} else {
			client.results(strings.Split(said, "\n"))
		}
		b.WriteByte('\n')
		send()
	}
	w.close()
	synctest.Wait() // until upstream has seen how its streams end
	return b.String(), w.upstream()
}
