package cli

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// These are set by the linker for a release: -X composer-api/internal/cli.version=v1.2.3, and so on. See the Makefile.
var (
	version string
	commit  string // its hash
	date    string // of the commit: 2026-11-30

	// Where 'upgrade' looks for releases, and the public key that it verifies them with. Only a release has a key.
	releases   string
	releaseKey string
)

// versionCmd prints the version and the platform.
type versionCmd struct{}

// Run prints the version, that of Go, and the platform, in one line.
func (versionCmd) Run(_ context.Context, p *process) error {
	_, err := fmt.Fprintln(p.stdout, versionLine())
	return err
}

// versionLine names the program, its version, the commit that it was built from, that of Go, and the platform:
//
//	composer-api v1.2.3 (commit 0123456789ab of 2026-11-30, go1.26.8, linux/amd64)
func versionLine() string {
	from := ""
	if c, d := builtFrom(debug.ReadBuildInfo()); c != "" {
		from = "commit " + c[:min(len(c), 12)] + " of " + d + ", "
	}
	return fmt.Sprintf("composer-api %s (%s%s, %s/%s)", buildVersion(), from, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// builtFrom says which commit is in the program, and of which day that is: what the linker was told, else what Go has recorded.
// It is "" when neither is known. The day is the commit's and not that of the build, so that two builds of it are the same.
func builtFrom(info *debug.BuildInfo, ok bool) (from, day string) {
	from, day = commit, date
	if from == "" && ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				from = s.Value
			case "vcs.time":
				day, _, _ = strings.Cut(s.Value, "T")
			}
		}
	}
	return from, day
}

// buildVersion is the release's version, else the version that Go has recorded for the build.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	// "(devel)" for a build from a working copy without version control.
	return cmp.Or(info.Main.Version, "unknown")
}
