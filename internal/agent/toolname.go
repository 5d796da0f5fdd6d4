package agent

import (
	"slices"
	"strings"
)

// Names of tools, as models write them, and sentences for the model about which tools there are.

// A ToolIndex finds tools by name. It is immutable and keeps references to the tools that it was made of.
type ToolIndex struct {
	// exact is looked at first, so a name that is right is never taken for another tool's.
	exact map[string]*Tool
	alike map[string]*Tool // by plain name; nil when several tools share it
}

// IndexTools indexes tools. Of several with one name, the first counts. The tools must not be
// changed while the index is used.
func IndexTools(tools []Tool) *ToolIndex {
	x := &ToolIndex{make(map[string]*Tool, len(tools)), make(map[string]*Tool, len(tools))}
	for i := range tools {
		t := &tools[i]
		if x.exact[t.Name] != nil {
			continue
		}
		x.exact[t.Name] = t
		plain := plainName(t.Name)
		if _, taken := x.alike[plain]; taken {
			t = nil
		}
		x.alike[plain] = t
	}
	return x
}

// Find is the tool that a model means by name: the one of that name, else the only one whose name differs in case or in
// the signs between its words alone ("Read-File" for "read_file"). It is nil when there is none, or when several could
// be meant.
//
// Both ways are a look-up, however many tools there are.
func (x *ToolIndex) Find(name string) *Tool {
	if t := x.exact[name]; t != nil {
		return t
	}
	plain := plainName(name)
	if plain == "" {
		return nil
	}
	return x.alike[plain]
}

// Has reports whether there is a tool of exactly that name.
func (x *ToolIndex) Has(name string) bool { return x.exact[name] != nil }

// plainName is a tool's name in small letters and without the signs that part its words.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '_', '-', '.', '/', ':':
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// maxListed is how many tools a list for the model has.
const maxListed = 50

// NoSuchTool tells the model that it has called none of tools, and which there are. It names at
// most maxListed of them: what is listed is read, and paid for, by the model.
func NoSuchTool(tools []Tool) string {
	if len(tools) == 0 {
		return "There are no tools to call now. Answer in text."
	}
	return listTools("There is no tool of that name. The tools are: ", tools)
}

// StillOffered reports whether a run that waits for calls of these tools may go on although upstream doesn't learn that
// the client offers tools now: because each of them is among tools, or because none are, which asks for an answer.
func StillOffered(called []string, tools []Tool) bool {
	if len(tools) == 0 {
		return true
	}
	index := IndexTools(tools)
	return !slices.ContainsFunc(called, func(name string) bool { return !index.Has(name) })
}

// ToolsChanged tells the model what it can call now that it could not call before, or that it can
// call nothing any more; "" when neither is so. Tools that are gone are not named, unless all are.
func ToolsChanged(before *ToolIndex, now []Tool) string {
	if len(now) == 0 && len(before.exact) > 0 {
		return "No tool can be called any more. Answer in text."
	}
	var added []Tool
	for i := range now {
		if !before.Has(now[i].Name) {
			added = append(added, now[i])
		}
	}
	if len(added) == 0 {
		return ""
	}
	return listTools("These tools can be called now, too: ", added)
}

// AddNote is a note for the model with another after it; "" is none.
func AddNote(note, more string) string {
	if note == "" || more == "" {
		return note + more
	}
	return note + "\n" + more
}

// listTools is intro and the names of tools, as many as are of use.
func listTools(intro string, tools []Tool) string {
	var b strings.Builder
	b.WriteString(intro)
	for i := range tools[:min(len(tools), maxListed)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(tools[i].Name)
	}
	if len(tools) > maxListed {
		b.WriteString(" and others")
	}
	b.WriteByte('.')
	return b.String()
}
