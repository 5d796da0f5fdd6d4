// Package setup sets up clients for the gateway, and puts back what was there.
//
// A [Client] is a program that people use: its row says which files it reads, and which values in them make it use the
// gateway. [PlanSetup] works out what would change, a person sees it as a diff, and [Plan.Apply] writes it. What was there
// before is kept in the state folder, with a record of every value that was set:
//
//	setup/opencode/record.json        which values of which files
//	setup/opencode/1-opencode.json    the file as it was
//
// [PlanUndo] goes back. A file that nobody has touched since is put back byte for byte. In one that was edited
// meanwhile, each value that is still ours is put back, and all else stays; a value of ours that was changed is a conflict,
// which is shown and left alone.
//
// No Cursor key is ever written, neither into a client's file nor into a record: a client gets the gateway's local token, or
// the name of the variable that holds the key. The backups hold what other programs have in their files, which may be keys
// of other services: only the user may read them.
//
// How the files hang together:
//
//	setup.go     Machine: where clients keep their files
//	client.go    what a Client is, and the list of all
//	opencode.go, codex.go, claudecode.go, terminal.go, yamlclients.go, editors.go: the clients
//	ask.go       which models a running gateway has
//	plan.go      what would change, and the writing of it
//	record.go    what was changed, and how to go back
//	status.go    how a client stands to the gateway now
//	verify.go    one run of the real client
//	configfile/  single values of JSON, TOML and YAML files
package setup

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"

	"composer-api/internal/agent"
)

// A Machine is where clients are set up. Tests have one of their own.
type Machine struct {
	GOOS string // as runtime.GOOS
	// Getenv and LookPath are those of the process, or of a test.
	Getenv   func(name string) string
	LookPath func(program string) (string, error)
	// State is our own folder, for records and backups.
	State string
}

// home is a path below the user's home folder.
//
// On Windows that is UserProfile, and HOME where only that is set, as in a Unix shell on Windows.
func (m *Machine) home(parts ...string) string {
	home := m.Getenv("HOME")
	if m.GOOS == "windows" && m.Getenv("UserProfile") != "" {
		home = m.Getenv("UserProfile")
	}
	return filepath.Join(append([]string{home}, parts...)...)
}

// configHome is a path below the folder for configuration, as programs understand it that follow the XDG convention on
// every system.
//
// That is ~/.config also on macOS and on Windows, which is where most programs of the terminal
// look.
func (m *Machine) configHome(parts ...string) string {
	if dir := m.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(append([]string{dir}, parts...)...)
	}
	return m.home(append([]string{".config"}, parts...)...)
}

// below is a path below the folder that a variable names, or, when it isn't set, below a folder of the home folder.
//
// CODEX_HOME and ~/.codex, for example.
func (m *Machine) below(variable, folder string, parts ...string) string {
	if dir := m.Getenv(variable); dir != "" {
		return filepath.Join(append([]string{dir}, parts...)...)
	}
	return m.home(append([]string{folder}, parts...)...)
}

// appData is a path below the folder where desktop programs keep their data.
//
//	Windows   %AppData%
//	macOS     ~/Library/Application Support
//	others    ~/.config
func (m *Machine) appData(parts ...string) string {
	switch {
	case m.GOOS == "windows" && m.Getenv("AppData") != "":
		return filepath.Join(append([]string{m.Getenv("AppData")}, parts...)...)
	case m.GOOS == "darwin":
		return m.home(append([]string{"Library", "Application Support"}, parts...)...)
	}
	return m.configHome(parts...)
}

// firstThere is the first of the paths that exists, or else the last.
//
// The last is the name under which a new file is made, so it is the one that the client's
// documentation names.
func firstThere(paths ...string) string {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return paths[len(paths)-1]
}

// A Model is one that clients are told of.
//
// ID is what a client sends; Name is what it shows to people.
type Model struct {
	ID, Name string
	Context  int // in tokens
}

const (
	// outputTokens is what clients are told that an answer may have: more than any answer of Composer's.
	outputTokens = 32_000
	// contextTokens stands in where the catalogue doesn't know better.
	contextTokens = 200_000
)

// keyVariable is the environment variable that holds the user's Cursor key.
//
// It is the variable of Cursor's own programs, so many users have it already.
const keyVariable = "CURSOR_API_KEY"

// A Gateway is what clients are told of it.
//
// Nothing in it is changed by the functions here.
type Gateway struct {
	Root string // http://127.0.0.1:8787, without /v1
	// Token is the local token. Without one, clients take the key from keyVariable, those of them that can.
	Token agent.Secret
	// Models are those that clients offer; the first is their default. There is at least one.
	Models []Model
	// Program is what is typed to run this program, "" for its name. A shell that doesn't find it would give a client an empty key.
	Program string
}

// tokenCommand is what a person types to see the token.
func (g *Gateway) tokenCommand() string { return cmp.Or(g.Program, "composer-api") + " token" }

// base is the base URL for OpenAI's clients.
func (g *Gateway) base() string { return g.Root + "/v1" }

// model is the default model's id.
//
// The first model is there: Choose keeps the list's length, and an empty list is replaced before.
func (g *Gateway) model() string { return g.Models[0].ID }

// key is what stands for the key in a client's file: the token, or a reference to the variable in the client's own form.
//
// Examples of references: {env:NAME} of OpenCode, $NAME of Crush, ${{ secrets.NAME }} of Continue.
// With reference "" and no token, the client has no key in its file.
func (g *Gateway) key(reference string) string {
	if g.Token.IsZero() {
		return reference
	}
	return g.Token.Reveal()
}

// mask hides local tokens in what is shown: this one, and another that a file has from before, such as one that may still be good
// when the client is now set up for a gateway elsewhere.
//
// A diff on the screen ends up in bug reports. The token stands for the user's key on this machine. The two are told apart, so that
// a diff is not empty when nothing but the token changes.
func (g *Gateway) mask(text string) string {
	if g.Token.IsZero() {
		return maskTokens(text)
	}
	text = strings.ReplaceAll(text, g.Token.Reveal(), "composer-…")
	return token.ReplaceAllString(text, "composer-… (another token)")
}
