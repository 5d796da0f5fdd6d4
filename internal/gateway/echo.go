package gateway

import (
	"slices"
	"strings"

	"composer-api/internal/agent"
)

// Clients send an answer back with more in it than the model has said. What they have added was never part of the answer:
// the model must not read it as such, and a conversation is the same with and without it.

// withoutEchoes removes from what the assistant has said the thinking that clients send back as text (see
// agent.WithoutThinking), and the announcement of a call that some make of it. messages itself is not changed.
//
// A message that consists of nothing but an echo stays, without parts: its calls still count,
// and so do the positions of the messages.
func withoutEchoes(messages []agent.Message) []agent.Message {
	// Most transcripts have no echo, and are not copied.
	copied := false
	for i := range messages {
		m := &messages[i]
		if m.Role != agent.Assistant || !slices.ContainsFunc(m.Parts, func(p agent.Part) bool { return isEcho(p.Text, m.Calls) }) {
			continue
		}
		if !copied {
			messages, copied = slices.Clone(messages), true
			m = &messages[i]
		}
		var parts []agent.Part
		for _, p := range m.Parts {
			if p.Image == nil {
				p.Text = withoutEcho(p.Text, m.Calls)
			}
			if p.Image != nil || p.Text != "" {
				parts = append(parts, p)
			}
		}
		m.Parts = parts
	}
	return messages
}

// isEcho reports whether a client has added something to a text. It is asked first, so that a
// transcript without echoes, which is nearly every one, is not copied.
func isEcho(text string, calls []agent.ToolCall) bool {
	return len(withoutEcho(text, calls)) != len(text)
}

// withoutEcho is a text of the assistant's, beside these calls, without what a client has added.
func withoutEcho(text string, calls []agent.ToolCall) string {
	text = agent.WithoutThinking(text)
	if announces(text, calls) {
		return ""
	}
	return text
}

// announces reports whether a text is what n8n's agent writes in place of the model's words beside a call:
//
//	Calling read with input: {"path":"go.mod","id":"call_…"}
//
// Only a call that stands in the same message is taken for announced, so words of the model
// that happen to begin like this stay what they are.
func announces(text string, calls []agent.ToolCall) bool {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "Calling ")
	if !ok {
		return false
	}
	name, input, ok := strings.Cut(rest, " with input: ")
	return ok && strings.HasPrefix(input, "{") && strings.HasSuffix(input, "}") &&
		slices.ContainsFunc(calls, func(c agent.ToolCall) bool { return c.Name == name })
}
