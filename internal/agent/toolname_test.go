package agent

import (
	"strings"
	"testing"
)

func TestToolIndex(t *testing.T) {
	tools := IndexTools([]Tool{
		{Name: "read_file", Description: "the first"}, {Name: "read_file"}, {Name: "Shell"}, {Name: "shell"},
		{Name: "find-a"}, {Name: "find_a"}, {Name: "FindA"}, {Name: "__"},
	})
	for name, want := range map[string]string{
		"read_file": "read_file", "Read_File": "read_file", "ReadFile": "read_file", "read-file": "read_file", "read file": "read_file",
		"shell": "shell", "Shell": "Shell", "SHELL": "", // two could be meant
		"find_a": "find_a", "findA": "", // three
		"read": "", "": "", "-": "", "write": "",
	} {
		got := ""
		if tool := tools.Find(name); tool != nil {
			got = tool.Name
		}
		if got != want {
			t.Errorf("%q means %q, want %q", name, got, want)
		}
	}
	if tools.Find("read_file").Description != "the first" {
		t.Error("of two tools with one name the second counts")
	}
}

func TestNoSuchToolListsTools(t *testing.T) {
	if got := NoSuchTool([]Tool{{Name: "read"}, {Name: "shell"}}); got != "There is no tool of that name. The tools are: read, shell." {
		t.Error(got)
	}
	if got := NoSuchTool(nil); strings.Contains(got, "The tools are") {
		t.Error(got)
	}
	if got := NoSuchTool(make([]Tool, 1000)); len(got) > 1000 || !strings.HasSuffix(got, " and others.") {
		t.Error(got)
	}
}

func TestToolsChanged(t *testing.T) {
	before := IndexTools([]Tool{{Name: "a"}, {Name: "b"}})
	for _, c := range []struct {
		now  []Tool
		want string
	}{
		{[]Tool{{Name: "b"}, {Name: "a", Description: "changed"}}, ""},
		{[]Tool{{Name: "a"}}, ""},
		{[]Tool{{Name: "c"}, {Name: "a"}, {Name: "d"}}, "These tools can be called now, too: c, d."},
		{nil, "No tool can be called any more. Answer in text."},
	} {
		if got := ToolsChanged(before, c.now); got != c.want {
			t.Errorf("%v: %q, want %q", c.now, got, c.want)
		}
	}
	if got := ToolsChanged(IndexTools(nil), nil); got != "" {
		t.Error(got)
	}
}
