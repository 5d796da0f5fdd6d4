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

// A toolSet holds the client's tools under the names that the model sees. The model knows only functions; the client knows
// functions, custom tools with free text, namespaces of both, a search for more tools, a shell and patches.
//
//	client                                   model
//	function "read"                          read
//	namespace "fs", function "read"          fs__read
//	custom "apply_patch"                     apply_patch {"input": …}
//	tool_search                              tool_search
//
// It is filled while a request is decoded, and by the items of its transcript, and not changed after that.
//
//	a call of the model    clientCall     forms: by the model's name
//	a call in the history  modelName      model: by the client's name
type toolSet struct {
	list    []agent.Tool
	forms   map[string]toolForm // by the model's name
	model   map[clientName]string
	dropped []string // types of tools that are not ours to run
}

// A toolForm is what a tool is for the client. A call of the model is converted back by it: the model calls fs__read, the
// client gets the name read and the namespace fs.
type toolForm struct {
	kind itemKind // the kind of item that a call of it becomes
	clientName
	at int // its index in the list
}

// A clientName is a tool's name for the client. The namespace is "" for a tool outside of any.
type clientName struct{ namespace, name string }

// A wireTool is a tool as a client sends it, of any type. raw is kept, because the response repeats it.
//
//	{"type": "function", "name": "read", "description": "…", "parameters": {…}, "strict": true}
//	{"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "…"}}
//	{"type": "namespace", "name": "mcp__fs", "tools": [{"type": "function", …}]}
//	{"type": "tool_search", "execution": "client", "description": "…", "parameters": {…}}
//	{"type": "shell"}
//	{"type": "web_search"}
type wireTool struct {
	toolFields
	Tools []toolFields `json:"tools"` // namespace
	raw   jsontext.Value
}

// toolFields are the members of a tool, of any type.
type toolFields struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description *string         `json:"description"`
	Parameters  openai.Object   `json:"parameters"`
	Strict      *bool           `json:"strict"`
	Format      *openai.Grammar `json:"format"`      // custom
	Execution   string          `json:"execution"`   // tool_search
	Environment jsontext.Value  `json:"environment"` // shell
	chatShape
}

// UnmarshalJSON implements json.Unmarshaler. It also keeps the tool as it was sent.
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

// ours reports whether the tool is one that the client runs. The others are run by OpenAI. They are dropped and not refused,
// because Codex sends web_search whatever the model.
//
//	function, custom, apply_patch   always
//	tool_search                     with "execution": "client"
//	shell                           unless its environment is a container
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

// functionEcho is a function tool as the response shows it, with all keys.
type functionEcho struct {
	Type        string        `json:"type"`
	Name        string        `json:"name"`
	Description *string       `json:"description"`
	Parameters  openai.Object `json:"parameters"`
	Strict      *bool         `json:"strict"`
}

// echo is the tool as the response shows it. Only functions need work: all their members must be there, also as null.
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

// searchToolName is the name of the tool_search tool for the model. On the wire it has a type and no name.
const searchToolName = "tool_search"

// namespaceType is the type of a namespace: a list of tools whose names are unique only in it.
const namespaceType = "namespace"

// addAll adds tools. A tool with the name of an earlier one replaces it, in its place: a later request may describe a tool
// anew, and the list of tools should stay the same for the model as far as it can.
func (s *toolSet) addAll(tools []wireTool, param string) error {
	for i := range tools {
		if err := s.addTop(&tools[i], param+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	return nil
}

// addTop adds a tool or a namespace. The response repeats it, so it must not be nested too deeply.
func (s *toolSet) addTop(t *wireTool, param string) error {
	switch {
	case tooDeep(t.raw):
		return nestedTooDeeply(param)
	case t.Type == namespaceType:
		return s.addNamespace(t, param)
	}
	return s.add(&t.toolFields, "", param)
}

// addNamespace adds the tools of a namespace. Namespaces don't nest: a namespace in one has a type that isn't ours, and is
// dropped.
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

// add adds a tool that is not a namespace. Tools that aren't ours are recorded as dropped.
//
//	type                          becomes
//	function                      a function with the client's schema
//	custom                        a function with one text
//	tool_search, the client's     a function with the client's schema
//	shell, apply_patch            a function with our schema (localTools)
//	anything else                 nothing; its type is in dropped
func (s *toolSet) add(t *toolFields, namespace, param string) error {
	switch {
	case t.Type == "":
		return openai.Missing(param + ".type")
	case !t.ours():
		s.dropped = append(s.dropped, t.Type)
		return nil
	case t.Name == "" && (t.Type == "function" || t.Type == "custom"):
		return t.missingName(param)
	case t.Type == "function":
		s.addFunction(t, namespace)
	case t.Type == "custom":
		s.addCustom(t, namespace)
	case t.Type == searchToolName:
		s.addToolSearch(t)
	default:
		s.addLocal(t)
	}
	return nil
}

// addFunction adds a function, with its schema as it was sent.
func (s *toolSet) addFunction(t *toolFields, namespace string) {
	tool := agent.Tool{Description: t.description(), Parameters: []byte(t.Parameters), Strict: t.Strict != nil && *t.Strict}
	s.offer(functionCallItem, clientName{namespace, t.Name}, tool)
}

// addCustom adds a custom tool, whose input is free text or text of a grammar. The model gets it as a function with one
// string argument, see [openai.CustomTool].
func (s *toolSet) addCustom(t *toolFields, namespace string) {
	var grammar openai.Grammar
	if t.Format != nil {
		grammar = *t.Format
	}
	s.offer(customCallItem, clientName{namespace, t.Name}, openai.CustomTool("", t.description(), grammar))
}

// addToolSearch adds the search for more tools, if the client carries it out. OpenAI's own search isn't needed, because the
// model gets all tools of the request anyway.
func (s *toolSet) addToolSearch(t *toolFields) {
	description := cmp.Or(t.description(), "Searches for further tools by what they do. The tools found can be called afterwards.")
	tool := agent.Tool{Description: description, Parameters: []byte(t.Parameters)}
	s.offer(toolSearchCallItem, clientName{"", searchToolName}, tool)
}

// offer puts a tool into the list, in the place of an earlier one with the same name. An
// earlier tool of that name is replaced, also one of another type.
func (s *toolSet) offer(kind itemKind, name clientName, tool agent.Tool) {
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
}

// freeName is a name for the model that no other tool has: two tools of the client may have the
// same flat name, such as the function fs__read and the function read in fs. The loop ends:
// there are no more names taken than tools in the list.
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

// flatName joins namespace and name as MCP clients do.
func flatName(name clientName) string {
	if name.namespace == "" {
		return name.name
	}
	return strings.TrimRight(name.namespace, "_") + "__" + name.name
}

// modelName is the model's name of a tool that a call in the history names. The tool may no longer be there; then it is
// what the name would be if it were.
func (s *toolSet) modelName(name clientName) string {
	if known, ok := s.model[name]; ok {
		return known
	}
	return flatName(name)
}

// clientCall converts the model's call: the tool's form for the client, and the text of its arguments or input. A call of a
// tool that isn't in the set, which a model may make up, is a function call of that name: the client says what it says to
// such calls.
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
