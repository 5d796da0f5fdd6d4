package responses

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// An itemKind is the kind of an output item. The order matters: kinds that come with deltas stand first, see deltaEvents and
// whole.
type itemKind uint8

const (
	// 0 is no kind, so that a zero item is found out.
	messageItem itemKind = iota + 1
	reasoningItem
	functionCallItem
	customCallItem
	refusalItem // a message
	toolSearchCallItem
	compactionItem
	shellCallItem
	patchCallItem
)

// idPrefixes are the beginnings of the ids of output items.
// The prefixes are OpenAI's. They are part of what is stored, so none may change.
var idPrefixes = [...]string{
	messageItem:        "msg_",
	reasoningItem:      "rs_",
	functionCallItem:   "fc_",
	customCallItem:     "ctc_",
	refusalItem:        "msg_",
	toolSearchCallItem: "tsc_",
	compactionItem:     "cmpt_",
	shellCallItem:      "sh_",
	patchCallItem:      "apc_",
}

// whole reports whether an item of this kind comes at once and has no deltas.
// deltaEvents has an entry for every kind that stands before the first whole one.
func (k itemKind) whole() bool { return int(k) >= len(deltaEvents) }

// An item is an output item while it is being written. Once it is done only its JSON is kept, in the response's output.
//
// The Encoder owns it while it is open; its text is what the deltas have added up to, and is
// never changed behind them.
type item struct {
	// kind, index and id are set when the item begins.
	kind   itemKind
	index  int // its place in output
	id     string
	status Status
	text   []byte // a message's text, a summary, a call's arguments or input: what the deltas add up to

	callID, name, namespace string // calls
	sealed                  string // encrypted_content of reasoning and compaction
	hidden                  bool   // reasoning whose summary the client doesn't want; text is for sealed alone
}

// The items on the wire, as OpenAI's OpenAPI document names their members.
type (
	// {"id": "msg_…", "type": "message", "status": "completed", "role": "assistant", "content": [{"type": "output_text", …}]}
	wireMessage struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Status  Status `json:"status"`
		Role    string `json:"role"`
		Content []any  `json:"content"` // outputText or refusal
	}
	// {"id": "rs_…", "type": "reasoning", "summary": [{"type": "summary_text", …}], "encrypted_content": "…"}
	wireReasoning struct {
		ID               string        `json:"id"`
		Type             string        `json:"type"`
		Status           Status        `json:"status"`
		Summary          []summaryText `json:"summary"`
		EncryptedContent string        `json:"encrypted_content,omitzero"`
	}
	// {"id": "fc_…", "type": "function_call", "call_id": "call_…", "name": "read", "arguments": "{\"path\":\"go.mod\"}"}
	wireFunctionCall struct {
		ID        string `json:"id"`
		Type      string `json:"type"`
		Status    Status `json:"status"`
		CallID    string `json:"call_id"`
		Name      string `json:"name"`
		Namespace string `json:"namespace,omitzero"`
		// Arguments are JSON in a text, which need not be valid: the model wrote it.
		Arguments string `json:"arguments"`
	}
	// As a function call, but its input is free text.
	wireCustomCall struct {
		ID        string `json:"id"`
		Type      string `json:"type"`
		Status    Status `json:"status"`
		CallID    string `json:"call_id"`
		Name      string `json:"name"`
		Namespace string `json:"namespace,omitzero"`
		Input     string `json:"input"`
	}
	// As a function call, but its arguments are an object, and it has no name.
	wireToolSearchCall struct {
		ID        string         `json:"id"`
		Type      string         `json:"type"`
		Status    Status         `json:"status"`
		CallID    string         `json:"call_id"`
		Execution string         `json:"execution"`
		Arguments jsontext.Value `json:"arguments"`
	}
	// See compaction.go. Alone among the items it has no status.
	wireCompaction struct {
		ID               string `json:"id"`
		Type             string `json:"type"`
		EncryptedContent string `json:"encrypted_content"`
	}

	outputText struct {
		Type string `json:"type"`
		Text string `json:"text"`
		// Both are always empty lists: the published type wants them, and the model gives none.
		Annotations []jsontext.Value `json:"annotations"`
		Logprobs    []jsontext.Value `json:"logprobs"`
	}
	refusalText struct {
		Type    string `json:"type"`
		Refusal string `json:"refusal"`
	}
	summaryText struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
)

