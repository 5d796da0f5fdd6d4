package chat

import (
	"cmp"
	"encoding/json"
	"fmt"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// A wireTool is an entry of tools, in chat's form or in that of the Responses API:
//
//	{"type": "function", "function": {"name": "read", "description": "…", "parameters": {…}}}
//	{"type": "custom", "custom": {"name": "patch", "format": {"type": "grammar", "grammar": {…}}}}
//	{"type": "function", "name": "read", "description": "…", "parameters": {…}}
//	{"name": "read", "description": "…", "input_schema": {…}}                     Anthropic's form, which some clients send here
//
// It is changed by unflatten, and then has one of Function and Custom, or neither.
type wireTool struct {
	// Type is "function" or "custom".
	Type     string        `json:"type"`
	Function *wireFunction `json:"function"`
	Custom   *wireCustom   `json:"custom"`
	flatTool
}

// flatTool are the fields of a tool in the form of the Responses API. They are embedded in
// wireTool, so a tool may have them beside its function; they don't count then.
type flatTool struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Parameters  openai.Object `json:"parameters"`
	InputSchema openai.Object `json:"input_schema"`
	// Strict asks that the arguments fit the schema.
	Strict bool           `json:"strict"`
	Format openai.Grammar `json:"format"`
}

// wireFunction is a function, also an entry of the deprecated functions.
type wireFunction struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Parameters  openai.Object `json:"parameters"`
	Strict      bool          `json:"strict"`
}

// wireCustom is a custom tool, whose input is free text.
type wireCustom struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Format      struct {
		Grammar openai.Grammar `json:"grammar"`
		// In the shape of the Responses API.
		Syntax     string `json:"syntax"`
		Definition string `json:"definition"`
	} `json:"format"`
}

// grammar is the grammar of the tool's input, in whichever place it came.
func (c *wireCustom) grammar() openai.Grammar {
	return cmp.Or(c.Format.Grammar, openai.Grammar{Syntax: c.Format.Syntax, Definition: c.Format.Definition})
}

// A wireNamed names a tool in a choice, and is the object form of the deprecated function_call.
type wireNamed struct {
	Name string `json:"name"`
}

// wireToolChoice is tool_choice in its object form, and an entry of allowed_tools.
//
//	{"type": "function", "function": {"name": "read"}}
//	{"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", …}]}}
type wireToolChoice struct {
	// Type says which of Function, Custom and Allowed counts.
	Type        string       `json:"type"`
	Name        string       `json:"name"` // in the shape of the Responses API
	Function    wireNamed    `json:"function"`
	Custom      wireNamed    `json:"custom"`
	Allowed     *wireAllowed `json:"allowed_tools"`
	wireAllowed              // in the shape of the Responses API
}

// wireAllowed are the tools of a choice among some.
type wireAllowed struct {
	Mode  string           `json:"mode"`
	Tools []wireToolChoice `json:"tools"`
}

// setTools converts the tools, and the deprecated functions to tools. legacy is set when there
// are only functions: their calls go back as function_call, because such clients know nothing
// else. Errors name the tool by its place: "tools[2].function.name". Two different tools of one
// name are an error of ToolList.Add.
//
// r.custom is filled in on the way, by which the encoders know how to write a call.
func (r *Request) setTools(w *wireRequest) error {
	var list openai.ToolList
	for i := range w.Tools {
		t := &w.Tools[i]
		t.unflatten()
		// In chat's own shape an unknown type is an error: it can't be a tool of OpenAI's there.
		if w.responsesShape && t.Function == nil && t.Custom == nil && t.Type != "function" && t.Type != "custom" && t.Type != "" {
			continue // OpenAI runs such tools itself; on the Responses API we leave them out, too
		}
		if err := r.addTool(&list, t, fmt.Sprintf("tools[%d]", i)); err != nil {
			return err
		}
	}
	for i := range w.Functions {
		if err := r.addFunction(&list, &w.Functions[i], fmt.Sprintf("functions[%d]", i)); err != nil {
			return err
		}
	}
	r.Tools = list.Tools
	// A client that sends both knows tool_calls.
	r.legacy = len(w.Functions) > 0 && len(w.Tools) == 0
	// A function_call has room for one call.
	r.SerialToolCalls = r.legacy || w.ParallelToolCalls != nil && !*w.ParallelToolCalls
	return nil
}

