package script

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// marker begins a line of a prompt that is a line of a script.
const marker = "sim:"

// fences begin and end a block of a prompt that is a script.
const (
	fenceBegin = "```sim"
	fenceEnd   = "```"
)

// fromPrompt takes the script out of a prompt: rest is the prompt without any directives, and s the
// script of the last block of them; nil when there is none. Two forms of a block:
//
//	sim: text one            ```sim
//	sim: error internal      text one
//	                         error internal
//	                         ```
//
// A prompt may hold earlier blocks when it is a whole conversation in one text; those were played
// already, so only the last block counts. The error is the parser's, about the last block.
//
// Blanks and quotes may stand before a marker, because some clients quote what the user typed.
//
// It never changes what the client sent: rest is only for placeholders and for the default answer.
func fromPrompt(prompt string) (rest string, s *Script, err error) {
	if !strings.Contains(prompt, marker) && !strings.Contains(prompt, fenceBegin) {
		return prompt, nil, nil
	}
	// open is set while the lines before belong to one block of marked lines, fenced while we are
	// inside a fence. block is nil until the first block, and empty for an empty fence.
	var kept, block []string
	open, fenced := false, false
	for _, line := range strings.Split(prompt, "\n") {
		bare := strings.TrimLeft(line, " \t\"'>")
		switch {
		case fenced && strings.HasPrefix(bare, fenceEnd):
			fenced, open = false, false
		case fenced:
			block = append(block, line)
		case strings.TrimRight(bare, " \t\r") == fenceBegin:
			fenced, block = true, []string{}
		case strings.HasPrefix(bare, marker):
			if !open {
				open, block = true, nil
			}
			block = append(block, bare[len(marker):])
		default:
			open = false
			kept = append(kept, line)
		}
	}
	rest = strings.TrimSpace(strings.Join(kept, "\n"))
	if block == nil {
		return rest, nil, nil
	}
	s, err = Parse("prompt", []byte(strings.Join(block, "\n")))
	return rest, s, err
}

// request is a line by which a person asks the default to call a tool.
var request = regexp.MustCompile(`^call (\S+) (\{.*\})$`)

// defaultSteps is what a run says when no script tells it: which model was asked, how much text, how
// many tools and images arrived, and the prompt's last line. When the prompt ends in lines of the form
//
//	call TOOL {"argument": "value"}
//
// whose tools are offered, it calls them, all at once, and then reports their results. So a person can
// try tools by hand without knowing the script language. Without such lines f.Default is played, where the player has one.
// f.Prompt is without directives.
func defaultSteps(f Facts) []Step {
	if calls := requestedCalls(f); len(calls) > 0 {
		return []Step{Calls{Announced: len(calls), Steps: calls}, Say{"The tools said: {results}"}}
	}
	if f.Resume {
		return []Step{Say{"The simulator carries on."}}
	}
	if f.Default != nil {
		return f.Default
	}
	return []Step{
		Think{"The simulator thinks."},
		Say{"The simulator heard {chars} characters, {images} images and these tools: {tools}. The model is {model}. The last line was: {line}"},
	}
}

// bodyLines are the lines of a prompt, trimmed, at least one. Empty lines and closing tags at the end
// are left out: some clients wrap what the user said in tags, as in "<user_query>…</user_query>", and
// the last line is to be the user's.
func bodyLines(prompt string) []string {
	lines := strings.Split(prompt, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	for len(lines) > 1 {
		if last := lines[len(lines)-1]; last != "" && !strings.HasPrefix(last, "</") {
			break
		}
		lines = lines[:len(lines)-1]
	}
	return lines
}

// requestedCalls reads the lines at the end of the prompt that ask for a call, in their order. It
// stops at the first line from the end that is not one, names a tool that isn't offered, or has
// arguments that are not JSON.
func requestedCalls(f Facts) []Step {
	var calls []Step
	for _, line := range slices.Backward(bodyLines(f.Prompt)) {
		m := request.FindStringSubmatch(line)
		if m == nil || !json.Valid([]byte(m[2])) || !slices.Contains(f.Tools, m[1]) {
			break
		}
		calls = append(calls, Call{Tool: m[1], Args: json.RawMessage(m[2])})
	}
	slices.Reverse(calls)
	return calls
}
