package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A request is a body for one of the public APIs, and how its answer is read.
type request struct {
	// path is the route, and body the whole JSON.
	path string
	body []byte
	// textKey is the JSON key behind which a chunk has its piece of text: "content" and so on.
	textKey string
	// first is the number of the first word that must come, and words is how many must.
	first, words int
}

// toolName is the tool that the mock calls, and resultMark is what its result begins with.
const (
	toolName   = "look"
	resultMark = "result-"
)

// A message of a chat completion. ToolCalls are for the assistant's, ToolCallID for the result of one.
type message struct {
	Role       string `json:"role"`
	Content    string `json:"content"`
	ToolCalls  []call `json:"tool_calls,omitempty"`
	ToolCallID string `json:"tool_call_id,omitempty"`
}

// A call of a tool, in a message. Type is always "function", as with tools.
type call struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Function function `json:"function"`
}

// A function is what a call asks for, with Arguments, or a tool that is offered, with Description and Parameters.
type function struct {
	Name        string          `json:"name"`
	Arguments   string          `json:"arguments,omitempty"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

// A tool is one that the client offers.
type tool struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

// chat is a request for a chat completion that ends with a message of the user's, which has the plan.
func chat(p plan, stream bool, said []message, tools []tool) request {
	messages := append(slices.Clone(said), message{Role: "user", Content: "Say some words. " + p.String()})
	return chatRequest(p.events, stream, messages, tools)
}

// chatRequest is a request for a chat completion of so many words, with the plan in its messages.
func chatRequest(words int, stream bool, messages []message, tools []tool) request {
	body := marshal(struct {
		Model    string    `json:"model"`
		Stream   bool      `json:"stream"`
		Messages []message `json:"messages"`
		Tools    []tool    `json:"tools,omitempty"`
	}{"composer-2.5", stream, messages, tools})
	return request{path: "/v1/chat/completions", body: body, textKey: `"content"`, words: words}
}

// short is a request with a prompt of a few words.
func short(p plan, stream bool) request {
	return chat(p, stream, nil, nil)
}

// conversation is an agent's transcript: n messages, in turn of user, assistant and tool, of about size bytes together, which
// ends where the user's next message is due. The text has line breaks and quotes, as code has: JSON escapes them.
//
// Every message has the seed in it, so that two conversations of different seeds have none in common.
func conversation(n, size, seed int) []message {
	line := "\tif err := run(ctx, \"step\"); err != nil {\n\t\treturn fmt.Errorf(\"step: %w\", err)\n\t}\n"
	text := func(i int) string {
		// 14 bytes are about what JSON's escapes add to a line.
		// The number and the seed come first, so no two messages begin alike.
		head := fmt.Sprintf("Message %d of %s.\n", i, seedText(seed))
		return head + strings.Repeat(line, max(1, (size/n-len(head))/(len(line)+14)))
	}
	var all []message
	for i := 0; len(all) < n; i++ {
		switch i % 4 {
		case 0:
			all = append(all, message{Role: "user", Content: text(i)})
		case 1:
			id := fmt.Sprintf("call_%d", i)
			// Arguments are JSON in a JSON string, so their escapes are doubled, as an agent's are.
			all = append(all, message{Role: "assistant", ToolCalls: []call{{ID: id, Type: "function", Function: function{
				Name: toolName, Arguments: string(marshal(map[string]string{"path": fmt.Sprintf("file%d.go", i), "why": text(i)})),
			}}}})
		case 2:
			all = append(all, message{Role: "tool", ToolCallID: fmt.Sprintf("call_%d", i-1), Content: text(i)})
		case 3:
			all = append(all, message{Role: "assistant", Content: text(i)})
		}
	}
	return all
}

// seedText is how a seed stands in the messages: always as long, so that another can be put into its place.
func seedText(seed int) string { return fmt.Sprintf("conversation %09d", seed) }

// offered is n tools as agents offer them, the one that the mock calls among them.
func offered(n int) []tool {
	tools := make([]tool, n)
	for i := range tools {
		name := toolName
		if i > 0 {
			name = fmt.Sprintf("tool_%d", i)
		}
		tools[i] = tool{Type: "function", Function: function{
			Name: name, Description: "Looks at a file, and says what is in it. " + strings.Repeat("It is careful. ", 20),
			Parameters: json.RawMessage(`{"type":"object","properties":{"path":{"type":"string","description":"Path of the file."},"why":{"type":"string"}}}`),
		}}
	}
	return tools
}

// responses is the same short prompt for the Responses API, always streamed. Nothing is stored, as with the others.
func responses(p plan, _ bool) request {
	return request{
		path: "/v1/responses", textKey: `"delta"`, words: p.events,
		body: fmt.Appendf(nil, `{"model":"composer-2.5","stream":true,"store":false,"input":"Say some words. %s"}`, p),
	}
}

// messages is the same short prompt for Anthropic's Messages API, always streamed.
func messages(p plan, _ bool) request {
	return request{
		path: "/v1/messages", textKey: `"text"`, words: p.events,
		body: fmt.Appendf(nil, `{"model":"composer-2.5","stream":true,"max_tokens":100000,"messages":[{"role":"user","content":"Say some words. %s"}]}`, p),
	}
}

// marshal is v as JSON. All values are ours.
func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
