package main

import (
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
)

// For npm there is a package for each system, and one that depends on all of them optionally: npm installs the one that fits.
// So nothing is downloaded by a script at the time of installation, which many forbid.
//
//	composer-api                  bin/composer-api.js finds the program and runs it
//	@composer-api/linux-x64       the program for one system

// A npmPackage is the content of package.json, as far as we use it.
type npmPackage struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Description string            `json:"description"`
	License     string            `json:"license"`
	Repository  string            `json:"repository,omitempty"`
	Bin         map[string]string `json:"bin,omitempty"`
	Files       []string          `json:"files"`
	OS          []string          `json:"os,omitempty"`
	CPU         []string          `json:"cpu,omitempty"`
	Engines     map[string]string `json:"engines,omitempty"`
	// Yarn would keep the program in a zip file, from which nothing can be started.
	PreferUnplugged bool              `json:"preferUnplugged,omitempty"`
	Optional        map[string]string `json:"optionalDependencies,omitempty"`
}

// launcher is bin/composer-api.js of the main package.
//
//go:embed launcher.js
var launcher []byte

// description is what npm and PyPI show of the program.
const description = "Cursor's Composer models for OpenAI and Anthropic clients. Unofficial."

// npmName is the package for a platform.
func (p platform) npmName() string { return "@composer-api/" + p.npmOS + "-" + p.npmArch }

// makeNPM writes DIST/npm/composer-api and a folder for each platform beside it, ready for npm pack and npm publish.
func makeNPM(dir string) error {
	d, err := openDist(dir)
	if err != nil {
		return err
	}
	// It has no program: npm installs the one of optionalDependencies whose os and cpu fit.
	main := &npmPackage{
		Name: "composer-api", Version: d.version, Description: description, License: "MIT", Repository: os.Getenv("REPOSITORY"),
		Bin: map[string]string{"composer-api": "bin/composer-api.js"}, Files: []string{"bin"}, Engines: map[string]string{"node": ">=18"}, Optional: map[string]string{},
	}
	var licence []byte
	for _, p := range d.has() {
		program, text, err := d.program(p)
		if err != nil {
			return err
		}
		// It is the same in all archives.
		licence = text
		main.Optional[p.npmName()] = d.version // exactly: the two are of one release
		one := &npmPackage{
			Name: p.npmName(), Version: d.version, Description: "composer-api for " + p.npmOS + " on " + p.npmArch, License: "MIT", Repository: main.Repository,
			Files: []string{p.program()}, OS: []string{p.npmOS}, CPU: []string{p.npmArch}, PreferUnplugged: true,
		}
		if err := one.write(filepath.Join(dir, "npm", p.npmOS+"-"+p.npmArch), map[string]member{p.program(): {program, 0o755}, "LICENSE": {licence, 0o644}}); err != nil {
			return err
		}
	}
	// From the working directory, which is the root of the repository.
	readme, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	return main.write(filepath.Join(dir, "npm", "composer-api"), map[string]member{"bin/composer-api.js": {launcher, 0o755}, "README.md": {readme, 0o644}, "LICENSE": {licence, 0o644}})
}

// write makes the folder of a package. What was there is removed first.
func (p *npmPackage) write(dir string, files map[string]member) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	manifest, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	files["package.json"] = member{append(manifest, '\n'), 0o644}
	for name, file := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, file.data, file.mode); err != nil {
			return err
		}
	}
	return nil
}
