package bridgechild

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// What a bridge may touch, and how it comes to that: the gateway starts itself once more with
// the rules as arguments (launcher), and that process restricts itself and becomes the bridge
// (ConfinedMain). A restriction can only be put on oneself, and can't be taken off again.

// accessRules say what a confined child may touch. Everything else is refused by the kernel.
type accessRules struct {
	Read  []string // files and folders that may be read and executed
	Write []string // files and folders that may be read and written
}

// system is what a Node program needs of a Linux system: its libraries, its name resolution and what it reads about
// itself.
var system = []string{"/usr", "/lib", "/lib64", "/bin", "/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu", "/run/systemd/resolve"}

// settings is where the system's settings lie: certificates, name resolution, users. An ordinary user may read none of
// the secrets there; for root, who may, settingsForRoot names what is needed. (A file that is replaced by another one
// is lost to a process that is confined already, so the folder is better where it is harmless: laptops change their
// resolv.conf.)
const settings = "/etc"

// settingsForRoot are the files and folders of settings that a Node program needs, and that
// hold no secrets.
var settingsForRoot = []string{
	"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols",
	"/etc/passwd", "/etc/group", "/etc/localtime", "/etc/timezone", "/etc/os-release", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
	"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/tls/openssl.cnf", "/etc/pki/ca-trust", "/etc/crypto-policies",
	"/etc/alternatives",
}

// devices may be written as well.
var devices = []string{"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"}

// systemRules are what every child may touch of the system.
func systemRules() accessRules {
	rules := accessRules{Read: slices.Clone(system), Write: slices.Clone(devices)}
	if os.Geteuid() == 0 {
		rules.Read = append(rules.Read, settingsForRoot...)
	} else {
		rules.Read = append(rules.Read, settings)
	}
	return rules
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

// ConfinedMain restricts this process as args say, for good, and becomes the command in them:
// args are those that [launcher] has added. It returns only if that fails. It is called by
// internal/cli before anything else is set up.
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
