package cli

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker for a release: -X composer-api/internal/cli.version=v1.2.3. See the Makefile.
var version string

// versionCmd prints the version and the platform.
type versionCmd struct{}

// Run prints the version, that of Go, and the platform, in one line.
func (versionCmd) Run(_ context.Context, p *process) error {
	_, err := fmt.Fprintln(p.stdout, versionLine())
	return err
}

// versionLine names the program, its version, that of Go, and the platform.
func versionLine() string {
	return fmt.Sprintf("composer-api %s (%s, %s/%s)", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
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