// unflatten converts a tool in the form of the Responses API to that of chat. A tool that
// already has the form of chat stays as it is.
func (t *wireTool) unflatten() {
	if t.InputSchema != nil && t.Parameters == nil {
		t.Parameters = t.InputSchema
		if t.Type == "custom" {
			t.Type = "function" // Anthropic's name for a tool of the client's own
		}
	}
	switch {
	// Chat's form, or neither of the two, which addTool tells the client.
	case t.Name == "" || t.Function != nil || t.Custom != nil:
	case t.Type == "custom":
		t.Custom = &wireCustom{Name: t.Name, Description: t.Description}
		t.Custom.Format.Grammar = t.Format
	case t.Type == "function", t.Type == "":
		t.Function = &wireFunction{Name: t.Name, Description: t.Description, Parameters: t.Parameters, Strict: t.Strict}
		t.Type = "function"
	}
}

// addTool adds a tool. Its type may be missing when the rest shows it. An unknown type is an
// error: to leave such a tool out would change what the client has asked for.
func (r *Request) addTool(list *openai.ToolList, t *wireTool, param string) error {
	switch {
	case t.Type == "function" && t.Function == nil:
		return openai.Missing(param + ".function")
	case t.Type == "custom" && t.Custom == nil:
		return openai.Missing(param + ".custom")
	// Some clients leave the type out.
	case t.Type == "function", t.Type == "" && t.Function != nil:
		return r.addFunction(list, t.Function, param+".function")
	case t.Type == "custom", t.Type == "" && t.Custom != nil:
		return r.addCustom(list, t.Custom, param+".custom")
	case t.Type == "":
		return openai.Missing(param + ".type")
	}
	return openai.OneOf(param+".type", t.Type, "function", "custom")
}

// addFunction adds a function. Its schema is not looked at here.
func (r *Request) addFunction(list *openai.ToolList, f *wireFunction, param string) error {
	return list.Add(agent.Tool{
		Name: f.Name, Description: f.Description, Parameters: json.RawMessage(f.Parameters), Strict: f.Strict,
	}, param+".name")
}

// addCustom adds a custom tool. The model gets it as a function; its calls are converted back.
// Request.Echo is set as soon as there is one.
func (r *Request) addCustom(list *openai.ToolList, c *wireCustom, param string) error {
	if r.custom == nil {
		r.custom = map[string]bool{}
	}
	// By the client's name, which is also the model's: chat has no namespaces.
	r.custom[c.Name] = true
	r.Echo = r.echo
	return list.Add(openai.CustomTool(c.Name, c.Description, c.grammar()), param+".name")
}

// echo implements agent.Request.Echo: of a call of a custom tool, the client gets the text. The
// gateway compares the next request with it.
func (r *Request) echo(c *agent.ToolCall) json.RawMessage {
	if !r.custom[c.Name] {
		return c.Arguments
	}
	return openai.CustomArguments(openai.CustomInput(c.Name, c.Arguments))
}

// setToolChoice reads tool_choice or, when that is absent, the deprecated function_call. Tools
// that it names must be there. The zero value, when neither is there, lets the model choose.
//
//	"none", "auto", "required"                        the mode alone
//	{"type": "auto"}, {"type": "any"}, …              the mode, or Anthropic's name for it
//	{"type": "function", "function": {"name": …}}     required, one name
//	{"type": "allowed_tools", …}                      its mode, several names
func (r *Request) setToolChoice(w *wireRequest) error {
	param := "tool_choice"
	var err error
	switch {
	// tool_choice goes before function_call, as tools go before functions.
	case w.ToolChoice.Kind == '"':
		r.ToolChoice.Mode, err = toolMode(w.ToolChoice.String, param, "none", "auto", "required")
	case w.ToolChoice.Kind == '{':
		r.ToolChoice, err = objectChoice(&w.ToolChoice.Other, param)
	case w.FunctionCall.Kind == '"':
		param = "function_call"
		r.ToolChoice.Mode, err = toolMode(w.FunctionCall.String, param, "none", "auto")
	case w.FunctionCall.Kind == '{':
		param = "function_call"
		r.ToolChoice, err = oneTool(w.FunctionCall.Other.Name, param+".name")
	}
	if err != nil {
		return err
	}
	// For the zero value, too: nothing is to be found wrong in it.
	return openai.CheckToolChoice(r.ToolChoice, r.Tools, param)
}

