package messages

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// wireTool is a tool of any kind. Tools of the client's own have a schema; those that Anthropic has defined have a type
// instead.
//
//	{"name": "Read", "description": "…", "input_schema": {…}}
//	{"type": "bash_20250124", "name": "bash"}                  the client runs it: see clienttools.go
//	{"type": "web_search_20250305", "name": "web_search"}      Anthropic runs it: left out
type wireTool struct {
	// Type is "" or "custom" for a tool with a schema of its own.
	Type         string        `json:"type"`
	Name         string        `json:"name"`
	Description  string        `json:"description"`
	InputSchema  openai.Object `json:"input_schema"`
	Strict       bool          `json:"strict"`
	DeferLoading bool          `json:"defer_loading"`
	// InputExamples are inputs that fit the schema, for the model to see how the tool is meant.
	InputExamples []openai.Object `json:"input_examples"`

	// Of the computer tool alone.
	Width  *openai.Int `json:"display_width_px"`
	Height *openai.Int `json:"display_height_px"`

	otherForms
}

// wireToolChoice is tool_choice: {"type": "auto"}, "any", "none", or {"type": "tool", "name": "Read"}.
type wireToolChoice struct {
	Type string `json:"type"`
	Name string `json:"name"`
	// DisableParallel asks for one call at a time.
	DisableParallel bool `json:"disable_parallel_tool_use"`
}

// setTools lists the tools that the model is offered: those of the request, as c has changed them, and those that c
// defines, in the order of their names. A tool whose loading is deferred is offered once a result has named it:
//
//	the conversation says   deferred   offered
//	it can be called        any        yes
//	it can no longer be     any        no
//	nothing                 no         yes
//	nothing                 yes        no, unless Anthropic's servers would search for it
func (r *Request) setTools(tools []wireTool, c *conversation) error {
	var list openai.ToolList
	// Without a search of Anthropic's among the tools, nothing could ever load a deferred one.
	deferring := defers(tools)
	for i := range tools {
		t := &tools[i]
		if _, redefined := c.defined[t.Name]; redefined && t.Name != "" {
			continue
		}
		if offered, mentioned := c.offered[t.Name]; mentioned && !offered || !mentioned && t.DeferLoading && deferring {
			continue
		}
		if err := r.addTool(&list, t, element("tools", i)); err != nil {
			return err
		}
	}
	// Sorted, so that the same request gives the same tools: transcripts are compared with them.
	for _, name := range slices.Sorted(maps.Keys(c.defined)) {
		t := c.defined[name]
		if !c.offered[name] {
			continue
		}
		if err := r.addTool(&list, &t, "tool_addition"); err != nil {
			return err
		}
	}
	r.Tools = list.Tools
	return nil
}

// addTool adds a tool, or notes that it was left out.
func (r *Request) addTool(list *openai.ToolList, t *wireTool, param string) error {
	tool, ok := t.tool()
	if !ok {
		r.dropped = append(r.dropped, t.Type)
		return nil
	}
	return list.Add(tool, param+".name")
}

// serverTools are the families of tools that Anthropic has published and that run on its servers. Source: the list of server
// tools in its reference.
var serverTools = []string{
	"advisor_", "code_execution_", "mcp_toolset", "tool_search_tool_bm25", "tool_search_tool_regex", "web_fetch_", "web_search_",
}

// isServerTool reports whether a type is one of those, with nothing behind the family but the
// date of its version. The log may name such a type: it says nothing about a client.
func isServerTool(name string) bool {
	for _, family := range serverTools {
		if version, ok := strings.CutPrefix(name, family); ok && len(version) <= len("_20250305") && strings.Trim(version, "_0123456789") == "" {
			return true
		}
	}
	return false
}

// defers reports whether deferred tools are to be kept back until they are found. Where Anthropic's servers would do the
// searching nobody finds them here, so there they are offered at once.
func defers(tools []wireTool) bool {
	for i := range tools {
		if hasFamily(tools[i].Type, "tool_search_tool_") {
			return false
		}
	}
	return true
}

// tool is the tool as the model gets it. It reports false for a tool that the client can't run.
//
// A type with a schema beside it is the client's own tool: the schema says all that the model
// needs.
func (t *wireTool) tool() (agent.Tool, bool) {
	if t.Type == "" || t.Type == "custom" || t.InputSchema != nil {
		return agent.Tool{Name: t.Name, Description: t.told(), Parameters: json.RawMessage(t.InputSchema), Strict: t.Strict}, true
	}
	return clientTool(t)
}

// told is what the model is told of the tool: its description, and the examples of its input, for which upstream has no place of
// their own.
//
//	Gets the weather.
//
//	Examples of its input, one on each line:
//	{"city":"Rome"}
func (t *wireTool) told() string {
	var text strings.Builder
	for _, example := range t.InputExamples {
		if example == nil {
			continue
		}
		if text.Len() == 0 {
			text.WriteString(t.Description + "\n\nExamples of its input, one on each line:")
		}
		line := jsontext.Value(example).Clone() // tool is asked for more than once
		_ = line.Compact()                      // it was decoded before, so that it is valid
		text.WriteString("\n" + string(line))
	}
	if text.Len() == 0 {
		return t.Description
	}
	return strings.TrimSpace(text.String())
}

// setToolChoice reads tool_choice. It comes after the tools, among which the tool that it names must be.
//
// A choice that can't be met because the tool was left out gets an error of its own: "not among
// the tools" would puzzle a client that has sent it.
func (r *Request) setToolChoice(w *wireRequest) error {
	const param = "tool_choice"
	c := w.ToolChoice
	if c == nil {
		return nil
	}
	dropped := map[string]bool{} // by name
	for i := range w.Tools {
		if _, ours := w.Tools[i].tool(); !ours {
			dropped[w.Tools[i].Name] = true
		}
	}
	r.SerialToolCalls = c.DisableParallel
	switch c.Type {
	case "auto":
		return nil
	case "none":
		r.ToolChoice.Mode = agent.ToolsNone
		return nil
	case "any":
		r.ToolChoice.Mode = agent.ToolsRequired
	case "tool":
		if c.Name == "" {
			return openai.Missing(param + ".name")
		}
		r.ToolChoice = agent.ToolChoice{Mode: agent.ToolsRequired, Names: []string{c.Name}}
	case "":
		return openai.Missing(param + ".type")
	default:
		return openai.OneOf(param+".type", c.Type, "auto", "any", "tool", "none")
	}
	err := openai.CheckToolChoice(r.ToolChoice, r.Tools, param)
	if err != nil && (dropped[c.Name] || c.Type == "any" && len(dropped) > 0) {
		return agent.ParamError(agent.UnsupportedValue, param, "'%s' asks for a tool that only Anthropic's servers can run. Offer a tool of your own for it.", param)
	}
	return err
}
