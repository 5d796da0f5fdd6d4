package toolmap

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"composer-api/internal/agent"
)

// The tools of real clients, shortened to names and schemas: one tool a line, name and schema.
var clients = func() map[string][]agent.Tool {
	all := map[string][]agent.Tool{}
	a, err := txtar.ParseFile("testdata/clients.txtar")
	if err != nil {
		panic(err)
	}
	for _, f := range a.Files {
		for line := range strings.Lines(string(f.Data)) {
			name, schema, _ := strings.Cut(strings.TrimSpace(line), " ")
			all[f.Name] = append(all[f.Name], agent.Tool{Name: name, Parameters: json.RawMessage(schema)})
		}
	}
	return all
}()

func TestMapSaysAUseInTheClientsTerms(t *testing.T) {
	const no = "no mapping"
	for _, tt := range []struct {
		name   string
		client string
		use    Use
		want   string
	}{
		{"shell", "opencode", Use{Kind: Shell, Command: "go test ./..."}, `bash {"command":"go test ./...","description":"go test ./..."}`},
		{"shell with what it is for", "opencode", Use{Kind: Shell, Command: "ls", Description: "List files"}, `bash {"command":"ls","description":"List files"}`},
		{"a timeout in milliseconds", "opencode", Use{Kind: Shell, Command: "ls", Timeout: 2500 * time.Millisecond}, `bash {"command":"ls","description":"ls","timeout":2500}`},
		{"a timeout in seconds", "seconds", Use{Kind: Shell, Command: "ls", Timeout: 2500 * time.Millisecond}, `terminal {"command":"ls","timeout":3}`},
		{"a timeout without a unit is left out", "vague", Use{Kind: Shell, Command: "ls", Timeout: time.Minute}, `terminal {"command":"ls"}`},
		{"a folder that can't be said", "claude", Use{Kind: Shell, Command: "ls", Dir: "/tmp"}, no},
		{"a folder that can", "codex", Use{Kind: Shell, Command: "ls", Dir: "/tmp"}, `exec_command {"cmd":"ls","workdir":"/tmp"}`},
		{"a command as a list", "codex-old", Use{Kind: Shell, Command: "ls | wc"}, `shell {"command":["bash","-lc","ls | wc"]}`},
		{"a background command", "claude", Use{Kind: Shell, Command: "serve", Background: true}, `Bash {"command":"serve","run_in_background":true}`},
		{"a background command where there is no such thing", "opencode", Use{Kind: Shell, Command: "serve", Background: true}, no},
		{"what the client insists on", "copilot", Use{Kind: Shell, Command: "ls"}, `run_in_terminal {"command":"ls","explanation":"ls","isBackground":false}`},
		{"the tool of an MCP server", "mcp", Use{Kind: Shell, Command: "ls"}, `developer__shell {"command":"ls"}`},

		{"read", "claude", Use{Kind: Read, Path: "/a.go"}, `Read {"file_path":"/a.go"}`},
		{"read a range", "claude", Use{Kind: Read, Path: "/a.go", Offset: 10, Limit: 5}, `Read {"file_path":"/a.go","limit":5,"offset":10} ranged`},
		{"read a range where lines count from 0", "opencode", Use{Kind: Read, Path: "/a.go", Offset: 10, Limit: 5}, `read {"filePath":"/a.go","limit":5,"offset":9} ranged`},
		{"read a range where nobody knows: the whole file", "vague", Use{Kind: Read, Path: "/a.go", Offset: 10, Limit: 5}, `read_file {"path":"/a.go"}`},
		{"read from the end: the whole file", "claude", Use{Kind: Read, Path: "/a.go", Offset: -10, Limit: 5}, `Read {"file_path":"/a.go"}`},
		{"read the first lines", "claude", Use{Kind: Read, Path: "/a.go", Limit: 5}, `Read {"file_path":"/a.go","limit":5} ranged`},

		{"write", "claude", Use{Kind: Write, Path: "/a.go", Content: "x"}, `Write {"content":"x","file_path":"/a.go"}`},
		{"write an empty file", "opencode", Use{Kind: Write, Path: "/a.go"}, `write {"content":"","filePath":"/a.go"}`},
		{"write where there are only edits", "codex", Use{Kind: Write, Path: "/a.go", Content: "x"}, no},
		{"write where more is wanted", "roo", Use{Kind: Write, Path: "/a.go", Content: "x"}, no},

		{"delete", "vague", Use{Kind: Delete, Path: "/a.go"}, `delete_file {"path":"/a.go"}`},
		{"delete is not rm", "claude", Use{Kind: Delete, Path: "/a.go"}, no},

		{"grep", "opencode", Use{Kind: Grep, Pattern: "func", Path: "/src", Glob: "*.go"}, `grep {"include":"*.go","path":"/src","pattern":"func"}`},
		{"grep with everything", "claude", Use{Kind: Grep, Pattern: "f", OutputMode: "content", Before: 1, After: 2, IgnoreCase: true, HeadLimit: 9}, `Grep {"-A":2,"-B":1,"-i":true,"head_limit":9,"output_mode":"content","pattern":"f"}`},
		{"grep with a mode that the client doesn't have", "claude", Use{Kind: Grep, Pattern: "f", OutputMode: "json"}, no},
		{"grep without case where it can't be said", "opencode", Use{Kind: Grep, Pattern: "func", IgnoreCase: true}, no},

		{"list", "opencode", Use{Kind: List, Path: "/src", Ignore: []string{"*.o"}}, `list {"ignore":["*.o"],"path":"/src"}`},
		{"glob doesn't list", "claude", Use{Kind: List, Path: "/src"}, no},

		{"fetch that wants a question too", "claude", Use{Kind: Fetch, URL: "https://a"}, no},
		{"fetch whose format has a default", "vague", Use{Kind: Fetch, URL: "https://a"}, `fetch {"url":"https://a"}`},

		{"a schema without types", "odd", Use{Kind: Shell, Command: "ls"}, no},
		{"no tools", "none", Use{Kind: Shell, Command: "ls"}, no},
		{"no such built-in", "claude", Use{}, no},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := no
			if call, ok := New(clients[tt.client]).Map(tt.use); ok {
				got = call.Tool + " " + string(call.Arguments)
				if call.Ranged {
					got += " ranged"
				}
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestRefusalNamesTheClientsTools(t *testing.T) {
	got := New(clients["opencode"]).Refusal("edit")
	want := `The built-in tool "edit" is not available. Use one of these tools instead: bash, grep, list, read, write.`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = New(nil).Refusal("shell")
	want = `The built-in tool "shell" is not available, and neither is any other tool. Answer with what you know.`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var many []agent.Tool
	for i := range 500 {
		many = append(many, agent.Tool{Name: fmt.Sprintf("tool_%d", i)})
	}
	if n := strings.Count(New(many).Refusal("shell"), ","); n != maxNamed-1 {
		t.Errorf("%d names, want %d", n+1, maxNamed)
	}
}

func TestMatchesAreAllOrNothing(t *testing.T) {
	got, ok := Matches("a.go:3:func a() {\n\nb.go:10: x: y\r\n")
	want := []Match{{"a.go", 3, "func a() {"}, {"b.go", 10, " x: y"}}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, ok)
	}
	for _, output := range []string{"Found 3 matches\na.go:3:x", "a.go:x:3", "a.go", "a.go:0:x"} {
		if got, ok := Matches(output); ok {
			t.Errorf("%q: got %v", output, got)
		}
	}
}

func FuzzMap(f *testing.F) {
	for _, tools := range clients {
		for _, tool := range tools {
			f.Add(tool.Name, string(tool.Parameters))
		}
	}
	f.Fuzz(func(t *testing.T, name, schema string) {
		m := New([]agent.Tool{{Name: name, Parameters: json.RawMessage(schema)}})
		for kind := range rules {
			call, ok := m.Map(Use{Kind: kind, Command: "c", Path: "p", Content: "x", Pattern: "r", URL: "u", Offset: 2, Limit: 3})
			if ok && (call.Tool != name || !json.Valid(call.Arguments)) {
				t.Errorf("%s %s: got %s %s", name, schema, call.Tool, call.Arguments)
			}
		}
	})
}
