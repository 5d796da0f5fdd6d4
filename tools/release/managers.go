package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
)

// caskStep is one piece of a cask that we read: the checksum of the archive whose address follows it.
var caskStep = regexp.MustCompile(`(?s)sha256 "([0-9a-f]{64})"\s+url "([^"]+)"`)

// checkCask reads Homebrew's file: for each archive for macOS and Linux there is a checksum, and it is the archive's.
func checkCask(d *dist) error {
	text, err := os.ReadFile(d.path("homebrew/Casks/composer-api.rb"))
	if err != nil {
		return err
	}
	named := map[string]string{}
	for _, step := range caskStep.FindAllStringSubmatch(string(text), -1) {
		// Homebrew's file has the version once, and its addresses refer to it.
		named[strings.ReplaceAll(path.Base(step[2]), "#{version}", d.version)] = step[1]
	}
	return checkNamed(d, "Homebrew's file", named, func(p platform) bool { return p.os != "windows" })
}

// checkScoop reads Scoop's file in the same way.
func checkScoop(d *dist) error {
	text, err := os.ReadFile(d.path("scoop/composer-api.json"))
	if err != nil {
		return err
	}
	var manifest struct {
		Version      string
		Architecture map[string]struct{ URL, Hash string }
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return err
	}
	if manifest.Version != d.version {
		return fmt.Errorf("Scoop's file is for version %s", manifest.Version)
	}
	named := map[string]string{}
	for _, a := range manifest.Architecture {
		named[path.Base(a.URL)] = a.Hash
	}
	return checkNamed(d, "Scoop's file", named, func(p platform) bool { return p.os == "windows" })
}

// checkNamed compares the checksums that a file names, by archive, with ours. Each platform that it is for has to be named.
func checkNamed(d *dist, where string, named map[string]string, isFor func(platform) bool) error {
	n := 0
	for _, p := range d.has() {
		if !isFor(p) {
			continue
		}
		n++
		if file := p.archive(d.version); named[file] != d.sums[file] {
			return fmt.Errorf("%s names the checksum %q for %s, which has %s", where, named[file], file, d.sums[file])
		}
	}
	// More than ours would be a file that is not published.
	if len(named) != n {
		return fmt.Errorf("%s names %d archives, and there are %d for it", where, len(named), n)
	}
	return nil
}
