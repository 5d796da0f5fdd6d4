package responses

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// toolSet holds the client's tools under the names that the model sees. The model knows functions only; the client
// knows functions, custom tools with raw text, namespaces of both, a search for more tools, a shell and patches. A
// toolSet is filled while a request is decoded, and by the items of its transcript, and not changed after that.
type toolSet struct {
	list    []agent.Tool
	forms   map[string]toolForm // by the model's name
	model   map[clientName]string
	dropped []string // types of tools that are not ours to run
}

// A toolForm is what a tool is for the client.
type toolForm struct {
	kind itemKind // the kind of item that a call of it becomes
	clientName
	at int // where it stands in the list
}

// clientName is a tool's name for the client.
type clientName struct{ namespace, name string }

// wireTool is a tool as a client sends it, of any type.
type wireTool struct {
	toolFields
	Tools []toolFields `json:"tools"` // namespace
	raw   jsontext.Value
}

type toolFields struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description *string         `json:"description"`
	Parameters  openai.Object   `json:"parameters"`
	Strict      *bool           `json:"strict"`
	Format      *openai.Grammar `json:"format"`      // custom
	Execution   string          `json:"execution"`   // tool_search
	Environment jsontext.Value  `json:"environment"` // shell
}

// UnmarshalJSON keeps the tool as it was sent, too.
func (t *wireTool) UnmarshalJSON(b []byte) error {
	type plain wireTool // without this method
	if err := json.Unmarshal(b, (*plain)(t), openai.Liberal); err != nil {
		return err
	}
	t.raw = bytes.Clone(b)
	return nil
}

// description is the tool's description; "" when it has none.
func (t *toolFields) description() string {
	if t.Description == nil {
		return ""
	}
	return *t.Description
}

// ours reports whether the tool is one that the client runs. Others are such that OpenAI runs them on its side; they
// are dropped, because Codex sends web_search whatever the model.
func (t *toolFields) ours() bool {
	switch t.Type {
	case "function", "custom":
		return true
	case searchToolName:
		return t.Execution == "client"
	case "shell":
		return t.localShell()
	case "apply_patch":
		return true
	}
	return false
}

// functionEcho is a function tool as the response shows it: all keys are there.
type functionEcho struct {
	Type        string        `json:"type"`
	Name        string        `json:"name"`
	Description *string       `json:"description"`
	Parameters  openai.Object `json:"parameters"`
	Strict      *bool         `json:"strict"`
}

func (t *wireTool) echo() jsontext.Value {
	switch {
	case t.Type == namespaceType && t.Description == nil: // which OpenAI requires
		rest, err := members(t.raw, nil)
		if err != nil {
			return t.raw
		}
		return object(append(rest, member{"description", jsontext.Value(`""`)}))
	case t.Type != "function":
		return t.raw
	}
	return openai.Encode(functionEcho{t.Type, t.Name, t.Description, t.Parameters, t.Strict})
}

// searchToolName is the model's and the client's name of the tool_search tool, which has none on the wire.
const searchToolName = "tool_search"

// namespaceType is the type of what holds tools that the client tells apart by its name.
const namespaceType = "namespace"

