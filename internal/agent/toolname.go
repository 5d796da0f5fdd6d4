package agent

import "strings"

// A ToolIndex finds tools by name. It is immutable and keeps references to the tools that it was made of.
type ToolIndex struct {
	exact map[string]*Tool
	alike map[string]*Tool // by plain name; nil when several tools share it
}

// IndexTools indexes tools. Of several with one name, the first counts.
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

// maxListed is how many tools NoSuchTool lists.
const maxListed = 50

// NoSuchTool tells the model that it has called none of tools, and which there are.
func NoSuchTool(tools []Tool) string {
	if len(tools) == 0 {
		return "There are no tools to call now. Answer in text."
	}
	var b strings.Builder
	b.WriteString("There is no tool of that name. The tools are: ")
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
