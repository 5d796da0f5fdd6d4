package responses

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// OpenAI has defined two tools without a schema that the client runs all the same: a shell, and one that changes files.
// The model gets each as a function with the arguments that the published item has, and a call of it goes to the client
// as that item:
//
//	the model calls   shell {"commands": ["ls"], "timeout_ms": 1000}
//	the client gets   {"type": "shell_call", "call_id": "…", "action": {"commands": ["ls"], "timeout_ms": 1000, "max_output_length": null}, …}
//	it answers        {"type": "shell_call_output", "call_id": "…", "output": [{"stdout": "…", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]}
//	the model reads   the output as a terminal would show it

// A localTool is one of these tools.
// An entry is all that a tool of this kind needs on the way to the client; the way back is in
// shellCall and its neighbours.
type localTool struct {
	kind itemKind // of the item that a call becomes
	// tool is what the model is offered in its place: a function.
	tool agent.Tool
	// content is what the arguments of a call are in its item. Models write arguments in other shapes, too, so it takes
	// what it can make out.
	content func(arguments []byte) jsontext.Value
}

// localTools are these tools by type, which is also the name that the model knows them by. The
// descriptions and schemas are ours, written for the model; OpenAI publishes only the items.
var localTools = map[string]localTool{
	"shell": {shellCallItem, agent.Tool{
		Description: "Runs commands in a shell on the user's computer and returns what each has written, and its exit code.",
		Parameters: []byte(`{"type":"object","properties":{` +
			`"commands":{"type":"array","items":{"type":"string"},"description":"The commands, each a line for the shell. They run one after the other."},` +
			`"timeout_ms":{"type":"integer","description":"How long the commands may take, in milliseconds."},` +
			`"max_output_length":{"type":"integer","description":"How many characters of each command's output to return."}` +
			`},"required":["commands"],"additionalProperties":false}`),
	}, shellAction},
	"apply_patch": {patchCallItem, agent.Tool{
		Description: "Creates, changes or deletes one file. For several files call it several times.",
		Parameters: []byte(`{"type":"object","properties":{` +
			`"type":{"type":"string","enum":["create_file","update_file","delete_file"]},` +
			`"path":{"type":"string","description":"The file's path."},` +
			`"diff":{"type":"string","description":"What changes. For create_file every line of the new file, each with a + before it. ` +
			`For update_file one or more hunks: a line with @@ (and, where that helps to find the place, a line of the file after it), then lines of the file with a space before those that stay, - before those that go and + before those that are new. ` +
			`Give three lines around a change as they are. No line numbers. Leave it out for delete_file."}` +
			`},"required":["type","path"],"additionalProperties":false}`),
	}, patchOperation},
}

// localShell reports whether the shell is the client's: one in a container is OpenAI's. A shell
// without an environment is the client's. An object that can't be read is not the client's.
// The published forms of environment are {"type":"local"}, {"type":"container_auto", …} and
// {"type":"container_reference", "container_id": …}.
func (t *toolFields) localShell() bool {
	var environment struct {
		Type string `json:"type"`
	}
	return t.Environment.Kind() != '{' || json.Unmarshal(t.Environment, &environment, openai.Liberal) == nil && environment.Type == "local"
}

// addLocal offers a tool of localTools.
func (s *toolSet) addLocal(t *toolFields) {
	l := localTools[t.Type]
	s.offer(l.kind, clientName{"", t.Type}, l.tool)
}

// The published contents of calls. Members that the client didn't give are null in a shell's
// action, as published.
type (
	shellContent struct {
		// Times are in milliseconds, lengths in characters. Null leaves both to the client.
		Commands        []string    `json:"commands"`
		TimeoutMs       *openai.Int `json:"timeout_ms"`
		MaxOutputLength *openai.Int `json:"max_output_length"`
	}
	patchContent struct {
		Type string `json:"type"`
		Path string `json:"path"`
		// Diff is missing for "delete_file".
		Diff *string `json:"diff,omitzero"`
	}
)

