package upgrade

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"composer-api/internal/upgrade/upgradetest"
)

// A machine is a folder with a program in it. A program here is a file with its version as text, which Ask reads: it "runs".
type machine struct {
	*Upgrader
	t   *testing.T
	dir string
}

// newMachine has the program v1.0.0, and looks for releases at r.
func newMachine(t *testing.T, r *upgradetest.Releases, goos string) *machine {
	dir := t.TempDir()
	program := filepath.Join(dir, "composer-api")
	if goos == windows {
		program += ".exe"
	}
	if err := os.WriteFile(program, []byte("v1.0.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &machine{t: t, dir: dir, Upgrader: &Upgrader{
		Releases: r.URL, Key: r.Key, Version: "v1.0.0", Program: program, OS: goos, Arch: "amd64", HTTP: http.DefaultClient,
		Ask: func(_ context.Context, program string) (string, error) {
			text, err := os.ReadFile(program)
			if err == nil && !strings.HasPrefix(string(text), "v") {
				err = errors.New("exec format error")
			}
			return string(text), err
		},
	}}
}

// upgrade installs the newest release.
func (m *machine) upgrade() error {
	newest, err := m.Newest(m.t.Context())
	if err != nil {
		return err
	}
	return m.Install(m.t.Context(), newest)
}

// wants fails unless the folder has these files and no other; a file is "name version".
func (m *machine) wants(files ...string) {
	m.t.Helper()
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	var there []string
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(m.dir, entry.Name()))
		if err != nil {
			m.t.Fatal(err)
		}
		there = append(there, entry.Name()+" "+string(text))
	}
	if !slices.Equal(there, files) {
		m.t.Errorf("the folder has %q instead of %q", there, files)
	}
}

func TestUpgradeAndBack(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", windows} {
		t.Run(goos, func(t *testing.T) {
			r := upgradetest.Start(t)
			r.Publish("v1.1.0", "v1.1.0")
			m := newMachine(t, r, goos)
			ending := filepath.Ext(m.Program)
			if err := m.upgrade(); err != nil {
				t.Fatal(err)
			}
			m.wants("composer-api"+ending+" v1.1.0", "composer-api.previous"+ending+" v1.0.0")
			if info, err := os.Stat(m.Program); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("the program's mode: %v, %v", info, err)
			}

			for _, back := range []string{"v1.0.0", "v1.1.0"} { // and forth
				got, err := m.Rollback(t.Context())
				if err != nil || got != back {
					t.Fatalf("rolled back to %q, %v, instead of %s", got, err, back)
				}
			}
			m.wants("composer-api"+ending+" v1.1.0", "composer-api.previous"+ending+" v1.0.0")

			// The one before the last is given up.
			r.Publish("v1.2.0", "v1.2.0")
			if err := m.upgrade(); err != nil {
				t.Fatal(err)
			}
			m.wants("composer-api"+ending+" v1.2.0", "composer-api.previous"+ending+" v1.1.0")
		})
	}
}