// wire is the item as output_item.added, output_item.done and output show it. A message or a
// reasoning item that is still open has no parts yet: they come with events of their own. The
// result shares the item's text; it is encoded before that grows.
func (it *item) wire() any {
	switch it.kind {
	case messageItem, refusalItem:
		m := wireMessage{ID: it.id, Type: "message", Status: it.status, Role: "assistant"}
		// Without parts the list is written as [], which is what OpenAI sends for an open message.
		if it.status != InProgress {
			m.Content = []any{it.contentPart()}
		}
		return m
	case reasoningItem:
		r := wireReasoning{ID: it.id, Type: "reasoning", Status: it.status, EncryptedContent: it.sealed}
		if it.status != InProgress && !it.hidden {
			r.Summary = []summaryText{it.summaryText()}
		}
		return r
	case functionCallItem:
		return wireFunctionCall{it.id, "function_call", it.status, it.callID, it.name, it.namespace, string(it.text)}
	case customCallItem:
		return wireCustomCall{it.id, "custom_tool_call", it.status, it.callID, it.name, it.namespace, string(it.text)}
	case toolSearchCallItem:
		// "client": this server searches for nothing itself.
		return wireToolSearchCall{it.id, "tool_search_call", it.status, it.callID, "client", jsontext.Value(it.text)}
	case shellCallItem:
		return shellCallResource{resourceHead{it.id, "shell_call"}, it.status, it.callID, it.text, localEnvironment}
	case patchCallItem:
		return patchCallResource{resourceHead{it.id, "apply_patch_call"}, it.status, it.callID, it.text}
	default:
		return wireCompaction{it.id, "compaction", it.sealed}
	}
}

// contentPart is a message's one part.
func (it *item) contentPart() any {
	if it.kind == refusalItem {
		return refusalText{Type: "refusal", Refusal: string(it.text)}
	}
	return outputText{Type: "output_text", Text: string(it.text)}
}

// summaryText is a reasoning item's one part.
func (it *item) summaryText() summaryText {
	return summaryText{Type: "summary_text", Text: string(it.text)}
}

// The id of an item contains the id of its response, so that a later request that merely refers to the item
// (item_reference, which the AI SDK sends for whatever is stored) leads to the stored response:
//
//	resp_X       the response
//	msg_X0000    its first output item, a message
//	fc_X0001     its second, a call
//	msg_Xi000    its first input item
//
// The last four characters are the index in base 36, or for an input item the "i" and three.

const (
	// responseIDPrefix begins a response's id. Like the prefixes above it is part of what is stored.
	responseIDPrefix = "resp_"
	responseIDRandom = 24 // characters after the prefix
	itemIDSuffix     = 4  // digits of the index
)

// outputItemID is the id of the output item at index.
func outputItemID(responseID string, kind itemKind, index int) string {
	return idPrefixes[kind] + strings.TrimPrefix(responseID, responseIDPrefix) + pad(index, itemIDSuffix)
}

// inputItemID is the id of the input item at index. The "i" tells input from output: an output
// item would need an index above 800,000 to have it in that place.
func inputItemID(responseID, prefix string, index int) string {
	return prefix + strings.TrimPrefix(responseID, responseIDPrefix) + "i" + pad(index, itemIDSuffix-1)
}

// pad writes n in base 36 with at least width digits.
func pad(n, width int) string {
	// Letters after the digits, all in lower case, so that ids sort as they were made.
	s := strconv.FormatInt(int64(n), 36)
	return strings.Repeat("0", max(0, width-len(s))) + s
}

// ResponseOf is the id of the response that the item with this id belongs to; "" when we can't have made the id. It may be the
// id of a response that doesn't exist: a client can write what it likes.
func ResponseOf(itemID string) string {
	_, rest, ok := strings.Cut(itemID, "_")
	// Too short to be of our making.
	if !ok || len(rest) < responseIDRandom+itemIDSuffix {
		return ""
	}
	return responseIDPrefix + rest[:responseIDRandom]
}