// shellAction is the action of a shell_call. A single command may come as a text, and under
// another name. Arguments that name no command make an action without commands. The same
// function reads the action of an item, because that has the form of the arguments.
func shellAction(arguments []byte) jsontext.Value {
	var sent struct {
		Commands jsontext.Value `json:"commands"`
		Command  jsontext.Value `json:"command"`
		Timeout  jsontext.Value `json:"timeout_ms"`
		Length   jsontext.Value `json:"max_output_length"`
	}
	_ = json.Unmarshal(arguments, &sent, openai.Liberal) // what is no object has no commands
	action := shellContent{Commands: []string{}, TimeoutMs: intIn(sent.Timeout), MaxOutputLength: intIn(sent.Length)}
	// The first of the two names that holds anything counts.
	for _, commands := range []jsontext.Value{sent.Commands, sent.Command} {
		var one string
		switch {
		case json.Unmarshal(commands, &one, openai.Liberal) == nil && one != "":
			action.Commands = []string{one}
		case commands.Kind() == '[':
			_ = json.Unmarshal(commands, &action.Commands, openai.Liberal)
		default:
			continue
		}
		break
	}
	return openai.Encode(action)
}

// intIn is the whole number that v is; nil when it is none. A number in quotes is none.
func intIn(v jsontext.Value) *openai.Int {
	var n openai.Int
	if v.Kind() != '0' || json.Unmarshal(v, &n, openai.Liberal) != nil {
		return nil
	}
	return &n
}

// patchOperation is the operation of an apply_patch_call. Arguments that say no known type are
// an update, which harms nothing when it was not meant: its diff doesn't fit then. The names
// are read in any case of letters. It reads the operation of an item as well as arguments.
func patchOperation(arguments []byte) jsontext.Value {
	type plain struct {
		Type, Path, Diff string
	}
	var sent struct {
		plain
		Operation plain `json:"operation"` // some models repeat the item's form
	}
	_ = json.Unmarshal(arguments, &sent, json.JoinOptions(openai.Liberal, json.MatchCaseInsensitiveNames(true)))
	p := sent.plain
	// The path is what every operation has, so it tells which of the two forms the model wrote.
	if p.Path == "" {
		p = sent.Operation
	}
	operation := patchContent{Type: p.Type, Path: p.Path, Diff: &p.Diff}
	switch p.Type {
	case "delete_file":
		// The published operation of a deletion has no diff at all; one of another kind has it,
		// even when it is empty.
		operation.Diff = nil
	case "create_file":
	default:
		operation.Type = "update_file"
	}
	return openai.Encode(operation)
}

// shellOutput is what a shell_call_output has for each command.
type shellOutput struct {
	// The texts are as the client has cut them to max_output_length.
	Stdout  string       `json:"stdout"`
	Stderr  string       `json:"stderr"`
	Outcome shellOutcome `json:"outcome"`
}

// A shellOutcome says how a command ended. The exit code is there for "exit" alone.
type shellOutcome struct {
	Type     string      `json:"type"` // "exit" or "timeout"
	ExitCode *openai.Int `json:"exit_code,omitzero"`
}

// localItem are the members of items of these tools. They are raw, because clients send some of
// them in other forms.
type localItem struct {
	Action          jsontext.Value `json:"action"`    // shell_call
	Operation       jsontext.Value `json:"operation"` // apply_patch_call
	Output          jsontext.Value `json:"output"`    // a list for shell_call_output, a text for apply_patch_call_output
	Environment     jsontext.Value `json:"environment"`
	MaxOutputLength jsontext.Value `json:"max_output_length"`
}

// local reads the members of an item of these tools. What has another form than published is as if it weren't there.
func (it *Item) local() (l localItem) {
	_ = openai.DecodeOwn(it.raw, &l) // it was decoded before, so that it is an object
	return l
}

// outputs are the results of a shell_call_output. What is no time-out counts as an exit, with
// code 0 if it has none. It is nil for what is no list.
func (l *localItem) outputs() []shellOutput {
	var list []shellOutput
	if l.Output.Kind() == '[' {
		_ = json.Unmarshal(l.Output, &list, openai.Liberal)
	}
	for i := range list {
		// A time-out has no exit code, whatever the client has put there.
		if o := &list[i].Outcome; o.Type != "timeout" {
			o.Type, o.ExitCode = "exit", cmp.Or(o.ExitCode, new(openai.Int))
		} else {
			o.ExitCode = nil
		}
	}
	return list
}

// shellCall adds a call of the shell. It makes of an action what the model wrote: an action has null for what a call leaves
// out. That matters because a run that waits for the result is known by its calls.
func (t *transcript) shellCall(it *Item) error {
	l := it.local()
	action := shellAction(l.Action)
	// members leaves out what is null, as the model does.
	arguments, err := members(action, nil)
	if err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	return t.call(it, "shell", []byte(object(arguments)))
}

// patchCall adds a call that changes a file. As with shellCall, what the client sends back
// becomes what the model wrote.
func (t *transcript) patchCall(it *Item) error {
	l := it.local()
	return t.call(it, "apply_patch", []byte(patchOperation(l.Operation)))
}

