package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// compare fails unless two dist folders, which were built in different places, have the same files with the same bytes: those
// that are published, and the packages for npm and PyPI. Signatures are not among them: the key is another each time.
func compare(one, other string) error {
	var lists [2][]string
	for i, dir := range []string{one, other} {
		d, err := openDist(dir)
		if err != nil {
			return err
		}
		// The order of a map is another each time; the list is sorted below.
		for file := range d.sums {
			lists[i] = append(lists[i], file)
		}
		// What has no checksum, because it is not published as it is.
		for _, pattern := range []string{"checksums.txt", "homebrew/Casks/*", "scoop/*", "wheels/*", "npm/*/*"} {
			found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
			if err != nil {
				return err
			}
			for _, path := range found {
				// Folders, as those of npm's packages, have no bytes of their own.
				if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
					name, err := filepath.Rel(dir, path)
					if err != nil {
						return err
					}
					lists[i] = append(lists[i], name)
				}
			}
		}
		slices.Sort(lists[i])
	}
	// Names first: a file that only one has can't be compared.
	if !slices.Equal(lists[0], lists[1]) {
		return fmt.Errorf("one has %q, the other %q", lists[0], lists[1])
	}
	var differ []string
	for _, name := range lists[0] {
		a, err := os.ReadFile(filepath.Join(one, name))
		if err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			return err
		}
		if !slices.Equal(a, b) {
			differ = append(differ, name)
		}
	}
	// All of them are named: which files differ says what has not been reproduced.
	if len(differ) > 0 {
		return fmt.Errorf("%d of %d files are not the same in both: %s", len(differ), len(lists[0]), strings.Join(differ, ", "))
	}
	fmt.Printf("%d files are the same in both\n", len(lists[0]))
	return nil
}
