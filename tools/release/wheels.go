package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// For PyPI there is a wheel for each system, with the program as a script: pip and uv put it into the environment's folder of
// programs as it is. There is no Python in it.

// wheelEpoch is the time of every file in a wheel: the first that a zip file can hold. So the same program makes the same wheel.
var wheelEpoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// makeWheels writes DIST/wheels.
func makeWheels(dir string) error {
	d, err := openDist(dir)
	if err != nil {
		return err
	}
	version, err := pythonVersion(d.version)
	if err != nil {
		return err
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	// Emptied first: a wheel of an earlier version would be uploaded with the others.
	out := filepath.Join(dir, "wheels")
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, p := range d.has() {
		program, licence, err := d.program(p)
		if err != nil {
			return err
		}
		data, err := wheel(version, p, program, licence, readme)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, "composer_api-"+version+"-py3-none-"+p.wheel+".whl"), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// prerelease is what stands behind the numbers of a version, in the forms that can be said in Python's.
var prerelease = regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+)(?:-(alpha|beta|rc)\.([0-9]+)|-snapshot\.(g[0-9a-z]+))?$`)

// pythonVersion says a version as PEP 440 wants it:
//
//	1.2.3                   1.2.3
//	1.2.3-rc.1              1.2.3rc1
//	1.2.3-snapshot.gabc     1.2.3.dev0+gabc
func pythonVersion(version string) (string, error) {
	parts := prerelease.FindStringSubmatch(version)
	switch {
	case parts == nil:
		return "", fmt.Errorf("PyPI has no word for the version %s: a prerelease is -alpha.N, -beta.N or -rc.N", version)
	case parts[4] != "":
		return parts[1] + ".dev0+" + parts[4], nil
	case parts[2] != "":
		return parts[1] + map[string]string{"alpha": "a", "beta": "b", "rc": "rc"}[parts[2]] + parts[3], nil
	}
	return parts[1], nil
}

// wheel is a zip file with a list of its files and their hashes, RECORD.
func wheel(version string, p platform, program, licence, readme []byte) ([]byte, error) {
	base := "composer_api-" + version
	var tags strings.Builder
	// A file name may have several tags with dots between; WHEEL has a line for each. Source: PEP 425 and PEP 427.
	for tag := range strings.SplitSeq(p.wheel, ".") {
		fmt.Fprintf(&tags, "Tag: py3-none-%s\n", tag)
	}
	metadata := "Metadata-Version: 2.4\nName: composer-api\nVersion: " + version + "\nSummary: " + description +
		"\nLicense-Expression: MIT\nLicense-File: LICENSE\nRequires-Python: >=3.8\nDescription-Content-Type: text/markdown\n\n" + string(readme)
	var out bytes.Buffer
	// RECORD has a line for each file: its name, its hash and its size. Source: PEP 376.
	var record strings.Builder
	files := zip.NewWriter(&out)
	add := func(name string, mode os.FileMode, data []byte) error {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: wheelEpoch}
		header.SetMode(mode)
		w, err := files.CreateHeader(header)
		if err != nil {
			return err
		}
		// In URL-safe base64 without "=", as PEP 427 wants it.
		sum := sha256.Sum256(data)
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", name, base64.RawURLEncoding.EncodeToString(sum[:]), len(data))
		_, err = w.Write(data)
		return err
	}
	for _, f := range []struct {
		name string
		mode os.FileMode
		data []byte
	}{
		// What lies in data/scripts comes into the environment's folder of programs.
		{base + ".data/scripts/" + p.program(), 0o755, program},
		{base + ".dist-info/METADATA", 0o644, []byte(metadata)},
		{base + ".dist-info/WHEEL", 0o644, []byte("Wheel-Version: 1.0\nGenerator: composer-api\nRoot-Is-Purelib: false\n" + tags.String())},
		{base + ".dist-info/licenses/LICENSE", 0o644, licence},
	} {
		if err := add(f.name, f.mode, f.data); err != nil {
			return nil, err
		}
	}
	// Its own line has no hash.
	list := base + ".dist-info/RECORD"
	if err := add(list, 0o644, []byte(record.String()+list+",,\n")); err != nil {
		return nil, err
	}
	// The list of what is in the zip file comes at its end.
	if err := files.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