// shellCallOutput adds what the commands have written, in the words of a terminal: the outputs
// one after the other, stderr after stdout, and the exit code only if it isn't 0. What has no
// known form is passed on as the text that it is.
func (t *transcript) shellCallOutput(it *Item) error {
	l := it.local()
	var text strings.Builder
	// outputs has set an exit code for every outcome that is no time-out, so it is never nil below.
	for i, o := range l.outputs() {
		if i > 0 {
			text.WriteString("\n")
		}
		text.WriteString(o.Stdout)
		if o.Stderr != "" {
			text.WriteString("\n[stderr]\n" + o.Stderr)
		}
		switch {
		case o.Outcome.Type == "timeout":
			text.WriteString("\n[timed out]")
		case *o.Outcome.ExitCode != 0:
			fmt.Fprintf(&text, "\n[exit code %d]", *o.Outcome.ExitCode)
		}
	}
	// No outputs at all, or one of a command that went well and wrote nothing: the model gets what the client has sent.
	if text.Len() == 0 {
		text.WriteString(textOf(l.Output))
	}
	return t.result(it, []agent.Part{{Text: text.String()}})
}

// patchCallOutput adds the result of a change. The client's output may be empty; the model gets a sentence then.
func (t *transcript) patchCallOutput(it *Item) error {
	l := it.local()
	text := textOf(l.Output)
	// An empty result would leave the model to guess.
	if text == "" {
		text = "The patch was applied."
		if it.wire.Status == "failed" {
			text = "The patch could not be applied."
		}
	}
	return t.result(it, []agent.Part{{Text: text}})
}

// The items in the form of a list.
type (
	// The published types want every member, also as null: so none of these has omitzero.
	shellCallResource struct {
		resourceHead
		Status      Status         `json:"status"`
		CallID      string         `json:"call_id"`
		Action      jsontext.Value `json:"action"`
		Environment jsontext.Value `json:"environment"`
	}
	shellOutputResource struct {
		resourceHead
		Status          Status        `json:"status"`
		CallID          string        `json:"call_id"`
		Output          []shellOutput `json:"output"`
		MaxOutputLength *openai.Int   `json:"max_output_length"`
	}
	patchCallResource struct {
		resourceHead
		Status    Status         `json:"status"`
		CallID    string         `json:"call_id"`
		Operation jsontext.Value `json:"operation"`
	}
	patchOutputResource struct {
		resourceHead
		Status Status  `json:"status"`
		CallID string  `json:"call_id"`
		Output *string `json:"output"`
	}
)

// localResource is the item of one of these tools in the form of a list; nil for other items.
// The statuses of a patch are others than those of a shell: it is completed or in progress as a
// call, and completed or failed as a result.
func localResource(head resourceHead, it *Item) any {
	w := &it.wire
	switch w.Type {
	case "shell_call":
		l := it.local()
		return shellCallResource{head, statusOf(w.Status), w.CallID, shellAction(l.Action), shellEnvironment(l.Environment)}
	case "shell_call_output":
		l := it.local()
		return shellOutputResource{head, statusOf(w.Status), w.CallID, l.outputs(), intIn(l.MaxOutputLength)}
	case "apply_patch_call":
		l := it.local()
		status := Completed
		// "incomplete", which a shell's call may have, is not among the statuses of a patch.
		if w.Status == string(InProgress) {
			status = InProgress
		}
		return patchCallResource{head, status, w.CallID, patchOperation(l.Operation)}
	case "apply_patch_call_output":
		l := it.local()
		status := Completed
		if w.Status == string(Failed) {
			status = Failed
		}
		return patchOutputResource{head, status, w.CallID, orNull(textOf(l.Output))}
	}
	return nil
}

// localEnvironment is the environment of every shell_call of ours.
// It is written into every call, because this server has no containers: a client that finds no
// environment might think of OpenAI's.
var localEnvironment = jsontext.Value(`{"type":"local"}`)

// shellEnvironment is an environment as a list shows it: where it is, and not what it holds.
// What isn't known is null.
func shellEnvironment(sent jsontext.Value) jsontext.Value {
	var e struct {
		Type      string `json:"type"`
		Container string `json:"container_id"`
	}
	switch {
	case sent.Kind() != '{' || json.Unmarshal(sent, &e, openai.Liberal) != nil:
	case e.Type == "local":
		return localEnvironment
	case e.Type == "container_reference":
		return openai.Encode(e)
	}
	return jsontext.Value("null")
}
