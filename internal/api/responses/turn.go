package responses

import (
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// Turn makes the request for the model. history is what was said before Input, oldest first: the items of the stored
// responses that this one continues. open decrypts what Options.SealCompaction has sealed for the same owner, and fails
// with ErrForeign for what can't be of its making. Input must hold no references any more, and Turn may be called once.
//
// unknown are the types of items that were passed on as text because we don't know them.
//
// Errors are *agent.Error with the path of what is wrong: an item, an image that the user has just sent,
// tool_choice. The request shares memory with r and history, so they must not be changed while it lives.
func (r *Request) Turn(history []Item, open func(sealed string) (string, error)) (req *agent.Request, unknown []string, err error) {
	t := transcript{calls: map[string]bool{}, tail: new(strings.Builder), tools: &r.tools, open: open}
	// Before the history: instructions are of this request alone, and are not kept with what was said.
	if text := r.instructions(); text != nil && *text != "" {
		t.messages = append(t.messages, agent.Message{Role: agent.System, Parts: []agent.Part{{Text: *text}}})
	}
	// The history's additional_tools and tool_search_output add to the tools, so they must come before tool_choice is read.
	for _, items := range [][]Item{history, r.Input} {
		for i := range items {
			if err := t.add(&items[i]); err != nil {
				return nil, nil, err
			}
		}
	}
	// A compaction_trigger may be the only item of the input.
	if len(t.messages) == 0 && (!r.Compact || len(r.Input) == 0) {
		return nil, nil, openai.Missing("input")
	}
	if err := agent.UnusableImage(t.messages); err != nil {
		return nil, nil, err
	}
	if r.Compact {
		t.messages = append(t.messages, agent.Message{Role: agent.User, Parts: []agent.Part{{Text: compactionPrompt}}})
	}
	// Only now: a tool that an item has added may be the one that is chosen.
	choice, err := r.tools.toolChoice(&r.body.ToolChoice)
	if err != nil {
		return nil, nil, err
	}
	req = &agent.Request{
		ModelName:       r.Model,
		Messages:        t.messages,
		Tools:           r.tools.list,
		ToolChoice:      choice,
		SerialToolCalls: r.body.ParallelToolCalls != nil && !*r.body.ParallelToolCalls,
		Format:          r.format,
		MaxOutputTokens: r.maxTokens,
		Durable:         r.Store,
		Echo:            r.tools.echo,
	}
	// The empty effort leaves the choice to the gateway.
	if r.body.Reasoning.Effort != nil {
		req.Effort = *r.body.Reasoning.Effort
	}
	if r.Compact {
		// A summary must not be cut off, replaced by a call or formatted as JSON.
		req.ToolChoice = agent.ToolChoice{Mode: agent.ToolsNone}
		req.Format, req.MaxOutputTokens = agent.Format{}, 0
	}
	return req, t.unknown, nil
}

// CheckItems checks that items can be a part of a conversation. open is as for [Request.Turn]. Errors
// are *agent.Error and name the field at fault. What is made of them is dropped: only the errors matter.
func CheckItems(items []Item, open func(sealed string) (string, error)) error {
	t := transcript{calls: map[string]bool{}, tail: new(strings.Builder), tools: &toolSet{}, open: open}
	for i := range items {
		if err := t.add(&items[i]); err != nil {
			return err
		}
	}
	return nil
}
