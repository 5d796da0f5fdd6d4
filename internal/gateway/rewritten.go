package gateway

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
)

// Some clients run a call with other arguments than the model gave, and send the call back so: Claude Code takes
// "cd FOLDER && " off a command and adds the defaults of its tools, and elsewhere a person may have corrected a call
// before allowing it. To give the run up for that would send the whole conversation again at almost every step. So the
// run goes on, and hears of it.

// known are the calls that w has asked for, when the client may have rewritten them: by their
// ids, which are ours and can't be guessed, and the tools' names. Whether this client may do
// so, its surface says (agent.Request.RewritesCalls).
func (t *turn) known(w *waiting) map[callName]Digest {
	if !t.req.RewritesCalls {
		return nil
	}
	known := make(map[callName]Digest, len(w.asked))
	for _, a := range w.asked {
		known[a.callName] = a.digest
	}
	return known
}

// tellRewritten puts before the result of each of the given calls which arguments the client has changed.
//
// results are changed in place; their parts are not, because they are still the transcript's.
func tellRewritten(results []agent.ToolResult, given []agent.ToolCall, messages []agent.Message) {
	sent := map[string]agent.ToolCall{}
	// Only the messages since the user's last: older calls have their results already.
	for _, m := range messages[lastGroup(messages):] {
		for _, c := range m.Calls {
			sent[c.ID] = c
		}
	}
	wrote := make(map[string]agent.ToolCall, len(given))
	for _, c := range given {
		wrote[c.ID] = c
	}
	for i := range results {
		r := &results[i]
		gave, known := wrote[r.CallID]
		ran, repeated := sent[r.CallID]
		if !known || !repeated {
			continue
		}
		if note := changes(gave.Arguments, ran.Arguments); note != "" {
			r.Parts = append([]agent.Part{{Text: note}}, r.Parts...)
		}
	}
}

// maxChanges bounds the arguments that a note repeats; of longer ones only the names are told. A
// long argument is most often a file's content, which the model can read again if it needs to.
const maxChanges = 1000

// changes says which arguments that the model gave were changed or left out; "" for none. What was added is not told:
// the model has left it to the client. Neither is a change of white space, or of a number to its text.
//
//	gave {"command": "cd /w && go test", "timeout": 5}    ran {"command": "go test", "timeout": "5", "cwd": "/w"}
//	The client ran the call with these arguments instead of yours: {"command":"go test"}
//
// Arguments that are no JSON objects are not compared: then there is nothing to name.
func changes(given, ran []byte) string {
	var gave, has map[string]jsontext.Value
	if json.Unmarshal(given, &gave) != nil || json.Unmarshal(ran, &has) != nil {
		return ""
	}
	changed := map[string]jsontext.Value{}
	// Only what the model gave is compared.
	for name, value := range gave {
		now, ok := has[name]
		if !ok {
			now = jsontext.Value("null")
		}
		if plain(now) != plain(value) {
			changed[name] = now
		}
	}
	if len(changed) == 0 {
		return ""
	}
	told, err := json.Marshal(changed, json.Deterministic(true))
	if err != nil || len(told) > maxChanges {
		return "The client changed these arguments before it ran the call: " + strings.Join(slices.Sorted(maps.Keys(changed)), ", ") + ".\n\n"
	}
	return "The client ran the call with these arguments instead of yours: " + string(told) + "\n\n"
}

// plain is what a value says, without white space and without telling a text from what it spells.
func plain(v jsontext.Value) string {
	var text string
	if json.Unmarshal(v, &text) != nil {
		text = string(canonical(v))
	}
	return string(bytes.Join(bytes.Fields([]byte(text)), nil))
}
