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
//	[system]
//	Be brief.
//
//	[user]
//	What does go.mod say?
//
//	[result of call 2, read]
//	module example
//
// Tools are lines of JSON before the first heading. Calls are counted from the beginning of the
// conversation; a failed one is under "[error from call 2, read]". A prompt without headings is a
// single message of the user. How our client writes a transcript is a choice of ours, not of Cursor's;
// a real model reads anything.
type transcript struct {
	tools    []string
	messages int
	prompt   string // the last user message
	results  map[int]script.Result
	lastCall int // the number of the last call that has a result
}

var (
	// heading matches a line that begins a message. Only these words are headings, so that text in
	// brackets inside a message stays text.
	heading       = regexp.MustCompile(`(?m)^\[(system|user|assistant|result of|error from)( [^\]\n]*)?\]\n`)
	resultHeading = regexp.MustCompile(`^\[(result of|error from) call (\d+), `)
)

// readTranscript reads the text of a request. Messages of the user in a row are one prompt. It never
// fails: what it doesn't recognise is text.
func readTranscript(text string) transcript {
	t := transcript{results: map[int]script.Result{}}
	places := heading.FindAllStringIndex(text, -1)
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
			end = places[i+1][0] - 1 // the empty line before the heading
		}
		head, body := text[p[0]:p[1]], strings.TrimSuffix(text[p[1]:max(p[1], end)], "\n")
		switch {
		case strings.HasPrefix(head, "[user"):
			if done {
				prompt, done = nil, false
			}
			prompt = append(prompt, body)
		case strings.HasPrefix(head, "[system"):
		default:
			done = true
			t.takeResult(head, body)
		}
	}
	t.prompt = strings.Join(prompt, "\n")
	return t
}

// takeResult keeps the body of a heading that is a tool's result; it ignores other headings.
func (t *transcript) takeResult(head, body string) {
	m := resultHeading.FindStringSubmatch(head)
	if m == nil {
		return
	}
	n, _ := strconv.Atoi(m[2])
	t.results[n] = script.Result{Text: body, IsError: m[1] == "error from"}
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
