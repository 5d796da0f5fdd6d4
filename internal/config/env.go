package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Where variables come from, and which of several sources counts: the environment before
// .dev.vars before .env. The command line, which counts before all of them, is kong's.

// files are read from the working directory. If both set a variable, the first file wins.
var files = []string{".dev.vars", ".env"}

// An Env is the variables, with the place where each was set. It is not changed after NewEnv.
// It holds secrets and must not be logged.
//
// It may be read by several goroutines.
type Env struct {
	goos string // runtime.GOOS, but in tests
	// vars are by name. On Windows names are compared without case.
	vars    map[string]setting
	process []string // as it came
	// warnings are about the files and never about a value.
	warnings []Warning
}

// A setting is a variable's value and its origin: "environment", or ".env line 3".
type setting struct {
	value string
	// origin is for people; a value of the environment goes before one of a file.
	origin string
}

// NewEnv reads the process's environment, in the form of os.Environ, and the files in dir that exist. A file
// that can't be read or parsed is an [*Error].
func NewEnv(environ []string, dir string) (*Env, error) {
	return newEnv(runtime.GOOS, environ, dir)
}

// newEnv is NewEnv on the operating system goos.
func newEnv(goos string, environ []string, dir string) (*Env, error) {
	e := &Env{goos: goos, vars: make(map[string]setting), process: environ}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		e.add(name, value, "environment")
	}
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, &Error{Name: name, Problem: "can't be read: " + err.Error(), Hint: "fix its permissions, or remove it"}
		}
		assignments, err := parseDotenv(string(data))
		if err != nil {
			return nil, &Error{Name: name, Problem: err.Error(), Hint: `write one NAME="value" a line`}
		}
		// The mode is looked at only for files that were read: others can't have given a secret
		// away here.
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			if w, bad := exposed(name, info.Mode(), assignments); bad {
				e.warnings = append(e.warnings, w)
			}
		}
		for _, a := range assignments {
			e.add(a.name, a.value, fmt.Sprintf("%s line %d", name, a.line))
		}
	}
	return e, nil
}

// add sets name unless a source that was added earlier has set it. An empty value counts as not
// set, so that a container's "NAME=" doesn't hide a file's line.
func (e *Env) add(name, value, origin string) {
	name = e.key(name)
	if _, set := e.vars[name]; !set && value != "" {
		e.vars[name] = setting{value, origin}
	}
}

// Process is the process's environment as it came, in the form of os.Environ, for a program that we start.
func (e *Env) Process() []string { return e.process }

// Warnings are the problems that NewEnv has noticed and that prevent nothing.
func (e *Env) Warnings() []Warning { return e.warnings }

// Lookup returns the value of the variable name and where it was set; ok is false when it isn't set or is
// empty.
//
// origin is for messages to people.
func (e *Env) Lookup(name string) (value, origin string, ok bool) {
	s, ok := e.vars[e.key(name)]
	return s.value, s.origin, ok
}

// Get is the value of the variable name, "" when it isn't set.
func (e *Env) Get(name string) string { return e.vars[e.key(name)].value }

// Prefixed are the variables whose names begin with prefix, by their names. The map is the caller's.
func (e *Env) Prefixed(prefix string) map[string]string {
	found := map[string]string{}
	for name, s := range e.vars {
		if strings.HasPrefix(name, prefix) {
			found[name] = s.value
		}
	}
	return found
}

// key is how a name is kept: Windows does not tell upper and lower case apart.
func (e *Env) key(name string) string {
	if e.goos == "windows" {
		return strings.ToUpper(name)
	}
	return name
}

// StateDir is the folder for what the gateway keeps between two starts; it may not exist yet.
// It is XDG_STATE_HOME or its default on Unix, the application support folder on macOS, and the
// local application data on Windows. Windows without LocalAppData goes by the user's profile.
// The error is a *Error with a hint.
func (e *Env) StateDir() (string, error) {
	const app = "composer-api"
	home := e.Get("HOME")
	switch {
	case e.Get("XDG_STATE_HOME") != "":
		return filepath.Join(e.Get("XDG_STATE_HOME"), app), nil
	case e.goos == "windows" && e.Get("LocalAppData") != "":
		return filepath.Join(e.Get("LocalAppData"), app), nil
	case e.goos == "windows" && e.Get("UserProfile") != "":
		return filepath.Join(e.Get("UserProfile"), "AppData", "Local", app), nil
	case e.goos == "darwin" && home != "":
		return filepath.Join(home, "Library", "Application Support", app), nil
	case home != "":
		return filepath.Join(home, ".local", "state", app), nil
	}
	return "", &Error{Name: "COMPOSER_DB", Problem: "there is no home folder to keep the database in", Hint: "set COMPOSER_DB to a file, or HOME"}
}
