package bridgeinstall

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// DefaultVersion is the version that is installed when nobody asks for another.
const DefaultVersion = "1.1.0"

// A wheel is the package for one platform.
type wheel struct {
	// sha256 is in hex digits, as PyPI publishes it. A file with another one is not unpacked.
	sha256 string
	size   int64 // about, in bytes; it is told, and not checked
}

// wheels lists the versions of cursor-sdk that are known to work, with what PyPI has for each platform (GOOS/GOARCH).
// To add a version: get its wheels with pip, try the tests with them, and add their SHA-256 here. There is none for
// systems with musl, such as Alpine.
var wheels = map[string]map[string]wheel{
	"1.1.0": {
		"linux/amd64":   {"c8b7296476e6706ef1530f19b822adb89191a49202147331a56a0592e969686c", 59_300_000},
		"linux/arm64":   {"c78342a9f79411dcff1d5ef1396c648edd47f4edc72ddca4165ffdd15ed1a87c", 59_300_000},
		"darwin/arm64":  {"d0c64423114db76bc9fabd957b0aed9c8c1b06211fe880e66be5898c13fc90d4", 59_300_000},
		"darwin/amd64":  {"49f8bfb882851931ac59b5cf842a546b840d7ad588ec03c12b3e089b49ae020c", 59_300_000},
		"windows/amd64": {"ebd34f777e3b94b37741666248cff485162bb2ece10d9d9ce56620879d056dcd", 59_300_000},
	},
}

// versions lists the known versions, the newest last.
func versions() []string {
	var all []string
	for version := range wheels {
		all = append(all, version)
	}
	slices.Sort(all) // by text, which is enough as long as no part has two digits
	return all
}

// wheelFor is the package of a version for this system.
func (i *Installer) wheelFor(version string) (wheel, error) {
	known := i.known
	if known == nil {
		known = wheels
	}
	return wheelFor(known, version, runtime.GOOS, runtime.GOARCH, musl())
}

// wheelFor is the method for any system, so that tests can ask for others. Errors are for the user.
func wheelFor(known map[string]map[string]wheel, version, goos, goarch string, musl bool) (wheel, error) {
	platforms, ok := known[version]
	if !ok {
		return wheel{}, fmt.Errorf("version %s of Cursor's bridge is not known here; known: %s", version, strings.Join(versions(), ", "))
	}
	w, ok := platforms[goos+"/"+goarch]
	switch {
	case !ok:
		return wheel{}, fmt.Errorf("there is no bridge of Cursor's for %s/%s", goos, goarch)
	case musl:
		return wheel{}, errors.New("there is no bridge of Cursor's for systems with musl, such as Alpine; use one with glibc, such as Debian")
	}
	return w, nil
}

// musl reports whether this is a Linux with musl as its C library, and without glibc beside it.
//
// Cursor's bridge brings a Node that is linked with glibc.
func musl() bool {
	exists := func(pattern string) bool {
		found, err := filepath.Glob(pattern)
		return err == nil && len(found) > 0
	}
	return exists("/lib/ld-musl-*.so.1") && !exists("/lib*/ld-linux-*.so.*")
}
