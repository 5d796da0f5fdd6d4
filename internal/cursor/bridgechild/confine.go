package bridgechild

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// accessRules say what a confined child may touch. Everything else is refused by the kernel.
type accessRules struct {
	Read  []string // files and folders that may be read and executed
	Write []string // files and folders that may be read and written
}

// system is what a Node program needs of a Linux system: its libraries, its certificates, its name resolution and what
// it reads about itself.
var system = []string{"/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu", "/run/systemd/resolve"}

// devices may be written as well.
var devices = []string{"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"}

// rulesFor lets a child run the bridge in dir with the private folder private.
func rulesFor(dir, private string) accessRules {
	return accessRules{Read: append(slices.Clone(system), dir), Write: append(slices.Clone(devices), private)}
}

// launcher is the command line that runs argv under rules. program begins the command line of a program that hands all
// further arguments to [ConfinedMain].
func launcher(program []string, rules accessRules, argv []string) []string {
	line := slices.Clone(program)
	for _, path := range rules.Read {
		line = append(line, "--read="+path)
	}
	for _, path := range rules.Write {
		line = append(line, "--write="+path)
	}
	return append(append(line, "--"), argv...)
}

// ConfinedMain restricts this process as args say, for good, and becomes the command in them: args are those that
// [launcher] has added. It returns only if that fails.
func ConfinedMain(args []string) error {
	var rules accessRules
	for i, arg := range args {
		name, path, _ := strings.Cut(arg, "=")
		switch name {
		case "--read":
			rules.Read = append(rules.Read, path)
		case "--write":
			rules.Write = append(rules.Write, path)
		case "--":
			if i+1 == len(args) {
				return errors.New("there is no command to run")
			}
			return runConfined(rules, args[i+1:])
		default:
			return fmt.Errorf("unknown argument %q", arg)
		}
	}
	return errors.New("there is no command to run")
}
