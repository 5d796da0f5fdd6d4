package main

import (
	"context"
	"fmt"
)

// The scenarios about long prompts. The unit of work is a request.

// agentMessages is how many messages an agent's long conversation has, and agentTools how many tools it offers.
const (
	agentMessages = 200
	agentTools    = 40
)

// prompts sends conversations of that size that no server has seen, one after the other.
func prompts(n, size, tools int) load {
	return func(ctx context.Context, t *trial) error {
		requests := make([]request, n)
		for i := range requests {
			requests[i] = chat(plan{events: 1}, true, conversation(agentMessages, size, t.seed*1000+i), offered(tools))
		}
		return t.sendAll(ctx, requests)
	}
}

// sendAll sends the requests one after the other, and counts from here. Its delays are those until the first word.
func (t *trial) sendAll(ctx context.Context, requests []request) error {
	t.units = len(requests)
	if err := t.begin(); err != nil {
		return err
	}
	for _, r := range requests {
		a, err := t.client.stream(ctx, r, nil)
		if err != nil {
			return err
		}
		t.delays.add(a.first)
	}
	return nil
}

// resumes sends the result of a tool call at the end of a long conversation: an agent's main path. Only the requests with the
// results count. Only a gateway that parks runs can do this.
func resumes(n, size int) load {
	return func(ctx context.Context, t *trial) error {
		requests := make([]request, n)
		for i := range requests {
			said := conversation(agentMessages, size, t.seed*1000+i)
			said = append(said, message{Role: "user", Content: "Look. " + plan{events: 1, tool: true}.String()})
			a, err := t.client.stream(ctx, chatRequest(0, true, said, offered(agentTools)), nil)
			if err != nil {
				return err
			}
			requests[i] = chatRequest(1, true, withResult(said, a.callID, i), offered(agentTools))
			requests[i].first = i
		}
		return t.sendAll(ctx, requests)
	}
}

// withResult is a transcript with the call that came, and its result, which says at which word the mock is to go on.
func withResult(said []message, callID string, first int) []message {
	return append(said,
		message{Role: "assistant", ToolCalls: []call{{ID: callID, Type: "function", Function: function{Name: toolName, Arguments: "{}"}}}},
		message{Role: "tool", ToolCallID: callID, Content: fmt.Sprintf("%s%d.", resultMark, first)})
}

// followUps sends the user's next message at the end of a long conversation. Only these requests count.
func followUps(n, size int) load {
	return func(ctx context.Context, t *trial) error {
		requests := make([]request, n)
		for i := range requests {
			said := conversation(agentMessages, size, t.seed*1000+i)
			said = append(said, message{Role: "user", Content: "Say a word. " + plan{events: 1}.String()})
			a, err := t.client.stream(ctx, chatRequest(1, true, said, offered(agentTools)), nil)
			if err != nil {
				return err
			}
			said = append(said, message{Role: "assistant", Content: string(a.text)})
			requests[i] = chat(plan{events: 1}, true, said, offered(agentTools))
		}
		return t.sendAll(ctx, requests)
	}
}
