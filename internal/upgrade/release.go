package upgrade

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"aead.dev/minisign"
	"golang.org/x/mod/semver"
)

// name is the program's, and that with which the files of a release begin.
const name = "composer-api"

// windows is the system that has rules of its own for files that run.
const windows = "windows"

// A Release is what signed checksums say of one. Whoever has one knows that it is genuine.
type Release struct {
	// Version is that of its files: v1.2.3.
	Version string

	archive string            // the file that has the program for this machine
	sums    map[string]string // SHA-256 in hexadecimal, by the name of a file
}

// Newest asks for the newest release. The server could offer an old one for it, but nothing that was never signed: whoever goes
// by [Upgrader.Newer] never goes back.
func (u *Upgrader) Newest(ctx context.Context) (*Release, error) {
	// Before the network is used: without the key nothing that comes can be believed.
	var key minisign.PublicKey
	if err := key.UnmarshalText([]byte(u.Key)); err != nil {
		return nil, &Error{Problem: "this program has no key to verify releases with: it was not made by a release", Hint: "build it from its source, or put a release in place by hand"}
	}
	var checksums, signature bytes.Buffer
	if err := u.fetch(ctx, "/latest/download/checksums.txt", mostText, &checksums); err != nil {
		return nil, err
	}
	if err := u.fetch(ctx, "/latest/download/checksums.txt.minisig", mostText, &signature); err != nil {
		return nil, err
	}
	if !minisign.Verify(key, checksums.Bytes(), signature.Bytes()) {
		return nil, &Error{Problem: "the signature of the release's checksums is wrong: it was not made with the key of this program's releases", Hint: "nothing was changed; try again in some minutes, because a release may just be coming out, and if it stays so, report it"}
	}
	r, err := parseRelease(checksums.String(), u.OS, u.Arch)
	if err != nil {
		return nil, &Error{Problem: "the newest release can't be used", Hint: "build the program from its source, or report it", Cause: err}
	}
	return r, nil
}

// parseRelease reads checksums as sha256sum prints them, a line each:
//
//	9f86d081…  composer-api_1.2.3_linux_amd64.tar.gz
//
// The version is in the name of the file for this machine, of which there must be one.
func parseRelease(checksums, goos, goarch string) (*Release, error) {
	// The text is signed, so a line that makes no sense is a mistake of a release, and nobody's attack.
	r := &Release{sums: map[string]string{}}
	for line := range strings.Lines(checksums) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		sum, file, ok := strings.Cut(line, "  ")
		if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != 32 || file == "" || strings.ContainsAny(file, `/\`) {
			return nil, fmt.Errorf("%.80q is no line of checksums", line)
		}
		if _, twice := r.sums[file]; twice {
			return nil, fmt.Errorf("%q has two checksums", file)
		}
		r.sums[file] = strings.ToLower(sum)
		version, fits := archiveVersion(file, goos, goarch)
		switch {
		case !fits:
		case r.archive != "":
			return nil, fmt.Errorf("%q and %q are both for this machine", r.archive, file)
		default:
			r.archive, r.Version = file, version
		}
	}
	if r.archive == "" {
		return nil, fmt.Errorf("it has no program for %s on %s", goos, goarch)
	}
	return r, nil
}

// archiveVersion is the version in the name of an archive for a system.
func archiveVersion(file, goos, goarch string) (version string, ok bool) {
	ending := ".tar.gz"
	if goos == windows {
		ending = ".zip"
	}
	rest, begins := strings.CutPrefix(file, name+"_")
	version, ends := strings.CutSuffix(rest, "_"+goos+"_"+goarch+ending)
	version = "v" + version
	return version, begins && ends && semver.IsValid(version)
}

// packageFile is the name of the release's file for a package manager: deb, rpm or apk.
func (r *Release) packageFile(arch, kind string) string {
	return name + "_" + strings.TrimPrefix(r.Version, "v") + "_linux_" + arch + "." + kind
}