// objectChoice reads a choice in its object form: one tool, or some.
func objectChoice(c *wireToolChoice, param string) (agent.ToolChoice, error) {
	switch {
	case c.Type == "allowed_tools" && c.Allowed == nil && c.Tools != nil:
		return allowedTools(&c.wireAllowed, param)
	case c.Type == "allowed_tools" && c.Allowed == nil:
		return agent.ToolChoice{}, openai.Missing(param + ".allowed_tools")
	case c.Type == "allowed_tools":
		return allowedTools(c.Allowed, param+".allowed_tools")
	}
	// A mode in an object, and Anthropic's names, as clients send them that speak both APIs.
	switch c.Type {
	case "none", "auto", "required":
		return agent.ToolChoice{Mode: openai.ToolModes[c.Type]}, nil
	case "any":
		return agent.ToolChoice{Mode: agent.ToolsRequired}, nil
	case "tool":
		return oneTool(c.Name, param+".name")
	}
	name, namePath, err := c.chosen(param)
	if err != nil {
		return agent.ToolChoice{}, err
	}
	return oneTool(name, namePath)
}

// chosen is the tool that c names, and the path of the name, for errors. The name may be empty,
// which is the caller's to find out.
func (c *wireToolChoice) chosen(param string) (name, namePath string, err error) {
	switch {
	// The form of the Responses API. A name within function or custom counts more.
	case c.Name != "" && c.Function.Name == "" && c.Custom.Name == "" && (c.Type == "function" || c.Type == "custom"):
		return c.Name, param + ".name", nil
	case c.Type == "custom", c.Type == "" && c.Custom.Name != "":
		return c.Custom.Name, param + ".custom.name", nil
	case c.Type == "function", c.Type == "":
		return c.Function.Name, param + ".function.name", nil
	}
	return "", "", openai.OneOf(param+".type", c.Type, "function", "custom", "allowed_tools")
}

// oneTool is the choice that requires a single tool.
func oneTool(name, param string) (agent.ToolChoice, error) {
	if name == "" {
		return agent.ToolChoice{}, openai.Missing(param)
	}
	return agent.ToolChoice{Mode: agent.ToolsRequired, Names: []string{name}}, nil
}

// allowedTools is the choice among some of the tools. Unlike in tools, the order means nothing.
// Mode says whether one of them must be called; as on the Responses API, it may be left out.
func allowedTools(c *wireAllowed, param string) (agent.ToolChoice, error) {
	mode, err := toolMode(cmp.Or(c.Mode, "auto"), param+".mode", "auto", "required")
	if err != nil {
		return agent.ToolChoice{}, err
	}
	if len(c.Tools) == 0 {
		return agent.ToolChoice{}, openai.Missing(param + ".tools")
	}
	choice := agent.ToolChoice{Mode: mode}
	for i := range c.Tools {
		name, namePath, err := c.Tools[i].chosen(fmt.Sprintf("%s.tools[%d]", param, i))
		if err != nil {
			return agent.ToolChoice{}, err
		}
		if name == "" {
			return agent.ToolChoice{}, openai.Missing(namePath)
		}
		choice.Names = append(choice.Names, name)
	}
	return choice, nil
}

// toolMode reads a choice in its string form, which must be one of allowed.
func toolMode(s, param string, allowed ...string) (agent.ToolMode, error) {
	for _, a := range allowed {
		if s == a {
			return openai.ToolModes[s], nil
		}
	}
	return 0, openai.OneOf(param, s, allowed...)
}
