package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"composer-api/internal/upgrade/upgradetest"
)

// installedProgram puts the stand-in for composer-api into a folder, as v1.0.0 of a release at r. The function types a command,
// and returns what came on both streams.
func installedProgram(t *testing.T, r *upgradetest.Releases) (program string, run func(env string, args ...string) (string, error)) {
	if runtime.GOOS == "windows" {
		t.Skip("the newer program is a shell script")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program = filepath.Join(dir, "composer-api")
	// A second name is enough, because an upgrade changes names only.
	if err := os.Link(self, program); err != nil {
		data, err := os.ReadFile(self)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(program, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return program, func(env string, args ...string) (string, error) {
		command := exec.CommandContext(t.Context(), program, args...)
		command.Dir = dir
		command.Env = []string{builtAs + "=v1.0.0 " + r.URL + " " + r.Key, "HOME=" + dir, env}
		out, err := command.CombinedOutput()
		return string(out), err
	}
}

// newProgram is one that knows its version and nothing else.
func newProgram(version string) string {
	return "#!/bin/sh\necho 'composer-api " + version + " (commit 0123456789ab of 2026-11-30, go1.26.8, linux/amd64)'\n"
}

func TestUpgrade(t *testing.T) {
	r := upgradetest.Start(t)
	r.Publish("v1.0.0", newProgram("v1.0.0"))
	program, run := installedProgram(t, r)

	says := func(want string, fails bool, env string, args ...string) {
		t.Helper()
		out, err := run(env, args...)
		if (err != nil) != fails || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s\nwithout %q", args, err, out, want)
		}
	}
	says("this is v1.0.0, and the newest release is v1.0.0", false, "", "upgrade")
	says("no program to go back to", true, "", "upgrade", "--rollback")
	r.Publish("v1.1.0", newProgram("v1.1.0"))
	says("v1.1.0 is the newest release: composer-api upgrade", false, "", "upgrade", "--check")
	says("can't be used together", true, "", "upgrade", "--check", "--rollback")

	// A package manager that knows the file.
	fake := t.TempDir()
	if err := os.WriteFile(filepath.Join(fake, "dpkg-query"), []byte("#!/bin/sh\n[ \"$1\" = --search ]\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	says("belongs to dpkg, which would not know of the new program\nhint: curl -LO "+r.URL+"/download/v1.1.0/composer-api_1.1.0_linux_", true, "PATH="+fake+":/usr/bin:/bin", "upgrade")
	says("_linux_"+runtime.GOARCH+".deb", false, "PATH="+fake+":/usr/bin:/bin", "upgrade", "--check")

	says("v1.1.0 is in place; 'composer-api upgrade --rollback' puts v1.0.0 back", false, "", "upgrade")
	says("composer-api v1.1.0", false, "", "version")

	// The new program is a script here, and goes back for nobody: the two change places by hand, and then by the old one.
	for _, names := range [][2]string{{"", ".aside"}, {".previous", ""}, {".aside", ".previous"}} {
		if err := os.Rename(program+names[0], program+names[1]); err != nil {
			t.Fatal(err)
		}
	}
	says("composer-api v1.0.0", false, "", "version")
	says("v1.1.0 is back; 'composer-api upgrade --rollback' takes that back, too", false, "", "upgrade", "--rollback")
	says("composer-api v1.1.0", false, "", "version")
}

func TestUpgradeOfAProgramThatNoReleaseMade(t *testing.T) {
	r := upgradetest.Start(t)
	r.Publish("v1.1.0", newProgram("v1.1.0"))
	_, run := installedProgram(t, r)
	for variables, want := range map[string]string{
		builtAs + "=unknown  ":              "does not know where its releases are",
		builtAs + "=unknown " + r.URL + " ": "has no key to verify releases with",
	} {
		if out, err := run(variables, "upgrade"); err == nil || !strings.Contains(out, want) || !strings.Contains(out, "\nhint: ") {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
