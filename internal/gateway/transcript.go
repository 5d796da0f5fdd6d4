package gateway

import (
	"slices"

	"composer-api/internal/agent"
)

// What the messages of a request say about the calls of the run before: which calls are open,
// which results are new, what the user has added. Messages come as the client tells them;
// nothing here changes them, and where something must differ, a copy is made.

// lastGroup is the index where the model's last calls and answers begin, with their results: a run that is resumed has seen
// everything before it.
//
//	user   assistant+calls   tool   tool   assistant+calls   tool   user
//	       ▲ lastGroup                                              ▲ agent.FirstNew
func lastGroup(messages []agent.Message) int {
	i := agent.FirstNew(messages)
	for i > 0 && (messages[i-1].Role == agent.Assistant || messages[i-1].Role == agent.ToolRole) {
		i--
	}
	return i
}

// waitedFor lists the calls that a parked run may be waiting for, if this request has its
// results: the calls that have a result after the assistant's last message, and the calls of
// that message itself, which an interrupted client leaves without results. It is nil when
// nothing follows the assistant's last message. More ids than the run waits for do no harm: the
// lot looks for a run that waits for any of them.
func waitedFor(messages []agent.Message) []string {
	var ids []string
	for i, m := range slices.Backward(messages) {
		if m.Role == agent.Assistant {
			if i == len(messages)-1 {
				return nil // nothing came after it
			}
			for _, c := range m.Calls {
				ids = append(ids, c.ID)
			}
			break
		}
		if m.Role == agent.ToolRole {
			ids = append(ids, m.CallID)
		}
	}
	return ids
}

// digestUpToNew digests the messages up to the first that is new.
func digestUpToNew(messages []agent.Message) *digester {
	d := newDigester()
	for i := range messages[:agent.FirstNew(messages)] {
		d.message(&messages[i])
	}
	return d
}

// beforeResults is d, the digest of a transcript up to the first message that is new, without the results of calls: what a run that
// waits for those results has seen. For known see digester.
//
// It must come to what finishWithCalls had hashed when the run was parked: everything up to the calls,
// with the results of earlier calls of the same group, but not those that the run still waits for. The calls that it waits
// for are in the open group: a message of the user's behind them would end it, and the run has seen none.
func (d *digester) beforeResults(calls []string, known map[callName]Digest) *digester {
	seen := d.clone()
	seen.known = known
	pending := make(map[string]bool, len(calls))
	for _, id := range calls {
		pending[id] = true
	}
	seen.results = slices.DeleteFunc(slices.Clone(d.results), func(r *heldResult) bool { return pending[r.CallID] })
	return seen
}

// An askedCall is a call that the model has made since the last message of a user or system. Clients may rename calls, so it
// is compared by its digest.
type askedCall struct {
	callName
	digest Digest // callDigest
}

// renamed returns messages with the ids of asked in its last group, in place of those that the client has given to the same
// calls. Equal calls are told apart by their order. It reports false when the group has other calls. messages itself is not
// changed.
//
// The order of equal calls is the only thing left to tell them apart, and clients keep it: a
// client runs what it was given, and reports in that order or by its own ids.
func renamed(messages []agent.Message, asked []askedCall) ([]agent.Message, bool) {
	ours := make(map[Digest][]string, len(asked))
	for _, a := range asked {
		ours[a.digest] = append(ours[a.digest], a.id)
	}
	messages = slices.Clone(messages)
	group := messages[lastGroup(messages):agent.FirstNew(messages)]
	names := map[string][]string{} // the client's id to ours, in order: a client may use one id for several calls
	found := 0
	for i := range group {
		m := &group[i]
		m.Calls = slices.Clone(m.Calls)
		for j := range m.Calls {
			c := &m.Calls[j]
			digest := callDigest(c)
			if len(ours[digest]) == 0 {
				return nil, false
			}
			id := ours[digest][0]
			ours[digest] = ours[digest][1:]
			names[c.ID] = append(names[c.ID], id)
			c.Arguments = withoutID(c)
			c.ID = id
			found++
		}
	}
	for i := range group {
		m := &group[i]
		if m.Role != agent.ToolRole {
			continue
		}
		ids := names[m.CallID]
		if len(ids) == 0 {
			return nil, false
		}
		names[m.CallID] = ids[1:]
		m.CallID = ids[0]
	}
	return messages, found == len(asked)
}

// callIDs lists the ids of all calls in messages.
func callIDs(messages []agent.Message) []string {
	var ids []string
	for i := range messages {
		for _, c := range messages[i].Calls {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// brings reports whether messages have a result for any of calls.
func brings(messages []agent.Message, calls []string) bool {
	return slices.ContainsFunc(messages, func(m agent.Message) bool { return m.Role == agent.ToolRole && slices.Contains(calls, m.CallID) })
}

// resultsFor collects the results of calls from the transcript: the last one of each. A call without one gets an error result, so
// that the model can go on: upstream waits for all of them. What the user says along with the results goes with the last of them,
// because upstream takes only results then, and with it who says it, where the client tells.
//
// calls is not empty. The order of the results is that of calls, whatever order the client has them in.
func resultsFor(calls []string, messages []agent.Message) []agent.ToolResult {
	given := make(map[string]*agent.Message, len(calls))
	for i := range messages {
		if m := &messages[i]; m.Role == agent.ToolRole {
			given[m.CallID] = m
		}
	}
	results := make([]agent.ToolResult, len(calls))
	for i, id := range calls {
		results[i] = agent.ToolResult{CallID: id, IsError: true, Parts: []agent.Part{{Text: "The client gave no result for this call."}}}
		if m := given[id]; m != nil {
			results[i] = agent.ToolResult{CallID: id, IsError: m.IsError, Parts: m.Parts}
		}
	}
	// Said is kept apart from the result's own parts, so that a backend can mark it: a tool's
	// output must not be able to pass for the user's words.
	last := &results[len(results)-1]
	for _, m := range messages[agent.FirstNew(messages):] {
		if len(m.Parts) == 0 {
			continue
		}
		if len(last.Said) > 0 {
			last.Said = append(last.Said, agent.Part{Text: "\n\n"})
		}
		switch {
		case m.Role == agent.System:
			last.Said = append(last.Said, agent.Part{Text: systemSays})
		case m.Name != "":
			last.Said = append(last.Said, agent.Part{Text: m.Name + " says:\n"})
		}
		last.Said = append(last.Said, m.Parts...)
	}
	return results
}

// systemSays stands before what the system says among what the user says: Claude Code tells the model of new tools and
// the like there.
const systemSays = "(This is from the system, not from the user.)\n"
