package toolmap

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"composer-api/internal/agent"
)

// A Mapper knows one client's tools. It is immutable and safe for concurrent use. It keeps nothing between calls: schemas are read
// anew each time, because that is seldom.
//
// localagent makes one for each tool set and asks it only when upstream wants a built-in tool.
type Mapper struct {
	tools []agent.Tool
}

// New makes a Mapper for the tools that a request offers. It keeps them and does no work yet: built-in tools are seldom
// asked for.
func New(tools []agent.Tool) *Mapper { return &Mapper{tools: tools} }

// A Call is a use of a built-in tool, in the terms of a client's tool.
type Call struct {
	// Tool is the client's own spelling of the name.
	Tool      string
	Arguments json.RawMessage // a JSON object
	// Ranged is set when the tool was told which lines to read.
	Ranged bool
}

// Map expresses u as a call of one of the client's tools. It reports false when none of them does exactly that. If several
// have a fitting name, the first in the rule's order that can take the call wins.
//
//	upstream asks     shell "go test ./...", timeout 60 s
//	the client has    Bash {"command": string, "timeout": number "in milliseconds"}
//	the call          Bash {"command": "go test ./...", "timeout": 60000}
//
// The order is that of the rule, not of the client's tools: the likeliest name comes first in the table.
func (m *Mapper) Map(u Use) (Call, bool) {
	r, ok := rules[u.Kind]
	if !ok {
		return Call{}, false
	}
	for _, name := range r.tools {
		for i := range m.tools {
			t := &m.tools[i]
			// Two tools of a client may be equal when they are simplified; the one that was offered
			// first is tried first.
			if simplify(t.Name) != name {
				continue
			}
			if call, ok := r.call(t, &u); ok {
				return call, true
			}
		}
	}
	return Call{}, false
}

// call expresses u as a call of t, parameter by parameter:
//
//	given, t has a place for it       filled in, if it fits
//	given, no place or doesn't fit    no call, unless the parameter is optional
//	not given, but t requires it      the rule's own value (otherwise), if it has one
//	required by t and left over       no call, unless the schema has a default
//
// carried are the roles that have reached the arguments. A range of lines is carried as a whole
// or not at all.
func (r *rule) call(t *agent.Tool, u *Use) (Call, bool) {
	s := readSchema(t)
	if s == nil {
		return Call{}, false
	}
	args, given, carried := map[string]any{}, u.values(), map[role]bool{}
	for i := range r.params {
		p := &r.params[i]
		v, isGiven := given[p.role]
		into := s.find(p.names)
		if into == nil {
			if p.required || isGiven && !p.optional {
				return Call{}, false
			}
			continue
		}
		if !isGiven && into.required && p.otherwise != nil {
			v, isGiven = p.otherwise(u), true
		}
		if !isGiven || p.role == limit && u.Offset != 0 && !carried[offset] {
			continue // a limit alone would ask for the first lines instead of those that are wanted
		}
		fitted, ok := p.into(v, into)
		switch {
		case ok:
			args[into.name], carried[p.role] = fitted, true
		case !p.optional:
			return Call{}, false
		}
	}
	// What the client requires and no role of the rule has filled can't be guessed.
	for _, name := range s.Required {
		if _, given := args[name]; !given && s.Properties[name].Default == nil {
			return Call{}, false
		}
	}
	encoded, err := json.Marshal(args)
	if err != nil {
		return Call{}, false
	}
	return Call{Tool: t.Name, Arguments: encoded, Ranged: carried[limit] || carried[offset] && u.Limit == 0}, true
}

// into turns the value v into what the client's parameter accepts.
//
// Its second result is false when the value can't be expressed.
func (p *param) into(v any, into *property) (any, bool) {
	if p.fit == nil {
		return fitPlain(v, into)
	}
	return p.fit(v, into)
}

// maxNamed bounds how many tools a refusal names.
//
// A client with hundreds of tools would else fill the model's context with the sentence.
const maxNamed = 50

// Refusal is the sentence that tells the model to use the client's tools instead of a built-in one.
// builtin is upstream's name of it. The names are sorted, so that the same tools give the same sentence.
func (m *Mapper) Refusal(builtin string) string {
	if len(m.tools) == 0 {
		return fmt.Sprintf("The built-in tool %q is not available, and neither is any other tool. Answer with what you know.", builtin)
	}
	names := make(map[string]bool, len(m.tools))
	for _, t := range m.tools[:min(len(m.tools), maxNamed)] {
		names[t.Name] = true
	}
	return fmt.Sprintf("The built-in tool %q is not available. Use one of these tools instead: %s.",
		builtin, strings.Join(slices.Sorted(maps.Keys(names)), ", "))
}
