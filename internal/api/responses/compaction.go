package responses

import (
	"errors"

	"composer-api/internal/agent"
)

// A compaction replaces a history by a summary that only we can read. The model writes it, in a turn of its own, and the
// client gets it sealed, as an item that it sends back in place of the history.
//
//	{"type":"compaction","encrypted_content":"…"}
//
// Messages of the system and the user stay in the transcript word for word where the client still sends them (clients put
// their rules and their surroundings into such messages); answers, calls and results are replaced by the summary.

// compactionPrompt asks for the summary. The model that reads it later knows nothing else about
// what was done. It is ours, and may be changed: a summary is read as text, whatever asked for it.
const compactionPrompt = `Write a summary of this conversation that will stand in the place of everything that was said, called and answered so far. Whoever reads it carries on with the work and sees nothing else of it. Say:
- what the user wants, with every requirement and decision that still holds;
- what has been done, with the names of files, functions, commands and values that matter, and what was found out;
- what is unfinished, what failed and why, and what the next step is.
Be exact and complete rather than short. Don't call tools, don't answer the user, and write nothing but the summary.`

// summaryIntro tells the model what the summary is.
const summaryIntro = "What was said and done up to here was replaced by this summary of it. Requests above it have been dealt with as it says:\n\n"

// ErrForeign is the error of opening what was never sealed by a server like this one.
var ErrForeign = errors.New("responses: sealed by somebody else")

// compaction replaces what the model said and what its calls gave by the summary. A summary of another provider's says
// nothing to us, like its reasoning, and is left out: the client has the rest of the conversation beside it. Without one
// of ours, though, the conversation would be another.
//
// A compaction item stands for everything before it in the input, so calls before it can no
// longer be answered: a result for one of them becomes text.
func (t *transcript) compaction(it *Item) error {
	summary, err := t.open(it.wire.EncryptedContent)
	if errors.Is(err, ErrForeign) {
		return nil
	}
	if err != nil {
		return &agent.Error{
			Code: agent.InvalidValue, Param: it.param + ".encrypted_content", Err: err,
			Message: "This compaction item was not made by this server for this key, or the server's encryption key has changed since. Send the conversation itself.",
		}
	}
	var kept []agent.Message
	for _, m := range t.messages {
		if m.Role == agent.System || m.Role == agent.User {
			kept = append(kept, m)
		}
	}
	t.messages = append(kept, agent.Message{Role: agent.User, Parts: []agent.Part{{Text: summaryIntro + summary}}})
	clear(t.calls)
	return nil
}

// UserMessages are the user's messages among items, as they were sent. A compaction's answer repeats them before the
// summary, so that the client's next input holds the user's own words.
func UserMessages(items []Item) []Item {
	var messages []Item
	for _, it := range items {
		if it.wire.Type == messageType && (it.wire.Role == "user" || it.wire.Role == "") {
			messages = append(messages, it)
		}
	}
	return messages
}