// TestNothingUnsignedIsInstalled has everything that a server, or somebody on the way to it, can do wrong. The program stays.
func TestNothingUnsignedIsInstalled(t *testing.T) {
	const archive = "_linux_amd64.tar.gz"
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, r *upgradetest.Releases, m *machine)
		want  string
	}{
		{"another program", func(_ *testing.T, r *upgradetest.Releases, _ *machine) { r.Change(archive, []byte("evil")) }, "is not the file that was signed"},
		{"checksums that nobody signed", func(_ *testing.T, r *upgradetest.Releases, _ *machine) {
			r.Change("/checksums.txt", []byte(strings.Repeat("0", 64)+"  composer-api_9.0.0"+archive+"\n"))
		}, "signature of the release's checksums is wrong"},
		{"somebody else's signature", func(t *testing.T, r *upgradetest.Releases, m *machine) { m.Key = upgradetest.Start(t).Key }, "signature of the release's checksums is wrong"},
		{"a signature that is none", func(_ *testing.T, r *upgradetest.Releases, _ *machine) { r.Change(".minisig", []byte("<html>")) }, "signature of the release's checksums is wrong"},
		{"a torn archive", func(_ *testing.T, r *upgradetest.Releases, _ *machine) { r.Tear(archive) }, "ended after"},
		{"torn checksums", func(_ *testing.T, r *upgradetest.Releases, _ *machine) { r.Tear("/checksums.txt") }, "ended after"},
		{"no key", func(_ *testing.T, _ *upgradetest.Releases, m *machine) { m.Key = "" }, "no key to verify releases with"},
		{"no program for this machine", func(_ *testing.T, _ *upgradetest.Releases, m *machine) { m.Arch = "riscv64" }, "no program for linux on riscv64"},
		{"checksums that are none", func(_ *testing.T, r *upgradetest.Releases, _ *machine) { r.Sign("sum\n") }, "no line of checksums"},
		{"no release", func(_ *testing.T, _ *upgradetest.Releases, m *machine) { m.Releases += "/elsewhere" }, "is not there"},
		{"a program that does not run", func(_ *testing.T, r *upgradetest.Releases, _ *machine) { r.Publish("v1.1.0", "\x7fELF") }, "does not run here"},
		{"a program of another version", func(_ *testing.T, r *upgradetest.Releases, _ *machine) { r.Publish("v1.1.0", "v1.0.9") }, "says that it is v1.0.9"},
		{"a server that is away", func(_ *testing.T, _ *upgradetest.Releases, m *machine) { m.Releases = "http://127.0.0.1:1" }, "can't get"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := upgradetest.Start(t)
			r.Publish("v1.1.0", "v1.1.0")
			m := newMachine(t, r, "linux")
			test.spoil(t, r, m)
			err := m.upgrade()
			var known *Error
			if !errors.As(err, &known) || known.Hint == "" || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%#v instead of an error with %q and a hint", err, test.want)
			}
			m.wants("composer-api v1.0.0")
		})
	}
}

func TestAnOldReleaseIsNotNewer(t *testing.T) {
	for _, test := range []struct {
		this, release string
		newer         bool
	}{
		{"v1.0.0", "v1.0.1", true}, {"v1.0.1", "v1.0.1", false}, {"v1.10.0", "v1.9.0", false}, {"v1.0.0-rc.1", "v1.0.0", true},
		{"(devel)", "v1.0.0", true}, {"v1.0.1-3-g0123456-dirty", "v1.0.0", false},
	} {
		u := &Upgrader{Version: test.this}
		if got := u.Newer(&Release{Version: test.release}); got != test.newer {
			t.Errorf("for %s, that %s is newer is %v", test.this, test.release, got)
		}
	}
}

func TestAFolderThatCantBeWritten(t *testing.T) {
	r := upgradetest.Start(t)
	r.Publish("v1.1.0", "v1.1.0")
	m := newMachine(t, r, "linux")
	newest, err := m.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Change(".tar.gz", nil) // whoever may not write there learns it before anything is downloaded
	if err := os.Chmod(m.dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(m.dir, 0o700) })
	if file, err := os.Create(filepath.Join(m.dir, "try")); err == nil {
		file.Close()
		t.Skip("this user may write everywhere")
	}
	var known *Error
	if err := m.Install(t.Context(), newest); !errors.As(err, &known) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(known.Hint, "sudo") {
		t.Errorf("%v with the hint %q", err, known.Hint)
	}
	m.wants("composer-api v1.0.0")
}

// windowsNames has the rules of Windows for files that run: they can be renamed, and neither deleted nor overwritten. Nothing
// overwrites a file by a second name.
type windowsNames struct {
	system
	running map[string]bool // by name; a renamed file runs on
}

func (w *windowsNames) Link(old, fresh string) error {
	return &os.LinkError{Op: "link", Old: old, New: fresh, Err: errors.ErrUnsupported}
}

func (w *windowsNames) Rename(old, fresh string) error {
	if w.running[fresh] {
		return &os.LinkError{Op: "rename", Old: old, New: fresh, Err: fs.ErrPermission}
	}
	if err := w.system.Rename(old, fresh); err != nil {
		return err
	}
	w.running[fresh] = w.running[old]
	delete(w.running, old)
	return nil
}

