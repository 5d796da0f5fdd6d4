package main

import (
	"fmt"
	"os"
	"strings"
)

// printNotes prints the section of a changelog for a version, without its heading: what GitHub shows as the notes of the release.
func printNotes(changelog, version string) error {
	text, err := os.ReadFile(changelog)
	if err != nil {
		return err
	}
	notes := section(string(text), strings.TrimPrefix(version, "v"))
	// Also an empty section is none: a release without notes was most likely forgotten.
	if notes == "" {
		return fmt.Errorf("%s has no section \"## %s\": the changes of a version are written before it is tagged", changelog, strings.TrimPrefix(version, "v"))
	}
	fmt.Println(notes)
	return nil
}

// section is what stands below the heading of a version: "## 1.2.3", with more behind it or not ("## 1.2.3, 2026-11-30").
func section(text, version string) string {
	var lines []string
	inside := false
	for line := range strings.Lines(text) {
		if heading, is := strings.CutPrefix(line, "## "); is {
			// "1.2" must not find "1.2.3": something else than a digit or a dot has to follow.
			rest, begins := strings.CutPrefix(heading, version)
			inside = begins && strings.TrimLeft(rest, " ,\n") != rest
			// The next heading of this kind ends the section.
			continue
		}
		if inside {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, ""))
}
