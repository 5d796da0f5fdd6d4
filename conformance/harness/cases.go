package harness

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// update is the flag -update of the tests of all packages.
var update = flag.Bool("update", false, "rewrite the golden files")

// A Case is a test in a txtar file:
//
//	why this matters
//	-- script --        what the model says; the simulator's default when it is missing
//	-- client.mjs --    what the client does; what it prints is compared
//	-- out --           what it printed, with ids numbered in the order of their appearance
//	-- runs --          what the simulator received: see Summary
//
// The last two are golden: -update rewrites them. Where another upstream than the local agent makes a difference, its
// name stands behind the section's: "out sdkbridge".
type Case struct {
	// Prelude is put before every client.mjs: it imports the client and points it at BASE_URL with API_KEY.
	Prelude string
	// Env is added to the client's environment.
	Env []string
}

// Run runs the txtar files that match pattern, each as a subtest with a gateway and a simulator of its own.
func (c *Case) Run(t *testing.T, pattern string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases match %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			c.run(t, file)
		})
	}
}

// run carries out one file. It compares what the client printed and what reached the simulator.
func (c *Case) run(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sim := StartSim(t)
	if script := section(archive, "script"); script != nil {
		sim.Play(string(script.Data))
	}
	gateway := StartGateway(t, sim)
	client := section(archive, "client.mjs")
	if client == nil {
		t.Fatal("no client.mjs")
	}
	env := slices.Concat(c.Env, []string{"BASE_URL=" + gateway.BaseURL(), "API_KEY=" + Key})
	out := RunNode(t, c.Prelude+string(client.Data), env...)
	golden(archive, "out", normalise(out), t)
	// A client may have ended before the gateway has: the record is read when nothing moves any more.
	golden(archive, "runs", Summary(sim.AwaitSettled()), t)
	if wrong := sim.Violations(); len(wrong) > 0 {
		t.Errorf("the gateway broke the protocol:\n%s", strings.Join(wrong, "\n"))
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// section is a file of the archive; nil when it isn't there.
func section(a *txtar.Archive, name string) *txtar.File {
	for i := range a.Files {
		if a.Files[i].Name == name {
			return &a.Files[i]
		}
	}
	return nil
}

// golden compares got with a section, or puts it there when golden files are rewritten.
func golden(a *txtar.Archive, name, got string, t *testing.T) {
	t.Helper()
	want := section(a, name)
	// Another upstream has a section of its own only where its result differs.
	if upstream := Upstream(); upstream != "" {
		if special := section(a, name+" "+upstream); special != nil {
			name, want = special.Name, special
		} else if *update && want != nil && string(want.Data) != got {
			name, want = name+" "+upstream, nil
		}
	}
	if *update {
		if want == nil {
			a.Files = append(a.Files, txtar.File{Name: name})
			want = &a.Files[len(a.Files)-1]
		}
		want.Data = []byte(got)
		return
	}
	if want == nil {
		t.Errorf("no section %q; it is\n%s", name, got)
	} else if string(want.Data) != got {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want.Data)
	}
}

// ids are what the gateway mints: each kind with a name for what stands in for it.
var ids = regexp.MustCompile(`\b(chatcmpl-|call_|req_|resp_|msg_|rs_|fc_|ctc_|cmp_|agent-)[A-Za-z0-9-]{12,}`)

// normalise replaces the ids in text by numbered ones: the same id, the same number.
func normalise(text string) string {
	seen := map[string]string{}
	count := map[string]int{}
	return ids.ReplaceAllStringFunc(text, func(id string) string {
		if seen[id] == "" {
			kind := strings.TrimRight(ids.FindStringSubmatch(id)[1], "-_")
			count[kind]++
			seen[id] = kind + "#" + strconv.Itoa(count[kind])
		}
		return seen[id]
	})
}
