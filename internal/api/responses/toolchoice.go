package responses

import (
	"bytes"
	"cmp"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// A wireToolChoice is tool_choice in its object form. raw is kept, because the response repeats it.
//
//	"none", "auto", "required"                                     (its string form)
//	{"type": "function", "name": "read"}                           this tool, exactly
//	{"type": "shell"}                                              this tool, which has no other name
//	{"type": "allowed_tools", "mode": "auto", "tools": [{…}, …]}   these tools, or none of them
type wireToolChoice struct {
	choiceFields
	Tools []choiceFields `json:"tools"` // allowed_tools
	raw   jsontext.Value
}

// choiceFields name a tool: in tool_choice itself, or in the list of allowed_tools.
type choiceFields struct {
	Type      string `json:"type"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Mode      string `json:"mode"` // allowed_tools
	chatShape
}

// UnmarshalJSON implements json.Unmarshaler. It also keeps the choice as it was sent.
func (c *wireToolChoice) UnmarshalJSON(b []byte) error {
	type plain wireToolChoice // without this method
	if err := json.Unmarshal(b, (*plain)(c), openai.Liberal); err != nil {
		return err
	}
	c.raw = bytes.Clone(b)
	return nil
}

// toolChoice converts the request's tool_choice to the model's names. All tools must be known by then, also those that the
// history adds. Errors are *agent.Error with the path of what is wrong.
//
//	sent                     the model may call
//	nothing, "auto"          any tool, or none
//	"none"                   none
//	"required"               any, and must call one
//	a tool                   that one, and must
//	allowed_tools            those, or none of them; with mode "required" it must call one
func (s *toolSet) toolChoice(sent *openai.StringOr[wireToolChoice]) (agent.ToolChoice, error) {
	const param = "tool_choice"
	c := &sent.Other
	switch {
	case sent.IsZero():
		return agent.ToolChoice{}, nil
	case sent.Kind == '"':
		return s.choiceMode(sent.String, param)
	case tooDeep(c.raw):
		return agent.ToolChoice{}, nestedTooDeeply(param)
	case c.Type == "allowed_tools":
		return s.allowedTools(c)
	}
	name, ok := s.chosen(&c.choiceFields)
	if !ok {
		return agent.ToolChoice{}, notOffered(&c.choiceFields, param)
	}
	return agent.ToolChoice{Mode: agent.ToolsRequired, Names: []string{name}}, nil
}

// choiceMode reads a choice in its string form. "required" without any tool is an error.
func (s *toolSet) choiceMode(name, param string) (agent.ToolChoice, error) {
	// The same modes as in chat completions.
	mode, ok := openai.ToolModes[name]
	if !ok {
		return agent.ToolChoice{}, openai.OneOf(param, name, "none", "auto", "required")
	}
	choice := agent.ToolChoice{Mode: mode}
	return choice, openai.CheckToolChoice(choice, s.list, param)
}

// allowedTools is the choice among the allowed tools. Those that were dropped are left out; a name that isn't offered is an
// error. If none is left and a call is required, the request is refused, and without that the model gets no tools at all.
func (s *toolSet) allowedTools(c *wireToolChoice) (agent.ToolChoice, error) {
	choice, err := s.choiceMode(cmp.Or(c.Mode, "auto"), "tool_choice.mode")
	if err != nil {
		return choice, err
	}
	for i := range c.Tools {
		t := &c.Tools[i]
		name, ok := s.chosen(t)
		if ok {
			choice.Names = append(choice.Names, name)
		} else if t.Name != "" || t.nameless() {
			return choice, notOffered(t, "tool_choice.tools["+strconv.Itoa(i)+"]")
		}
	}
	// The list replaces that of all tools; the ones that were dropped are not missed.
	if len(choice.Names) > 0 {
		return choice, nil
	}
	if choice.Mode == agent.ToolsRequired {
		return choice, agent.ParamError(agent.UnsupportedValue, "tool_choice.tools", "None of the tools in 'tool_choice.tools' is one that the client runs, and this server runs none of its own. Name one of the functions among 'tools'.")
	}
	return agent.ToolChoice{Mode: agent.ToolsNone}, nil
}

// chosen is the model's name of the tool that the client names; false when it isn't offered.
func (s *toolSet) chosen(c *choiceFields) (string, bool) {
	// The client's names are looked up and not the model's, which it doesn't know.
	name := clientName{c.Namespace, c.Name}
	if _, local := localTools[c.Type]; local || c.Type == searchToolName {
		name = clientName{"", c.Type} // these have no other name
	}
	model, ok := s.model[name]
	return model, ok
}

// nameless reports whether a choice lacks the name that its type needs.
func (c *choiceFields) nameless() bool {
	return c.Name == "" && (c.Type == "" || c.Type == "function" || c.Type == "custom")
}

// notOffered is the error for a choice of a tool that isn't there, or isn't the client's to
// run. Only the type or the name is quoted, shortened by openai.Clip.
func notOffered(c *choiceFields, param string) error {
	mode := c.Type
	if mode == "any" { // Anthropic's name for it
		mode = "required"
	}
	switch _, isMode := openai.ToolModes[mode]; {
	case isMode && c.Name == "":
		return agent.ParamError(agent.InvalidValue, param, "'%s' is an object of the type '%s', which names no tool. Send the text '%s' in place of it.", param, c.Type, mode)
	case c.nameless():
		return c.missingName(param)
	case c.Name == "":
		return agent.ParamError(agent.UnsupportedValue, param, "'%s' asks for a tool of type '%s', but this server runs no tools of its own. Leave it out, or offer a function that does the same.", param, openai.Clip(c.Type))
	}
	return agent.ParamError(agent.InvalidValue, param, "'%s' asks for the tool '%s', which is not among 'tools'.", param, openai.Clip(c.Name))
}
