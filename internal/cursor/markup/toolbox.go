package markup

import (
	"encoding/json"

	"composer-api/internal/agent"
)

// A toolbox knows the tools that a client offers, and reads the schema of each once. It is for one goroutine.
type toolbox struct {
	tools []agent.Tool
	index *agent.ToolIndex
	// schemas are filled as they are asked for. A tool without a schema, or with one that can't be read, has an empty one. The key nil
	// is for all tools that nobody knows.
	schemas map[*agent.Tool]*schema
}

// newToolbox makes a toolbox of tools, which must not be changed while it is used.
func newToolbox(tools []agent.Tool) *toolbox {
	return &toolbox{tools, agent.IndexTools(tools), map[*agent.Tool]*schema{}}
}

// named finds the tool that a name means, or refuses the call with these arguments. The refusal lists the tools that there are.
func (b *toolbox) named(name string, arguments json.RawMessage) (*agent.Tool, *Refusal) {
	if tool := b.index.Find(name); tool != nil {
		return tool, nil
	}
	return nil, refuse(name, arguments, agent.NoSuchTool(b.tools))
}

// arguments begins a call of tool; nil is a tool that nobody knows.
func (b *toolbox) arguments(tool *agent.Tool) *arguments {
	a := &arguments{schema: b.schemas[tool], values: map[string]json.RawMessage{}}
	if a.schema != nil {
		return a
	}
	a.schema = &schema{}
	if tool != nil && json.Unmarshal(tool.Parameters, a.schema) != nil {
		a.schema = &schema{} // a schema that can't be read allows anything
	}
	b.schemas[tool] = a.schema
	return a
}
