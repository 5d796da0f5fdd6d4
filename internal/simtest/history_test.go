package simtest

import (
	"slices"
	"strings"
)

// A message is one message of a conversation as a person's client remembers it, in no API's form.
type message struct {
	role     string // user, assistant or tool
	text     string
	thinking string
	sealed   string // what the Messages API signs thinking with
	calls    []call
	callID   string // tool
	isError  bool   // tool
}

// A call is a tool call as the client was given it.
type call struct {
	id, tool, args string
	of             loop // the run that has made it, up to it; see laws.usage
}

// A talk is a conversation and what goes with each of its requests.
type talk struct {
	messages     []message
	surface      string
	key          int
	tools        []string
	model        string
	previous     string  // id of the response that the next one continues; "" when all is sent
	sent         int     // how many messages previous or conversation covers
	conversation string  // id of the conversation that the next request belongs to; "" when it needs none or a new one
	kept         *reply  // previous as it came
	given        *reply  // the last answer
	tries        int     // requests since then
	edited       bool    // since the calls whose results come next
	lost         *task   // in which an answer was lost on its way, so that a run of it may wait that nobody knows of
	line         []point // the responses before previous, oldest first
}

// lastCalls are the calls that the conversation has made last; none if it has made none.
func (c *talk) lastCalls() []call {
	for _, m := range slices.Backward(c.messages) {
		if len(m.calls) > 0 {
			return m.calls
		}
	}
	return nil
}

// A loop is what the turns of one upstream run have reported together, in tokens. vague says that it need not be what upstream
// says: see laws.usage.
type loop struct {
	in, out int64
	vague   bool
}

// A point is a place in a conversation that the Responses API has stored.
type point struct {
	id   string
	sent int
	kept *reply
}

// goOn makes the next request continue a response that was just given.
func (c *talk) goOn(r *reply) {
	c.previous, c.sent, c.kept = r.id, len(c.messages), r
	c.line = append(c.line, point{r.id, len(c.messages), r})
}

// fork goes back to the response before the last, if there is one: its branch that has grown since is left alone.
func (c *talk) fork() {
	if len(c.line) < 2 {
		return
	}
	c.line = c.line[: len(c.line)-1 : len(c.line)-1]
	at := c.line[len(c.line)-1]
	c.messages = c.messages[:at.sent:at.sent]
	c.previous, c.sent, c.kept = at.id, at.sent, at.kept
}

// forget makes the next request hold the whole conversation.
func (c *talk) forget() { c.previous, c.conversation, c.sent = "", "", 0 }

// belong makes the next request belong to a conversation that has all messages up to a number.
func (c *talk) belong(id string, sent int) { c.previous, c.conversation, c.sent = "", id, sent }

// change does to the conversation what task.Before says.
func (c *talk) change(how string) {
	switch how {
	case "", "aside", "tools", "model", "fork":
	default:
		c.line = nil
	}
	switch how {
	case "fork":
		c.fork()
	case "edit":
		for i := range c.messages {
			if c.messages[i].role == "user" {
				c.messages[i].text += " (edited)"
				break
			}
		}
		c.forget()
	case "compact":
		c.messages = append([]message{{role: "user", text: "A summary of what was said."}, {role: "assistant", text: "I see."}}, c.tail(2)...)
		c.forget()
	case "rewind", "branch":
		// Back to before the last message of the user that asks for something. A conversation that is cut off before an interruption ends with
		// results, and the model goes on from these, not with what it is asked for next.
		for i := len(c.messages) - 1; i > 0; i-- {
			if c.messages[i].role == "user" && c.messages[i].text != interruption {
				c.messages = c.messages[:i:i]
				break
			}
		}
		c.forget()
	case "surface":
		c.surface = map[string]string{"chat": "responses", "responses": "messages", "messages": "chat"}[c.surface]
		c.forget()
	case "key":
		c.key += 20
		c.forget()
	case "tools":
		c.tools = append(c.tools, "extra")
	case "model":
		c.model = map[string]string{"composer-2.5": "composer-2", "composer-2": "composer-2.5"}[c.model]
	}
}

// interruption is what a person says beside results who has interrupted the model.
const interruption = "Hurry."

// awaits reports whether the conversation ends with results, as one does that was branched.
func (c *talk) awaits() bool {
	return len(c.messages) > 0 && c.messages[len(c.messages)-1].role == "tool"
}

// dropResults goes back to before the message of the user that led to the results at the end.
func (c *talk) dropResults() {
	for n := len(c.messages); n > 0; n-- {
		if c.messages[n-1].role == "user" {
			c.messages = c.messages[: n-1 : n-1]
			break
		}
	}
	c.line = nil
	c.forget()
}

// task is the name of the task that was asked for last.
func (c *talk) task() string {
	for _, m := range slices.Backward(c.messages) {
		if mark := taskMark.FindStringSubmatch(m.text); m.role == "user" && mark != nil {
			return mark[1]
		}
	}
	return ""
}

// tail are the last messages from a user's on, at least n if there are as many.
func (c *talk) tail(n int) []message {
	for i := len(c.messages) - n; i >= 0; i-- {
		if c.messages[i].role == "user" {
			return c.messages[i:]
		}
	}
	return c.messages
}

// results are the results that the conversation has, by the name of their call.
func (c *talk) results() map[string]string {
	found := map[string]string{}
	for _, m := range c.messages {
		for _, mark := range resultMark.FindAllStringSubmatch(m.text, -1) {
			found[mark[1]] = mark[0]
		}
	}
	return found
}

// repeats reports whether the conversation has a call twice: one that was branched may have a run do an older task again.
func (c *talk) repeats(name string) bool {
	n := 0
	for _, m := range c.messages {
		for _, k := range m.calls {
			if strings.Contains(k.args, `"`+name+`"`) {
				n++
			}
		}
	}
	return n > 1
}

// tasks are the tasks that the conversation names.
func (c *talk) tasks() map[string]bool {
	found := map[string]bool{}
	for _, m := range c.messages {
		for _, mark := range taskMark.FindAllStringSubmatch(m.text, -1) {
			found[mark[1]] = true
		}
	}
	return found
}
