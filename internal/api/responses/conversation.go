package responses

import (
	"bytes"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// The body of requests about conversations (POST /v1/conversations and below). Package service keeps them.

// maxNewItems is how many items one request may add to a conversation.
const maxNewItems = 20

// A ConversationBody is the body of a request that makes or changes a conversation.
type ConversationBody struct {
	Items    []Item
	Metadata openai.Metadata // nil when it was left out
}

// DecodeConversation decodes the body of a request that makes or changes a conversation. An empty body is one without
// anything. Errors are *agent.Error and name the field at fault.
func DecodeConversation(data []byte) (*ConversationBody, error) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // so that spans count from where the decoder does
	var w struct {
		Items    []Item          `json:"items"`
		Metadata openai.Metadata `json:"metadata"`
	}
	if len(bytes.TrimSpace(data)) > 0 {
		if err := openai.Decode(data, &w); err != nil {
			return nil, err
		}
	}
	if err := w.Metadata.Check("metadata"); err != nil {
		return nil, err
	}
	// Source of the bound: OpenAI's published document of POST /conversations/{id}/items.
	if len(w.Items) > maxNewItems {
		return nil, agent.ParamError(agent.InvalidValue, "items", "'items' has %d entries; at most %d can be added at once.", len(w.Items), maxNewItems)
	}
	// cut needs the data that the spans are offsets in; locate leaves out the nulls, so it comes after.
	cut(w.Items, data)
	return &ConversationBody{Items: locate(w.Items, "items"), Metadata: w.Metadata}, nil
}
