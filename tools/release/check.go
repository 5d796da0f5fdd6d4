package main

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// check looks at everything that is in a dist folder, as somebody would who has downloaded it. It prints what it has seen.
func check(dir string) error {
	d, err := openDist(dir)
	if err != nil {
		return err
	}
	// First, so that nothing is looked into whose bytes are not those that were signed.
	if err := checkSums(d); err != nil {
		return err
	}
	// At least one program must have been run. A dist that was only read is not checked.
	here := false
	for _, p := range d.has() {
		program, err := checkArchive(d, p)
		if err != nil {
			return err
		}
		if p.os == "linux" {
			if err := checkPackages(d, p, program); err != nil {
				return err
			}
			fmt.Printf("linux/%s: deb, rpm and apk have the program of the archive\n", p.arch)
		}
		if p.os == runtime.GOOS {
			if err := tryProgram(d, p, program); err != nil {
				return fmt.Errorf("%s: %w", p.archive(d.version), err)
			}
			here = here || p.arch == runtime.GOARCH
		}
	}
	if !here {
		return fmt.Errorf("there is no program for %s on %s, so none was run", runtime.GOOS, runtime.GOARCH)
	}
	// Every dist has Homebrew's file; Scoop's is for Windows alone.
	if err := checkCask(d); err != nil {
		return err
	}
	if slices.ContainsFunc(d.has(), func(p platform) bool { return p.os == "windows" }) {
		if err := checkScoop(d); err != nil {
			return err
		}
	}
	fmt.Println("the files for package managers name the right checksums")
	return nil
}

// checkSums compares every checksum, and verifies their signature.
func checkSums(d *dist) error {
	// Each file that is published has a line, so all of them are read.
	for file := range d.sums {
		if _, err := d.verified(file); err != nil {
			return err
		}
	}
	// What is published but has no checksum would not be signed.
	for _, p := range d.has() {
		want := []string{".sbom.json"}
		if p.os == "linux" {
			want = append(want, ".deb", ".rpm", ".apk")
		}
		for _, ending := range want {
			if file := p.file(d.version, ending); d.sums[file] == "" {
				return fmt.Errorf("checksums.txt has no line for %s", file)
			}
		}
	}
	sums, err := os.ReadFile(d.path("checksums.txt"))
	if err != nil {
		return err
	}
	signature, err := os.ReadFile(d.path("checksums.txt.minisig"))
	if err != nil {
		return err
	}
	var key minisign.PublicKey
	if err := key.UnmarshalText([]byte(os.Getenv(keyVariable))); err != nil {
		return fmt.Errorf("%s: %w", keyVariable, err)
	}
	// With the public key that is built into the programs: so 'composer-api upgrade' will verify it in the same way.
	if !minisign.Verify(key, sums, signature) {
		return errors.New("the signature of checksums.txt is wrong")
	}
	fmt.Printf("%s: %d checksums and their signature are right\n", d.version, len(d.sums))
	return nil
}

// keyVariable names the variable with the public key.
const keyVariable = "RELEASE_KEY"

// archived is what is in each archive beside the program.
var archived = []string{
	"README.md", "LICENSE", "CHANGELOG.md", "composer-api.1", "completions/composer-api.bash", "completions/_composer-api",
	"completions/composer-api.fish", "completions/composer-api.ps1",
}

// checkArchive unpacks the archive of a platform, and returns the program: it is one for that platform.
func checkArchive(d *dist, p platform) ([]byte, error) {
	file := p.archive(d.version)
	members, err := d.unpack(p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, name := range append([]string{p.program()}, archived...) {
		if len(members[name].data) == 0 {
			return nil, fmt.Errorf("%s has no %s", file, name)
		}
	}
	// Nothing else either: a file that was left in by mistake would be published.
	if len(members) != len(archived)+1 {
		return nil, fmt.Errorf("%s has %d files instead of %d", file, len(members), len(archived)+1)
	}
	// GoReleaser could pack the program of another platform, if its templates were wrong.
	program := members[p.program()]
	if machine, err := machineOf(program.data); err != nil || machine != p.os+" "+p.arch {
		return nil, fmt.Errorf("%s has a program for %q: %w", file, machine, err)
	}
	// A zip file made on Linux has modes, but Windows doesn't ask for them.
	if p.os != "windows" && program.mode.Perm() != fs.FileMode(0o755) {
		return nil, fmt.Errorf("%s has a program of mode %v", file, program.mode)
	}
	if err := checkSBOM(d, p); err != nil {
		return nil, err
	}
	fmt.Printf("%s/%s: the archive is whole: a program of %d MB in %d MB\n", p.os, p.arch, len(program.data)>>20, size(d, file)>>20)
	return program.data, nil
}

// size is a file's, in bytes; 0 when it isn't there. It is printed, and nothing depends on it.
func size(d *dist, file string) int64 {
	info, err := os.Stat(d.path(file))
	if err != nil {
		return 0
	}
	return info.Size()
}

// machineOf says by a program's own words which system it is for.
func machineOf(program []byte) (string, error) {
	r := bytes.NewReader(program)
	// A machine that is in none of the maps gives "", which fits no platform.
	if f, err := elf.NewFile(r); err == nil {
		return "linux " + map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[f.Machine], nil
	}
	if f, err := macho.NewFile(r); err == nil {
		return "darwin " + map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[f.Cpu], nil
	}
	f, err := pe.NewFile(r)
	if err != nil {
		return "", errors.New("it is no program")
	}
	return "windows " + map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64"}[f.Machine], nil
}

// checkSBOM reads the list of modules of a program.
func checkSBOM(d *dist, p platform) error {
	file := p.file(d.version, ".sbom.json")
	data, err := d.verified(file)
	if err != nil {
		return err
	}
	var bom struct {
		// Names fit without regard to case, so "bomFormat" and "purl" are read.
		BOMFormat  string
		Components []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal(data, &bom); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	// One module stands for all: a document that lists it was made of the program, and not of an empty folder.
	sqlite := false
	for _, c := range bom.Components {
		sqlite = sqlite || strings.HasPrefix(c.PURL, "pkg:golang/modernc.org/sqlite@v1.")
	}
	if bom.BOMFormat != "CycloneDX" || !sqlite {
		return fmt.Errorf("%s does not list what is in the program", file)
	}
	return nil
}
