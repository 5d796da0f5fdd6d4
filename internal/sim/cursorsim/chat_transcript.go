package cursorsim

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"composer-api/internal/sim/script"
)

// A transcript is what the simulator's model makes of a prompt that holds a whole conversation.
//
//	{"name":"read","description":"…","parameters":{…}}
//
//	<system_instructions>
//	Be brief.
//	</system_instructions>
//	<user_message>
//	What does go.mod say?
//	</user_message>
//	<tool_result tool="read" call="2" status="completed">
//	module example
//	</tool_result>
//
// Tools are lines of JSON before the first tag. Calls are counted from the beginning of the
// conversation. A prompt without tags is a single message of the user. How our client writes a
// transcript is a choice of ours, not of Cursor's; a real model reads anything.
//
// results are by the number of the call, as the client has counted it.
type transcript struct {
	// tools are the names, in the order of the prompt; messages counts everything that has a tag.
	tools    []string
	messages int
	prompt   string // the last user message
	results  map[int]script.Result
	lastCall int // the number of the last call that has a result
}

var (
	// element matches a line that begins a message, and resultCall what it says of a tool's result.
	element = regexp.MustCompile(`(?m)^<(system_instructions|user_message|assistant_message|tool_result)( [^>\n]*[^>\n/])?>\n`)
	// resultCall finds in a tag which call a result is of, and whether it failed.
	resultCall = regexp.MustCompile(` call="(\d+)" status="(completed|failed)"$`)
)

// readTranscript reads the text of a request. Messages of the user in a row are one prompt. It never
// fails: what it doesn't recognise is text.
func readTranscript(text string) transcript {
	t := transcript{results: map[int]script.Result{}}
	places := element.FindAllStringSubmatchIndex(text, -1)
	if len(places) == 0 {
		t.prompt, t.messages = text, 1
		return t
	}
	t.tools = readTools(text[:places[0][0]])
	t.messages = len(places)
	var prompt []string
	done := true // what the user says next is a new prompt
	for i, p := range places {
		end := len(text)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		name, attributes := text[p[2]:p[3]], ""
		if p[4] >= 0 {
			attributes = text[p[4]:p[5]]
		}
		body, _, _ := strings.Cut(text[p[1]:end], "\n</"+name+">\n")
		switch name {
		case "user_message":
			if done {
				prompt, done = nil, false
			}
			prompt = append(prompt, body)
		case "system_instructions":
		default:
			done = true
			t.takeResult(attributes, body)
		}
	}
	t.prompt = strings.Join(prompt, "\n")
	return t
}

// takeResult keeps the body of a tool's result; it ignores other messages. A result that is
// there twice counts as the later one.
func (t *transcript) takeResult(attributes, body string) {
	m := resultCall.FindStringSubmatch(attributes)
	if m == nil {
		return
	}
	n, _ := strconv.Atoi(m[1])
	t.results[n] = script.Result{Text: body, IsError: m[2] == "failed"}
	t.lastCall = max(t.lastCall, n)
}

// readTools finds the names in the lines that describe a tool: JSON with a name and parameters.
func readTools(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		var tool struct {
			Name       string          `json:"name"`
			Parameters json.RawMessage `json:"parameters"`
		}
		if json.Unmarshal([]byte(line), &tool) == nil && tool.Name != "" && tool.Parameters != nil {
			names = append(names, tool.Name)
		}
	}
	return names
}
