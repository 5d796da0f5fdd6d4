package sdkbridge

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"composer-api/internal/agent"
)

// What happens to a parked run when the client's next request offers other tools. localagent
// can tell upstream of new ones; an agent of the bridge can't be told. Of another form of the answer the model hears with the
// next result.

// Adapt implements agent.Adaptable. The bridge's agents have the tools that they were made with. So the run goes on only
// as long as its calls are still of tools that are offered, and not when a result tells the model of a tool that is new:
// the model would call it, and the agent has no such tool.
//
//	offered now                                       the run
//	what its calls are of, and maybe less or more     goes on; calls of what is gone are refused
//	nothing                                           goes on, and the model is told with the next result
//	not what a waiting call is of                     is given up
//	more, and a result names what is new              is given up: a new agent knows the new tool
func (r *run) Adapt(req *agent.Request) bool {
	offered := req.Offered()
	r.mu.Lock()
	defer r.mu.Unlock()
	var called []string
	for _, h := range r.waiting {
		called = append(called, h.call.Name)
	}
	if !agent.StillOffered(called, offered) || r.tellsOf(offered, req.Messages) {
		return false
	}
	if len(offered) == 0 {
		r.note = agent.AddNote(r.note, agent.ToolsChanged(r.tools, nil))
	}
	r.note = agent.AddNote(r.note, agent.FormatChanged(r.format, &req.Format))
	r.format = req.Format.ID()
	r.offered, r.tools = offered, agent.IndexTools(offered)
	return true
}

// tellsOf reports whether a result of the calls that wait names a tool that the agent doesn't have, as that of a search
// for tools does. mu is held.
func (r *run) tellsOf(offered []agent.Tool, messages []agent.Message) bool {
	var added []string
	made := agent.IndexTools(r.req.Offered())
	for i := range offered {
		if !made.Has(offered[i].Name) {
			added = append(added, offered[i].Name)
		}
	}
	for i := range messages {
		m := &messages[i]
		if m.Role != agent.ToolRole || r.waiting[m.CallID] == nil {
			continue
		}
		text := m.Text()
		if slices.ContainsFunc(added, func(name string) bool { return hasWord(text, name) }) {
			return true
		}
	}
	return false
}

// hasWord reports whether text has the name of a tool in it, and not only as a part of other
// words. A name like "read" would otherwise be found in "already".
func hasWord(text, name string) bool {
	for at := 0; name != ""; {
		next := strings.Index(text[at:], name)
		if next < 0 {
			return false
		}
		at += next
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		at += len(name)
		after, _ := utf8.DecodeRuneInString(text[at:])
		if !isWord(before) && !isWord(after) {
			return true
		}
	}
	return false
}

// isWord reports whether a character may be part of a tool's name.
func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