func (w *windowsNames) Remove(file string) error {
	if w.running[file] {
		return &fs.PathError{Op: "remove", Path: file, Err: fs.ErrPermission}
	}
	return w.system.Remove(file)
}

// TestProgramsThatRunOnWindows upgrades while gateways of older versions run.
func TestProgramsThatRunOnWindows(t *testing.T) {
	r := upgradetest.Start(t)
	m := newMachine(t, r, windows)
	disk := &windowsNames{running: map[string]bool{m.Program: true}}
	m.names = disk
	for _, version := range []string{"v1.1.0", "v1.2.0", "v1.3.0"} {
		r.Publish(version, version)
		if err := m.upgrade(); err != nil {
			t.Fatal(err)
		}
		disk.running[m.Program] = true // 'serve' of each version goes on
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil || len(entries) != 4 { // the program, the previous, and two that run and could not be deleted
		t.Errorf("%v, %v", entries, err)
	}
	if got, err := m.Rollback(t.Context()); err != nil || got != "v1.2.0" {
		t.Errorf("rolled back to %q, %v", got, err)
	}

	// When nothing runs any more, nothing stays.
	clear(disk.running)
	r.Publish("v1.4.0", "v1.4.0")
	if err := m.upgrade(); err != nil {
		t.Fatal(err)
	}
	m.wants("composer-api.exe v1.4.0", "composer-api.previous.exe v1.2.0")
}

func TestAnUpgradeThatFailsInTheMiddle(t *testing.T) {
	r := upgradetest.Start(t)
	r.Publish("v1.1.0", "v1.1.0")
	m := newMachine(t, r, windows)
	disk := &midwayNames{windowsNames{running: map[string]bool{}}, m.Program}
	m.names = disk
	if err := m.upgrade(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v", err)
	}
	m.wants("composer-api.exe v1.0.0")
}

// midwayNames refuses the new program its name, as a virus scanner that holds the new file does.
type midwayNames struct {
	windowsNames
	program string
}

func (n *midwayNames) Rename(old, fresh string) error {
	if fresh == n.program && strings.Contains(old, "composer-api.new-") {
		return &os.LinkError{Op: "rename", Old: old, New: fresh, Err: fs.ErrPermission}
	}
	return n.windowsNames.Rename(old, fresh)
}

func TestThereIsNothingToGoBackTo(t *testing.T) {
	m := newMachine(t, upgradetest.Start(t), "linux")
	if _, err := m.Rollback(t.Context()); err == nil || !strings.Contains(err.Error(), "no program to go back to") {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(m.previous(), []byte("\x7fELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Rollback(t.Context()); err == nil || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("%v", err)
	}
	m.wants("composer-api v1.0.0", "composer-api.previous \x7fELF")
}

func TestParseVersion(t *testing.T) {
	for printed, want := range map[string]string{
		"composer-api v1.2.3 (commit 0123456789ab of 2026-11-30, go1.26.8, linux/amd64)\n": "v1.2.3",
		"composer-api": "", "": "", "other v1.2.3": "",
	} {
		if got := ParseVersion(printed); got != want {
			t.Errorf("%q: %q", printed, got)
		}
	}
}

// FuzzParseRelease: whatever is signed, the file that is fetched has one plain name.
func FuzzParseRelease(f *testing.F) {
	sum := strings.Repeat("ab", 32)
	f.Add(sum + "  composer-api_1.2.3_linux_amd64.tar.gz\n" + sum + "  composer-api_1.2.3_linux_amd64.deb\n")
	f.Add(sum + "  composer-api_1.2.3_linux_amd64.tar.gz\r\n")
	f.Add(sum + "  ../composer-api_1.2.3_linux_amd64.tar.gz\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, checksums string) {
		r, err := parseRelease(checksums, "linux", "amd64")
		if err != nil {
			return
		}
		if strings.ContainsAny(r.archive, "/\\\n") || len(r.sums[r.archive]) != 64 || r.archive != "composer-api_"+strings.TrimPrefix(r.Version, "v")+"_linux_amd64.tar.gz" {
			t.Errorf("%+v", r)
		}
	})
}
