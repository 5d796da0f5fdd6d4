package setup

import (
	"strings"

	"composer-api/internal/setup/configfile"
)

// A Client is a program that can use the gateway.
//
// The sources of what the rows say stand beside them. Where a client's documentation and its code
// differed, the code counted.
type Client struct {
	ID   string // what people type: "opencode". It never changes, because records are filed under it
	Name string // what it is called: "OpenCode"
	// programs are its names on the PATH; the first that is there counts. None for an extension of an editor.
	programs []string
	// folders exist where it is installed although it is no program on the PATH.
	folders func(*Machine) []string
	// target is what to change. It looks at the machine and changes nothing.
	target func(*Machine, *Gateway) target
	// headless runs it without its user interface; nil when it has no such form.
	headless *headless
}

// A target is what a client needs in order to use the gateway.
//
// It is made again for each plan, and depends on the machine only by its variables and by which
// files exist.
type target struct {
	// files are those that are written, in this order.
	files []file
	// variables are what the client looks for in its environment, because no file of its own can hold it.
	variables []variable
	// steps are left to the person, in their order: what stands in no file that we may write.
	steps []string
}

// A variable is one of a client's environment. It stands in no file: a person is told how to start the client with it, and
// Verify sets it.
type variable struct {
	// value may be the local token, so it is masked where it is shown.
	name, value string
	// key says that the value is what stands for the key.
	key bool
}

// A file is a configuration file with the values to set in it.
type file struct {
	// path is absolute. The file need not exist, nor its folder.
	path   string
	format configfile.Format
	edits  []edit
}

// An edit is a value to set in a file.
//
// Values are structs with JSON tags, so that what we write of each client stands in one place to
// compare with its documentation.
type edit struct {
	// path is where the value stands. Keys on the way are made if they aren't there.
	path  configfile.Path
	value any // for encoding/json
	// heading sets the value only in a file that isn't there yet, for what a file of this kind must begin with. An undo takes it
	// out only if nothing else is left in the file.
	heading bool
	// theirs is a value that the client changes by itself. Whatever it is, an undo takes it for ours.
	theirs bool
}

// start is the command that starts the client with its variables, as a person types it: the token itself is not in it.
func (c *Client) start(g *Gateway, variables []variable) string {
	var line strings.Builder
	for _, v := range variables {
		if v.key {
			v.value = g.shell()
		}
		line.WriteString(v.name + "=" + v.value + " ")
	}
	return line.String() + c.programs[0]
}

// set is an edit that sets the value at path, whether the file is there or not.
func set(value any, path ...string) edit { return edit{path: path, value: value} }

// Clients are all that we know, in the order in which they are listed. Add a row; see [Client].
func Clients() []Client {
	return []Client{
		openCode, codex, claudeCode, cline, continueDev, qwenCode, pi, kilo, copilotCLI, crush, aider, zed, vsCode, jetBrains, roo, goose,
	}
}

// ByID finds a client.
//
// The id is as people type it; letters are small.
func ByID(id string) (Client, bool) {
	for _, c := range Clients() {
		if c.ID == id {
			return c, true
		}
	}
	return Client{}, false
}

// Installed says where a client is installed; "" when it isn't, as far as can be seen.
//
// An extension is found by its folder only, so one that was removed in an unusual way may still be
// found.
func (c *Client) Installed(m *Machine) string {
	for _, program := range c.programs {
		if path, err := m.LookPath(program); err == nil {
			return path
		}
	}
	if c.folders != nil {
		for _, folder := range c.folders(m) {
			if exists(folder) {
				return folder
			}
		}
	}
	return ""
}
