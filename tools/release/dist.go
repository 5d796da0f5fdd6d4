package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A platform is a system that there is a program for, as each of those who carry it calls it. A new one is a row here and a
// target in .goreleaser.yaml.
type platform struct {
	os, arch string // Go's words
	npmOS    string // Node's process.platform
	npmArch  string // Node's process.arch
	wheel    string // PyPI's tag
}

// platforms are all, in the order in which they are printed.
var platforms = []platform{
	// A static program runs on every Linux: with glibc (manylinux) and with musl.
	{"linux", "amd64", "linux", "x64", "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64"},
	{"linux", "arm64", "linux", "arm64", "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64"},
	{"darwin", "amd64", "darwin", "x64", "macosx_12_0_x86_64"}, // the oldest macOS that Go 1.26 supports
	{"darwin", "arm64", "darwin", "arm64", "macosx_12_0_arm64"},
	{"windows", "amd64", "win32", "x64", "win_amd64"},
	{"windows", "arm64", "win32", "arm64", "win_arm64"},
}

// program is the name of the program's file.
func (p platform) program() string {
	if p.os == "windows" {
		return "composer-api.exe"
	}
	return "composer-api"
}

// file is the name of a file of the release for this platform, with its ending: ".deb".
func (p platform) file(version, ending string) string {
	return "composer-api_" + version + "_" + p.os + "_" + p.arch + ending
}

// archive is the name of the platform's archive.
func (p platform) archive(version string) string {
	if p.os == "windows" {
		return p.file(version, ".zip")
	}
	return p.file(version, ".tar.gz")
}

// A dist is a folder that GoReleaser has filled.
type dist struct {
	dir     string
	version string            // without a v
	sums    map[string]string // SHA-256 in hexadecimal, by the name of a file
}

// openDist reads the checksums, and finds the version in the names of the archives.
func openDist(dir string) (*dist, error) {
	text, err := os.ReadFile(filepath.Join(dir, "checksums.txt"))
	if err != nil {
		return nil, err
	}
	d := &dist{dir: dir, sums: map[string]string{}}
	// In the form of sha256sum: the sum, two blanks, the name.
	for line := range strings.Lines(string(text)) {
		sum, file, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			return nil, fmt.Errorf("%q is no line of checksums", line)
		}
		d.sums[file] = sum
		for _, p := range platforms {
			if version, begins := strings.CutPrefix(file, "composer-api_"); begins {
				if version, ends := strings.CutSuffix(version, strings.TrimPrefix(p.archive(""), "composer-api_")); ends {
					// All archives are of one version: GoReleaser makes them in one run.
					d.version = version
				}
			}
		}
	}
	if d.version == "" {
		return nil, errors.New("checksums.txt names no archive")
	}
	return d, nil
}

// has lists the platforms whose archive is there: a snapshot may have a part of them.
func (d *dist) has() (list []platform) {
	for _, p := range platforms {
		if d.sums[p.archive(d.version)] != "" {
			list = append(list, p)
		}
	}
	return list
}

// path is that of a file of the dist.
func (d *dist) path(file string) string { return filepath.Join(d.dir, file) }

// verified is the content of a file whose checksum is right.
func (d *dist) verified(file string) ([]byte, error) {
	data, err := os.ReadFile(d.path(file))
	if err != nil {
		return nil, err
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(data)); sum != d.sums[file] {
		return nil, fmt.Errorf("%s has the checksum %s, and checksums.txt says %s", file, sum, d.sums[file])
	}
	return data, nil
}

// A member is a file in an archive.
type member struct {
	// data is the whole content, and mode what it is unpacked with.
	data []byte
	mode os.FileMode
}

// unpack reads the archive of a platform.
func (d *dist) unpack(p platform) (map[string]member, error) {
	data, err := d.verified(p.archive(d.version))
	if err != nil {
		return nil, err
	}
	if p.os == "windows" {
		return unzip(data)
	}
	// It reads several gzip streams, one behind the other, as one.
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return untar(plain)
}

// untar reads a tar archive into memory. Folders and links are left out.
func untar(in io.Reader) (map[string]member, error) {
	members := map[string]member{}
	files := tar.NewReader(in)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return members, nil
		}
		if err != nil {
			return nil, err
		}
		// Without a bound: these are our own files, whose checksums were compared.
		data, err := io.ReadAll(files)
		if err != nil {
			return nil, err
		}
		// A program that came as a link would be missing afterwards, and is told as that.
		if header.Typeflag == tar.TypeReg {
			members[header.Name] = member{data, header.FileInfo().Mode()}
		}
	}
}

// unzip does the same with a zip file.
func unzip(data []byte) (map[string]member, error) {
	files, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	members := map[string]member{}
	for _, file := range files.File {
		in, err := file.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(in)
		if err := errors.Join(err, in.Close()); err != nil {
			return nil, err
		}
		members[file.Name] = member{data, file.Mode()}
	}
	return members, nil
}

// program is the platform's program, with the licence that goes wherever it goes.
func (d *dist) program(p platform) (program, licence []byte, err error) {
	members, err := d.unpack(p)
	if err != nil {
		return nil, nil, err
	}
	program, licence = members[p.program()].data, members["LICENSE"].data
	if program == nil || licence == nil {
		return nil, nil, fmt.Errorf("%s has no program, or no licence", p.archive(d.version))
	}
	return program, licence, nil
}
