package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

// makeSBOM writes what a Go program consists of: the modules that the linker has recorded in it, as CycloneDX. It has no time
// and no serial number, so that the same program has the same document.
func makeSBOM(program, out string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		BOMRef: "composer-api", Type: cyclonedx.ComponentTypeApplication, Name: "composer-api",
		Licenses: &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "MIT"}}},
	}}
	goVersion := strings.TrimPrefix(info.GoVersion, "go")
	components := []cyclonedx.Component{{
		BOMRef: "pkg:golang/std@" + goVersion, Type: cyclonedx.ComponentTypeLibrary, Name: "std", Version: goVersion, PackageURL: "pkg:golang/std@" + goVersion,
	}}
	for _, module := range info.Deps {
		// What was linked is the replacement.
		if module.Replace != nil {
			module = module.Replace
		}
		// A package URL, by which scanners look a module up. Source: the specification of purl, type golang.
		url := "pkg:golang/" + module.Path + "@" + module.Version
		components = append(components, cyclonedx.Component{
			BOMRef: url, Type: cyclonedx.ComponentTypeLibrary, Name: module.Path, Version: module.Version, PackageURL: url, Hashes: hashOf(module.Sum),
		})
	}
	bom.Components = &components
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	return errors.Join(cyclonedx.NewBOMEncoder(file, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom), file.Close())
}

// hashOf is a checksum of go.sum: "h1:" and the SHA-256 of the module's list of files, in base64.
func hashOf(sum string) *[]cyclonedx.Hash {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:"))
	if err != nil || len(raw) == 0 {
		// No checksum is no error: a module that is replaced by a folder has none.
		return nil
	}
	return &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(raw)}}
}
