package bridgeinstall

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// writeWheel writes a package with files by name.
func writeWheel(t *testing.T, files map[string]string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "cursor_sdk-9-py3-none-any.whl")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestOnlyTheBridgeIsUnpacked(t *testing.T) {
	file := writeWheel(t, map[string]string{
		inWheel + marker:             "js",
		inWheel + "bin/node":         "node",
		inWheel + "../../../evil":    "x",
		"cursor_sdk/__init__.py":     "py",
		"../" + inWheel + "evil":     "x",
		inWheel + "manifest.json":    `{"sdkVersion":"9.9.9"}`,
		inWheel + "node_modules/a/b": "b",
	})
	dir := filepath.Join(t.TempDir(), "bridge")
	if _, err := unpack(t.Context(), file, dir); err != nil {
		t.Fatal(err)
	}
	var names []string
	filepath.Walk(dir, func(path string, info os.FileInfo, _ error) error {
		if !info.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if got, want := strings.Join(names, " "), "bin/node dist/bin/cursor-sdk-bridge.js manifest.json node_modules/a/b"; got != want {
		t.Errorf("unpacked %s, want %s", got, want)
	}
	if info, err := os.Stat(filepath.Join(dir, "bin/node")); err != nil || info.Mode()&0o100 == 0 && runtime.GOOS != "windows" {
		t.Errorf("node can't be run: %v", err)
	}
	b, err := At(dir)
	if err != nil || b.Version != "9.9.9" {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestAnotherPackageIsRefused(t *testing.T) {
	file := writeWheel(t, map[string]string{"a": "b"})
	if err := check(file, strings.Repeat("0", 64)); err == nil || !strings.Contains(err.Error(), "nothing was installed") {
		t.Errorf("got %v", err)
	}
}

func TestUnknownVersionsAndPlatformsAreNamed(t *testing.T) {
	for _, tc := range []struct {
		version, goos, goarch string
		musl                  bool
		want                  string
	}{
		{"0.0.1", "linux", "amd64", false, "known: 1.1.0"},
		{DefaultVersion, "plan9", "mips", false, "no bridge of Cursor's for plan9/mips"},
		{DefaultVersion, "linux", "amd64", true, "musl"},
		{DefaultVersion, "linux", "amd64", false, ""},
	} {
		_, err := wheelFor(wheels, tc.version, tc.goos, tc.goarch, tc.musl)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

// fake makes a folder that looks like a bridge.
func fake(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(marker))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFindInstallAndRemove(t *testing.T) {
	var out bytes.Buffer
	i := &Installer{Dir: filepath.Join(t.TempDir(), "bridge"), Out: &out}
	if _, ok := i.Find(""); ok {
		t.Error("found one where there is none")
	}
	venv := t.TempDir()
	inVenv := filepath.Join(venv, "lib", "python3.11", "site-packages", "cursor_sdk", "_vendor", "bridge")
	fake(t, inVenv)
	if b, ok := i.Find(venv); !ok || b.Dir != inVenv || b.Ours {
		t.Errorf("in a Python environment: %+v, %v", b, ok)
	}
	ours := filepath.Join(i.Dir, DefaultVersion)
	fake(t, ours)
	if b, ok := i.Find(venv); !ok || b.Dir != ours || !b.Ours {
		t.Errorf("installed: %+v, %v", b, ok)
	}
	if b, err := i.Install(t.Context(), DefaultVersion); err != nil || b.Dir != ours || !strings.Contains(out.String(), "already") {
		t.Errorf("installed again: %+v, %v, %q", b, err, out.String())
	}
	os.Mkdir(filepath.Join(i.Dir, partialPrefix+"1"), 0o700)
	os.Mkdir(filepath.Join(i.Dir, "notes"), 0o700)
	if removed, err := i.Remove(); err != nil || len(removed) != 1 {
		t.Errorf("removed %v, %v", removed, err)
	}
	if left := list(t, i.Dir); left != "lock notes" {
		t.Errorf("left: %v", left)
	}
}

// list names what is in a folder.
func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}
