package setup_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"composer-api/internal/agent"
	"composer-api/internal/golden"
	"composer-api/internal/setup"
)

const token = "composer-0123456789012345678901234567890123456789012"

var models = []setup.Model{{ID: "composer-2.5", Name: "Composer 2.5", Context: 200_000}, {ID: "composer-2.5-fast", Name: "Composer 2.5 Fast", Context: 200_000}}

// A box is a machine with a home folder of its own, on Linux.
type box struct {
	*setup.Machine
	home string
}

func newBox(t *testing.T) *box {
	home := t.TempDir()
	// The real name: plans name files without links.
	home, err := filepath.EvalSymlinks(home)
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"HOME": home}[name] }
	return &box{&setup.Machine{
		GOOS: "linux", Getenv: getenv, State: filepath.Join(home, ".local/state/composer-api"),
		LookPath: func(string) (string, error) { return "", errors.New("not found") },
	}, home}
}

// write puts the files of sections that begin with prefix into the home folder.
func (b *box) write(t *testing.T, c *golden.Case, prefix string) {
	t.Helper()
	for _, f := range c.Files {
		if name, ok := strings.CutPrefix(f.Name, prefix); ok {
			path := filepath.Join(b.home, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f.Data, 0o640); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// files is all that lies in the home folder but our own state, as text.
func (b *box) files(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(b.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(b.home, path)
		if name = filepath.ToSlash(name); !strings.HasPrefix(name, ".local/state/composer-api/") || name == ".local/state/composer-api/setup/roo-settings.json" {
			all.WriteString("=== " + name + "\n" + strings.ReplaceAll(string(data), b.home, "HOME"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func (b *box) setUp(t *testing.T, id string, g *setup.Gateway) *setup.Plan {
	t.Helper()
	client, ok := setup.ByID(id)
	if !ok {
		t.Fatalf("there is no client %q", id)
	}
	plan, err := setup.PlanSetup(b.Machine, client, g)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(); err != nil {
		t.Fatal(err)
	}
	return plan
}

func (b *box) undo(t *testing.T, id string) *setup.Plan {
	t.Helper()
	client, _ := setup.ByID(id)
	plan, err := setup.PlanUndo(b.Machine, client)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(); err != nil {
		t.Fatal(err)
	}
	return plan
}

func gateway(withToken bool) *setup.Gateway {
	g := &setup.Gateway{Root: "http://127.0.0.1:8787", Models: models}
	if withToken {
		g.Token = agent.NewSecret(token)
	}
	return g
}

// TestClients sets up each client of testdata: files "home/…" are there before, "after" is what lies there then. Undone at
// once, everything is as it was, byte for byte. Files "edited/…" are what a person makes of them; "undone" is what is left
// then, with the conflicts.
func TestClients(t *testing.T) {
	golden.Cases(t, "testdata/*.txtar", func(t *testing.T, c *golden.Case) {
		id, how, _ := strings.Cut(strings.TrimSpace(c.Section("client")), " ")
		g := gateway(how != "env")
		b := newBox(t)
		b.write(t, c, "home/")
		before := b.files(t)
		plan := b.setUp(t, id, g)
		after := b.files(t)
		for _, step := range plan.Steps {
			after += "=== by hand\n" + step + "\n"
		}
		c.Want(t, "after", after)
		if diff := plan.Diff(); strings.Contains(diff, token) {
			t.Errorf("the diff shows the token:\n%s", diff)
		}
		if len(b.files(t)) == len(before) {
			return // it has no files
		}
		// Again, for another port, and back: what is kept is what was there before the first time.
		other := gateway(true)
		other.Root = "http://127.0.0.1:9999"
		b.setUp(t, id, other)
		if now := b.files(t); strings.Contains(now, ":8787") || !strings.Contains(now, ":9999") {
			t.Errorf("set up for another port:\n%s", now)
		}
		b.setUp(t, id, g)
		if !slices.ContainsFunc(c.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "edited/") }) {
			b.undo(t, id)
			if now := b.files(t); now != before {
				t.Errorf("undone it is\n%swant\n%s", now, before)
			}
			if _, err := os.Stat(filepath.Join(b.State, "setup", id)); err == nil {
				t.Error("the record is still there")
			}
			return
		}
		b.write(t, c, "edited/")
		undo := b.undo(t, id)
		left := b.files(t)
		for _, conflict := range undo.Conflicts {
			left += "=== conflict " + conflict.Path + "\nbefore " + conflict.Before + "\nours " + conflict.Ours + "\nhere " + conflict.Here + "\n"
		}
		c.Want(t, "undone", left)
		if _, err := os.Stat(filepath.Join(b.State, "setup", id)); (err == nil) != (len(undo.Conflicts) > 0) {
			t.Error("a record stays as long as something of ours does")
		}
	})
}

// TestEveryClientHasACase, and without a file there, too.
func TestEveryClientHasACase(t *testing.T) {
	for _, client := range setup.Clients() {
		if _, err := os.Stat("testdata/" + client.ID + "-untouched.txtar"); err != nil {
			t.Error(err)
		}
	}
}

// TestNoFileHoldsACursorKey: where there is no token, the files refer to a variable, if they can.
func TestNoFileHoldsACursorKey(t *testing.T) {
	for _, client := range setup.Clients() {
		b := newBox(t)
		b.setUp(t, client.ID, gateway(false))
		if files := b.files(t); strings.Contains(files, "composer-0") || strings.Contains(files, "crsr_") {
			t.Errorf("%s:\n%s", client.ID, files)
		}
	}
}

// TestLinksAndModesStay: people keep such files in a repository of their own, with links to it.
func TestLinksAndModesStay(t *testing.T) {
	b := newBox(t)
	real := filepath.Join(b.home, "dotfiles-settings.json")
	if err := os.WriteFile(real, []byte("{\"theme\": \"dark\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(b.home, ".claude", "settings.json")
	if err := errors.Join(os.Mkdir(filepath.Dir(link), 0o700), os.Symlink(real, link)); err != nil {
		t.Skip(err)
	}
	b.setUp(t, "claude", gateway(true))
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if info, err := os.Stat(real); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("its file has another mode: %v, %v", info, err)
	}
	b.undo(t, "claude")
	if data, _ := os.ReadFile(real); string(data) != "{\"theme\": \"dark\"}\n" {
		t.Errorf("undone it is %q", data)
	}
}

// TestAFileThatChangesMeanwhileIsNotOverwritten: between the diff and the answer, somebody saves the file.
func TestAFileThatChangesMeanwhileIsNotOverwritten(t *testing.T) {
	b := newBox(t)
	client, _ := setup.ByID("codex")
	plan, err := setup.PlanSetup(b.Machine, client, gateway(true))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.home, ".codex", "config.toml")
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("a = 1\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(); err == nil {
		t.Error("it was overwritten")
	}
	if data, _ := os.ReadFile(path); string(data) != "a = 1\n" {
		t.Errorf("it is %q", data)
	}
}

func TestTheStateOfAClient(t *testing.T) {
	b := newBox(t)
	client, _ := setup.ByID("codex")
	g := gateway(true)
	path := filepath.Join(b.home, ".codex", "config.toml")
	want := func(ours, intact, points bool) {
		t.Helper()
		if s := setup.Look(b.Machine, client, g); s.Ours != ours || s.Ours && s.Intact != intact || s.Points != points || s.Problem != nil {
			t.Errorf("%+v", s)
		}
	}
	want(false, false, false)
	b.setUp(t, "codex", g)
	want(true, true, true)
	data, _ := os.ReadFile(path)
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), `model = "composer-2.5"`, `model = "gpt-5"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	want(true, false, true)
}

func TestTheChosenModelIsTheFirst(t *testing.T) {
	chosen, err := setup.Choose([]setup.Model{{ID: "a"}, {ID: "b", Name: "B", Context: 5}}, "b")
	if err != nil || chosen[0].ID != "b" || chosen[1].Name != "a" || chosen[1].Context != 200_000 {
		t.Errorf("%v, %v", chosen, err)
	}
	if _, err := setup.Choose(models, "nothing"); err == nil {
		t.Error("there is no such model")
	}
}

// The document of clients, which is also on the home page, names the command of every client.
func TestTheDocumentHasTheCommandOfEveryClient(t *testing.T) {
	document, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`composer-api setup ([a-z]+)`).FindAllStringSubmatch(string(document), -1)
	other := map[string]bool{"undo": true, "verify": true} // commands of their own
	named := map[string]bool{}
	for _, c := range commands {
		named[c[1]] = true
		if _, known := setup.ByID(c[1]); !known && !other[c[1]] {
			t.Errorf("there is no client %q", c[1])
		}
	}
	for _, c := range setup.Clients() {
		if !named[c.ID] {
			t.Errorf("docs/clients.md does not name 'composer-api setup %s'", c.ID)
		}
	}
}

// A client that was given an empty key by "$(composer-api token)" in a shell that does not find the program would only say that the
// key is wrong.
func TestWhatIsTypedByHandNamesTheProgramAsItIsFound(t *testing.T) {
	for program, want := range map[string]string{"": `"$(composer-api token)"`, "/opt/composer-api": `"$(/opt/composer-api token)"`} {
		g := &setup.Gateway{Root: "http://127.0.0.1:8787", Token: agent.NewSecret("composer-x"), Models: []setup.Model{{ID: "composer-2.5"}}, Program: program}
		plan := newBox(t).setUp(t, "copilot", g)
		if len(plan.Steps) == 0 || !strings.Contains(plan.Steps[0], want) {
			t.Errorf("%q: %v; want %s", program, plan.Steps, want)
		}
	}
}

// No token is shown, not even one that the change takes out of a file.
func TestADiffShowsNoToken(t *testing.T) {
	other := "composer-" + strings.Repeat("o", 43)
	for name, to := range map[string]*setup.Gateway{
		"another token":     {Root: "http://127.0.0.1:8787", Token: agent.NewSecret("composer-" + strings.Repeat("n", 43)), Models: models},
		"a gateway outside": {Root: "https://ai.example", Models: models},
	} {
		b := newBox(t)
		b.setUp(t, "codex", &setup.Gateway{Root: "http://127.0.0.1:8787", Token: agent.NewSecret(other), Models: models})
		plan := b.setUp(t, "codex", to)
		if diff := plan.Diff(); !strings.Contains(diff, "composer-…") || strings.Contains(diff, strings.Repeat("o", 43)) || strings.Contains(diff, strings.Repeat("n", 43)) {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
