package control_test

import (
	"encoding/json"
	"fmt"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/messages"
)

// The Messages API as one of the clients' surfaces.

func messagesHandler(w *world) api.Handler {
	return messages.Routes(messages.Config{Turns: w.gateway})[0].Handle
}

func messagesRequest(c *client) any {
	history := []object{{"role": "user", "content": c.ask.Prompt}}
	var ids []string
	for _, s := range c.history {
		var blocks []object
		role := "user"
		switch {
		case s.answer != nil:
			role, ids = "assistant", nil
			if s.answer.text != "" {
				blocks = append(blocks, object{"type": "text", "text": s.answer.text})
			}
			for _, call := range s.answer.calls {
				ids = append(ids, call.ID)
				blocks = append(blocks, object{"type": "tool_use", "id": call.ID, "name": call.Name, "input": call.Arguments})
			}
		case s.question != "":
			blocks = append(blocks, object{"type": "text", "text": s.question})
		}
		for i, text := range s.results {
			blocks = append(blocks, object{"type": "tool_result", "tool_use_id": ids[i], "content": text})
		}
		history = append(history, object{"role": role, "content": blocks})
	}
	request := object{
		"model": "composer-2.5", "messages": history, "stream": c.surface.stream, "max_tokens": c.ask.MaxTokens,
		"thinking": object{"type": "enabled", "budget_tokens": 1024},
	}
	if c.ask.System != "" {
		request["system"] = c.ask.System
	}
	if c.ask.MaxTokens == 0 {
		request["max_tokens"] = 32_000
	}
	if c.ask.Stop != nil {
		request["stop_sequences"] = c.ask.Stop
	}
	var tools []object
	for _, t := range c.ask.Tools {
		schema := t.Parameters
		if schema == nil {
			schema = json.RawMessage(`{"type":"object"}`)
		}
		tools = append(tools, object{"name": t.Name, "input_schema": schema, "strict": t.Strict})
	}
	if tools != nil {
		choice := object{"type": "auto"}
		switch c.ask.Choice {
		case "":
		case "none":
			choice["type"] = "none"
		case "required":
			choice["type"] = "any"
		default:
			choice["type"], choice["name"] = "tool", c.ask.Choice
		}
		if c.ask.Serial {
			choice["disable_parallel_tool_use"] = true
		}
		request["tools"], request["tool_choice"] = tools, choice
	}
	if c.ask.Format != nil {
		request["output_config"] = object{"format": object{"type": "json_schema", "schema": c.ask.Format}}
	}
	return request
}

type messageUsage struct {
	Input  int `json:"input_tokens"`
	Write  int `json:"cache_creation_input_tokens"`
	Read   int `json:"cache_read_input_tokens"`
	Output int `json:"output_tokens"`
}

type messageBlock struct {
	Type, Text, Thinking, ID, Name string
	Input                          json.RawMessage
}

func (a *answer) addBlock(b *messageBlock) {
	switch b.Type {
	case "text":
		a.text += b.Text
	case "thinking":
		a.thinking += b.Thinking
	case "tool_use":
		a.calls = append(a.calls, agent.ToolCall{ID: b.ID, Name: b.Name, Arguments: b.Input})
	}
}

// endMessage says how a message ended, in the words of chat completions.
func (a *answer) endMessage(reason string, u *messageUsage, estimated bool) {
	a.end = map[string]string{"end_turn": "stop", "stop_sequence": "stop", "refusal": "stop", "tool_use": "tool_calls", "max_tokens": "length"}[reason]
	if reason == "refusal" {
		a.text, a.refusal = "", a.text
	}
	a.usage = usageText(u.Input+u.Write+u.Read, u.Output, estimated)
}

func readMessage(a *answer, events []json.RawMessage) {
	var body struct {
		Content   []messageBlock
		Reason    string `json:"stop_reason"`
		Usage     messageUsage
		Estimated bool `json:"usage_estimated"`
	}
	if err := json.Unmarshal(events[0], &body); err != nil || body.Reason == "" {
		a.end = "in what is no message: " + string(events[0])
		return
	}
	for i := range body.Content {
		a.addBlock(&body.Content[i])
	}
	a.endMessage(body.Reason, &body.Usage, body.Estimated)
}

func readMessageStream(a *answer, events []json.RawMessage) {
	var open messageBlock
	for _, raw := range events {
		var e struct {
			Type  string
			Block messageBlock `json:"content_block"`
			Delta struct {
				Text, Thinking string
				JSON           string `json:"partial_json"`
				Reason         string `json:"stop_reason"`
			}
			Usage     messageUsage
			Estimated bool `json:"usage_estimated"`
			Error     *apiError
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			a.end = fmt.Sprintf("in what is no event: %v: %s", err, raw)
			return
		}
		switch e.Type {
		case "content_block_start":
			open = e.Block
			open.Input = nil
		case "content_block_delta":
			open.Text += e.Delta.Text
			open.Thinking += e.Delta.Thinking
			open.Input = append(open.Input, e.Delta.JSON...)
		case "content_block_stop":
			a.addBlock(&open)
		case "message_delta":
			a.endMessage(e.Delta.Reason, &e.Usage, e.Estimated)
		case "error":
			readError(a, raw)
			return
		}
	}
}
