// Command release does what GoReleaser leaves to be done for a release, in the folder that it has filled (dist): signatures for
// 'composer-api upgrade', packages for npm and PyPI, and a look at everything that came out.
//
//	release key FILE           make a key: FILE gets the secret one, standard output the public one
//	release public             the public key of the secret one in RELEASE_SECRET
//	release sign FILE          sign FILE with RELEASE_SECRET, as FILE.minisig
//	release sbom PROGRAM FILE  what a program consists of, as CycloneDX
//	release notes VERSION      the section of CHANGELOG.md for a version
//	release npm DIST           DIST/npm, a folder for each package
//	release wheels DIST        DIST/wheels, a wheel for each system
//	release check DIST         verify, unpack, parse and run what is in DIST; RELEASE_KEY is the public key
//	release compare DIST DIST  fail unless both have the same files
//
// The files: sign.go, sbom.go, notes.go, dist.go (what is in a dist folder), npm.go, wheels.go, check.go with packages.go (deb, rpm, apk),
// managers.go (Homebrew, Scoop) and run.go (the program itself), compare.go.
package main

import (
	"fmt"
	"os"
)

// A subcommand takes a fixed number of arguments.
type subcommand struct {
	args int
	run  func(args []string) error
}

// commands are all, by the first argument.
var commands = map[string]subcommand{
	"key":     {1, func(args []string) error { return makeKey(args[0]) }},
	"public":  {0, func([]string) error { return printPublic() }},
	"sign":    {1, func(args []string) error { return sign(args[0]) }},
	"sbom":    {2, func(args []string) error { return makeSBOM(args[0], args[1]) }},
	"notes":   {1, func(args []string) error { return printNotes("CHANGELOG.md", args[0]) }},
	"npm":     {1, func(args []string) error { return makeNPM(args[0]) }},
	"wheels":  {1, func(args []string) error { return makeWheels(args[0]) }},
	"check":   {1, func(args []string) error { return check(args[0]) }},
	"compare": {2, func(args []string) error { return compare(args[0], args[1]) }},
}

func main() {
	// A fixed number of arguments and no flags: what may change comes in variables, which a workflow sets for all steps.
	if len(os.Args) < 2 || commands[os.Args[1]].run == nil || len(os.Args)-2 != commands[os.Args[1]].args {
		fmt.Fprintln(os.Stderr, "usage: release key FILE | public | sign FILE | sbom PROGRAM FILE | notes VERSION | npm DIST | wheels DIST | check DIST | compare DIST DIST")
		os.Exit(2)
	}
	if err := commands[os.Args[1]].run(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "release "+os.Args[1]+":", err)
		os.Exit(1)
	}
}