// addAll offers tools. A tool with the name of an earlier one takes its place.
func (s *toolSet) addAll(tools []wireTool, param string) error {
	for i := range tools {
		if err := s.addTop(&tools[i], param+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	return nil
}

func (s *toolSet) addTop(t *wireTool, param string) error {
	switch {
	case tooDeep(t.raw):
		return nestedTooDeeply(param)
	case t.Type == namespaceType:
		return s.addNamespace(t, param)
	}
	return s.add(&t.toolFields, "", param)
}

func (s *toolSet) addNamespace(t *wireTool, param string) error {
	if t.Name == "" {
		return openai.Missing(param + ".name")
	}
	for i := range t.Tools {
		if err := s.add(&t.Tools[i], t.Name, param+".tools["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	return nil
}

// add offers a tool that is no namespace.
func (s *toolSet) add(t *toolFields, namespace, param string) error {
	switch {
	case t.Type == "":
		return openai.Missing(param + ".type")
	case !t.ours():
		s.dropped = append(s.dropped, t.Type)
		return nil
	case t.Type == "function":
		return s.addFunction(t, namespace, param)
	case t.Type == "custom":
		return s.addCustom(t, namespace, param)
	case t.Type == searchToolName:
		return s.addToolSearch(t, param)
	}
	return s.addLocal(t, param)
}

func (s *toolSet) addFunction(t *toolFields, namespace, param string) error {
	tool := agent.Tool{Description: t.description(), Parameters: []byte(t.Parameters), Strict: t.Strict != nil && *t.Strict}
	return s.offer(functionCallItem, clientName{namespace, t.Name}, tool, param)
}

func (s *toolSet) addCustom(t *toolFields, namespace, param string) error {
	var grammar openai.Grammar
	if t.Format != nil {
		grammar = *t.Format
	}
	return s.offer(customCallItem, clientName{namespace, t.Name}, openai.CustomTool("", t.description(), grammar), param)
}

// addToolSearch offers the search for more tools, which the client carries out. OpenAI's own search isn't needed: all
// tools of the request are offered anyway.
func (s *toolSet) addToolSearch(t *toolFields, param string) error {
	description := cmp.Or(t.description(), "Searches for further tools by what they do. The tools found can be called afterwards.")
	tool := agent.Tool{Description: description, Parameters: []byte(t.Parameters)}
	return s.offer(toolSearchCallItem, clientName{"", searchToolName}, tool, param)
}

func (s *toolSet) offer(kind itemKind, name clientName, tool agent.Tool, param string) error {
	if name.name == "" {
		return openai.Missing(param + ".name")
	}
	if s.forms == nil {
		s.forms, s.model = map[string]toolForm{}, map[clientName]string{}
	}
	at := len(s.list)
	if known, ok := s.model[name]; ok {
		tool.Name, at = known, s.forms[known].at
		s.list[at] = tool
	} else {
		tool.Name = s.freeName(name)
		s.list = append(s.list, tool)
	}
	s.model[name] = tool.Name
	s.forms[tool.Name] = toolForm{kind, name, at}
	return nil
}

// freeName is the name for the model of a tool that it doesn't know yet.
func (s *toolSet) freeName(name clientName) string {
	flat := flatName(name)
	free := flat
	for n := len(s.list) + 1; ; n++ {
		if _, taken := s.forms[free]; !taken {
			return free
		}
		free = flat + "_" + strconv.Itoa(n)
	}
}

// flatName joins namespace and name the way MCP clients do.
func flatName(name clientName) string {
	if name.namespace == "" {
		return name.name
	}
	return strings.TrimRight(name.namespace, "_") + "__" + name.name
}

// modelName is the model's name of a tool that a call in the history names. The tool may no longer be offered.
func (s *toolSet) modelName(name clientName) string {
	if known, ok := s.model[name]; ok {
		return known
	}
	return flatName(name)
}

// clientCall is what the model's call is for the client: the tool's form, and the text of its arguments or input.
func (s *toolSet) clientCall(c *agent.ToolCall) (toolForm, []byte) {
	form, ok := s.forms[c.Name]
	if !ok {
		form = toolForm{kind: functionCallItem, clientName: clientName{name: c.Name}}
	}
	if form.kind == toolSearchCallItem && tooDeep(jsontext.Value(c.Arguments)) {
		form.kind = functionCallItem // whose arguments are a string
	}
	switch form.kind {
	case customCallItem:
		return form, []byte(openai.CustomInput(form.name, c.Arguments))
	case shellCallItem, patchCallItem:
		return form, localTools[form.name].content(c.Arguments)
	}
	return form, c.Arguments
}
