package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/sassoftware/go-rpmutils"
	"pault.ag/go/debian/deb"
)

// What every package has, whichever kind it is.
var packaged = []string{
	"usr/bin/composer-api", "usr/lib/systemd/system/composer-api.service", "etc/composer-api.env", "usr/share/man/man1/composer-api.1.gz",
	"usr/share/bash-completion/completions/composer-api", "usr/share/zsh/site-functions/_composer-api", "usr/share/fish/vendor_completions.d/composer-api.fish",
	"usr/share/doc/composer-api/copyright",
}

// A pkg is what a package says of itself.
type pkg struct {
	name, arch string
	files      map[string]member // by path, without a slash at its beginning
}

// readers are the kinds of packages, by the ending of their files.
var readers = map[string]func([]byte) (*pkg, error){"deb": readDeb, "rpm": readRPM, "apk": readAPK}

// archOf is what a kind of package calls Go's amd64 and arm64.
var archOf = map[string]map[string]string{
	"deb": {"amd64": "amd64", "arm64": "arm64"},
	"rpm": {"amd64": "x86_64", "arm64": "aarch64"},
	"apk": {"amd64": "x86_64", "arm64": "aarch64"},
}

// checkPackages looks into the packages for Linux, each of which has the very program of the archive.
func checkPackages(d *dist, p platform, program []byte) error {
	// Each reader is somebody else's code, so that our packages are read by another program than has made them.
	for kind, read := range readers {
		file := p.file(d.version, "."+kind)
		data, err := d.verified(file)
		if err != nil {
			return err
		}
		got, err := read(data)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		// A wrong word for the processor would let a package manager refuse the package, or install a program that doesn't start.
		if got.name != "composer-api" || got.arch != archOf[kind][p.arch] {
			return fmt.Errorf("%s calls itself %s for %s", file, got.name, got.arch)
		}
		for _, name := range packaged {
			if len(got.files[name].data) == 0 {
				return fmt.Errorf("%s has no %s", file, name)
			}
		}
		// One build for all: what was tried in the archive is what the package installs.
		if !bytes.Equal(got.files["usr/bin/composer-api"].data, program) || got.files["usr/bin/composer-api"].mode.Perm() != 0o755 {
			return fmt.Errorf("%s has another program than the archive, or it can't be started", file)
		}
		if got.files["etc/composer-api.env"].mode.Perm() != 0o600 {
			return fmt.Errorf("%s: everybody could read the secrets in /etc/composer-api.env", file)
		}
		if unit := string(got.files["usr/lib/systemd/system/composer-api.service"].data); !strings.Contains(unit, "ExecStart=/usr/bin/composer-api serve\n") {
			return fmt.Errorf("%s: its unit starts another program:\n%s", file, unit)
		}
	}
	return nil
}

// readDeb reads Debian's form: an ar archive with two tar archives in it.
func readDeb(data []byte) (*pkg, error) {
	p, err := deb.Load(bytes.NewReader(data), "composer-api.deb")
	if err != nil {
		return nil, err
	}
	defer p.Close()
	out := &pkg{name: p.Control.Package, arch: p.Control.Architecture.String(), files: map[string]member{}}
	for {
		header, err := p.Data.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(p.Data)
		if err != nil {
			return nil, err
		}
		out.files[clean(header.Name)] = member{content, header.FileInfo().Mode()}
	}
}

// readRPM reads RPM's form: a header, and a cpio archive.
func readRPM(data []byte) (*pkg, error) {
	r, err := rpmutils.ReadRpm(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	nevra, err := r.Header.GetNEVRA()
	if err != nil {
		return nil, err
	}
	payload, err := r.PayloadReaderExtended()
	if err != nil {
		return nil, err
	}
	out := &pkg{name: nevra.Name, arch: nevra.Arch, files: map[string]member{}}
	for {
		info, err := payload.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(payload)
		if err != nil {
			return nil, err
		}
		// RPM's modes have the kind of file in them, too; only the permissions are of interest.
		out.files[clean(info.Name())] = member{content, os.FileMode(info.Mode() & 0o777)}
	}
}

// readAPK reads Alpine's form: gzip streams one behind the other, which together are one tar archive. The file .PKGINFO has
// lines "pkgname = composer-api".
func readAPK(data []byte) (*pkg, error) {
	// Signature, control file and content; the first is missing in a package that is not signed.
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	files, err := untar(plain)
	if err != nil {
		return nil, err
	}
	out := &pkg{files: map[string]member{}}
	for name, file := range files {
		out.files[clean(name)] = file
	}
	lines := bufio.NewScanner(bytes.NewReader(files[".PKGINFO"].data))
	for lines.Scan() {
		switch key, value, _ := strings.Cut(lines.Text(), " = "); key {
		case "pkgname":
			out.name = value
		case "arch":
			out.arch = value
		}
	}
	return out, lines.Err()
}

// clean is a path without the "./" or "/" that some archives begin theirs with.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }
