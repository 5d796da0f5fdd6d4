package bridgechild

import (
	"fmt"
	"os"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsyscall "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Confinement names how children are confined here: "landlock", or "" when they can't be.
func Confinement() string {
	if version, err := llsyscall.LandlockGetABIVersion(); err != nil || version < 1 {
		return ""
	}
	return "landlock"
}

// runConfined restricts this process by rules, for good, and becomes argv. It returns only if that fails. Landlock also
// sets no_new_privs, so no program that it starts gains rights.
func runConfined(rules accessRules, argv []string) error {
	err := landlock.V5.BestEffort().RestrictPaths(
		landlock.RODirs(existing(rules.Read, true)...).IgnoreIfMissing(),
		landlock.RWDirs(existing(rules.Write, true)...).IgnoreIfMissing(),
		landlock.RWFiles(existing(rules.Write, false)...).IgnoreIfMissing(),
	)
	if err != nil {
		return fmt.Errorf("the bridge can't be confined: %w", err)
	}
	return syscall.Exec(argv[0], argv, os.Environ())
}

// existing are the paths that exist, folders or else files.
func existing(paths []string, folders bool) []string {
	var found []string
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() == folders {
			found = append(found, path)
		}
	}
	return found
}
