package simtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// People who keep their conversation on the server (POST /v1/conversations): each turn adds what it asks and what is answered. Who
// doesn't know whether a turn was added, or has changed what was said before, begins a new one with all that they remember.

// A conversationDoc is the answer about a conversation, or a page of its items.
type conversationDoc struct {
	ID      string
	Data    []conversationItem
	LastID  string `json:"last_id"`
	HasMore bool   `json:"has_more"`
}

type conversationItem struct {
	responseItem
	ID, Role string
	Output   string
}

func conversationsWhole(r *reply, data []byte) {
	var d conversationDoc
	if r.decode(data, &d) {
		r.id, r.doc, r.done = d.ID, string(data), true
	}
}

// newItems is how many items one request may add to a conversation.
const newItems = 20

// begin makes a conversation of all that was said up to the last answer, and has c belong to it. When that fails, c is sent as a whole.
func (l *living) begin(c *talk) {
	said := 0
	for i, m := range c.messages {
		if m.role == "assistant" {
			said = i + 1
		}
	}
	items := responsesItems(c.messages[:said])
	id := ""
	for path := "/v1/conversations"; id == "" || len(items) > 0; path = "/v1/conversations/" + id + "/items" {
		n := min(len(items), newItems)
		r := l.aboutConversation(c, "POST", path, obj{"items": append(list{}, items[:n]...)})
		if !r.ok() {
			return
		}
		if id == "" {
			id = r.id
		}
		items = items[n:]
	}
	c.belong(id, said)
}

// aboutConversation sends a request about conversations. One that fails needs an operation as its reason.
func (l *living) aboutConversation(c *talk, method, path string, body obj) *reply {
	var data []byte
	if body != nil {
		data, _ = json.Marshal(body)
	}
	r := l.send(context.Background(), &talk{surface: "conversations", key: c.key}, method, path, data, toTheEnd)
	for _, b := range r.bad {
		l.world.laws.breaks(l.Name, "form: %s", b)
	}
	if !r.ok() && !l.world.laws.operation(l, &task{}, r) {
		l.world.laws.breaks(l.Name, "excuse: nothing explains that a conversation can't be reached: status %d, %s: %s", r.status, r.code, r.err)
	}
	return r
}

// conversed reads the conversation that r has added to, in pages, and has somebody else try to.
func (l *living) conversed(c *talk, r *reply) {
	const page = 5
	var got []string
	for after := ""; ; {
		again := l.aboutConversation(c, "GET", fmt.Sprintf("/v1/conversations/%s/items?order=asc&limit=%d%s", c.conversation, page, after), nil)
		if !again.ok() {
			return
		}
		var d conversationDoc
		if err := json.Unmarshal([]byte(again.doc), &d); err != nil {
			panic(err) // it was decoded once
		}
		for _, item := range d.Data {
			got = append(got, item.says()...)
		}
		if !d.HasMore {
			break
		}
		after = "&after=" + d.LastID
	}
	l.world.situation("conversation × " + l.world.plan.Upstream)
	l.world.laws.conversed(l, c, r, got)
	stranger := &talk{surface: "conversations", key: 99, model: c.model}
	l.world.laws.pried(l, l.send(context.Background(), stranger, "GET", "/v1/conversations/"+c.conversation+"/items", nil, toTheEnd))
	body := []byte(`{"model":"composer-2.5","input":"What was said?","conversation":"` + c.conversation + `"}`)
	stranger.surface = "responses"
	l.world.laws.pried(l, l.send(context.Background(), stranger, "POST", "/v1/responses", body, toTheEnd))
}

// says is an item in a line; none for what only the server understands.
func (item *conversationItem) says() []string {
	switch item.Type {
	case "message":
		d := responseDoc{Output: []responseItem{item.responseItem}}
		text, _ := d.text()
		return []string{item.Role + ": " + text}
	case "function_call":
		return []string{"calls " + item.CallID + " " + item.Name + " " + item.Arguments}
	case "function_call_output":
		return []string{"result of " + item.CallID + ": " + item.Output}
	case "reasoning":
		return nil
	}
	return []string{"an item of type " + item.Type}
}

// says is a message as the items that it is in a conversation.
func (m *message) says() (lines []string) {
	switch m.role {
	case "tool":
		return []string{"result of " + m.callID + ": " + m.text}
	case "assistant":
		if m.text != "" {
			lines = append(lines, "assistant: "+m.text)
		}
		for _, k := range m.calls {
			lines = append(lines, "calls "+k.id+" "+k.tool+" "+k.args)
		}
		return lines
	}
	return []string{m.role + ": " + m.text}
}

// conversed: a conversation holds what its client has said and was given, each once and in this order. While the store is away from the
// process that ran a response in the background, others lack its end (decision 100). When that process ends before the store is back,
// the end is lost, and the client makes a new conversation.
func (l *laws) conversed(p *living, c *talk, r *reply, got []string) {
	var want []string
	for i := range c.messages {
		want = append(want, c.messages[i].says()...)
	}
	if slices.Equal(got, want) {
		return
	}
	lacks := len(got) < len(want) && slices.Equal(got, want[:len(got)])
	switch since := l.world.during(r.began, time.Now()); {
	case lacks && p.Wanders && slices.ContainsFunc(l.world.during(time.Now(), time.Now()), storeIsAway):
	case lacks && slices.ContainsFunc(since, storeIsAway) && slices.ContainsFunc(since, endsAProcess):
		c.forget()
	default:
		l.breaks(p.Name, "conversed: the conversation holds %q, and its client remembers %q", got, want)
	}
}
