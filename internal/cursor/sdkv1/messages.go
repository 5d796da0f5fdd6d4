package sdkv1

import (
	"encoding/json"
	"strconv"
	"strings"

	"composer-api/internal/agent"
)

// The messages of sdk.v1 in their JSON form, as far as they are used here. Source: Cursor's SDK
// 1.1.0 and its bridge.

// A ModelSelection is the model that an agent uses.
type ModelSelection struct {
	// ID is one of GET /v1/models. Params that aren't given have the model's own defaults.
	ID     string           `json:"id"`
	Params []ParameterValue `json:"params,omitempty"`
}

// A ParameterValue sets one parameter of a model. The bridge doesn't check it.
type ParameterValue struct {
	ID    string `json:"id"`
	Value string `json:"value"`
}

// AgentOptions describe an agent.
type AgentOptions struct {
	// Model is used until the agent is resumed with another one.
	Model ModelSelection `json:"model"`
	// APIKey is the caller's Cursor key. The bridge keeps it in memory, not on disk.
	APIKey agent.Secret `json:"-"`
	// AgentID is the id to create the agent under, which is upstream's conversation id, too.
	AgentID string       `json:"agentId,omitempty"`
	Local   LocalOptions `json:"local"`
	// Tools names the built-in tools that the model is offered: "mcp" stands for the custom tools. Empty is none. The
	// bridge passes this on and does not enforce it.
	Tools ToolList `json:"tools"`
}

// MarshalJSON implements json.Marshaler. It is the only place where the key is shown: the request to the bridge.
func (o AgentOptions) MarshalJSON() ([]byte, error) {
	type plain AgentOptions
	return json.Marshal(struct {
		plain
		APIKey string `json:"apiKey"`
	}{plain(o), o.APIKey.Reveal()})
}

// LocalOptions are the options of an agent that runs beside the bridge.
type LocalOptions struct {
	// Cwd is the workspace: one folder.
	Cwd []string `json:"cwd"`
	// CustomTools are the client's tools by name. The bridge has no way to change them later.
	CustomTools map[string]ToolDefinition `json:"customTools,omitempty"`
}

// A ToolDefinition is what the model is told about a tool.
type ToolDefinition struct {
	// Description is for the model to read.
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"inputSchema,omitempty"` // a JSON object
}

// A ToolList is a list that may be present and empty.
type ToolList struct {
	Names []string `json:"names"`
}

// A UserMessage is what is said to an agent.
type UserMessage struct {
	// Text is required; the bridge refuses a message without it.
	Text   string  `json:"text"`
	Images []Image `json:"images,omitempty"`
}

// An Image goes along inline: the bridge refuses addresses.
type Image struct {
	Data ImageData `json:"data"`
}

// ImageData is an image's bytes, which JSON carries in base64.
type ImageData struct {
	Data     []byte `json:"data"`
	MimeType string `json:"mimeType"`
}

// A Message is one message of the stream of a run. At most one of its pointers is set; a message without any is a sign
// of life, which comes every 15 seconds.
type Message struct {
	SDKMessage        *SDKMessage        `json:"sdkMessage"`
	InteractionUpdate *InteractionUpdate `json:"interactionUpdate"`
	Result            *StreamResult      `json:"result"`
	// Done says that nothing comes after it.
	Done *struct{} `json:"done"`
}

// An SDKMessage repeats what the updates say, but for the run's id and its status.
type SDKMessage struct {
	Type    string `json:"type"` // "status", "assistant", "thinking", "tool_call", "usage", …
	Message struct {
		RunID  string `json:"run_id"`
		Status string `json:"status"`
	} `json:"message"`
}

// An InteractionUpdate is one step of a run as it happens. Which of the members are set depends on Type.
type InteractionUpdate struct {
	// A type that isn't known is passed over: newer bridges have more.
	Type   string `json:"type"` // one of the update types below, or another
	Update struct {
		Text      string `json:"text"`      // UpdateText and UpdateThinking
		CallCount int    `json:"callCount"` // UpdateToolRequests: how many calls this step makes
		CallID    string `json:"callId"`    // UpdateToolStarted and UpdateToolCompleted
		StepID    int    `json:"stepId"`    // UpdateStepStarted: from 1
		Tokens    int    `json:"tokens"`    // UpdateTokens: how many more were written
	} `json:"update"`
}

// The update types that matter to a gateway.
const (
	UpdateText          = "text-delta"
	UpdateThinking      = "thinking-delta"
	UpdateTokens        = "token-delta"
	UpdateToolRequests  = "tool-requests-listed"
	UpdateToolStarted   = "tool-call-started"
	UpdateToolCompleted = "tool-call-completed"
	// UpdateStepStarted begins a step of the model. When the bridge asks upstream again after a failure, by itself, the
	// numbers of the steps start over, and what upstream says then is passed on once more. Nothing else tells of it.
	UpdateStepStarted = "step-started"
)

// A StreamResult ends a run, well or badly: look at Result.Status.
type StreamResult struct {
	RunID string `json:"runId"`
	// Status here is the run's on the wire; Result.Status is the one that counts.
	Status string    `json:"status"`
	Result RunResult `json:"result"`
}

// The names of RunLifecycleStatus.
const (
	StatusFinished  = "RUN_LIFECYCLE_STATUS_FINISHED"
	StatusError     = "RUN_LIFECYCLE_STATUS_ERROR"
	StatusCancelled = "RUN_LIFECYCLE_STATUS_CANCELLED"
	StatusExpired   = "RUN_LIFECYCLE_STATUS_EXPIRED"
)

// A RunResult is how a run ended.
type RunResult struct {
	Status string      `json:"status"`
	Usage  *TokenUsage `json:"usage"` // missing unless the run finished
	// ErrorCode is one of Connect's names, or "". ErrorMessage may hold words of upstream's.
	ErrorCode    string `json:"errorCode"`
	ErrorMessage string `json:"errorMessage"`
}

// TokenUsage counts tokens. The contract's total is left out: what it sums up has changed between versions.
type TokenUsage struct {
	// Each counts tokens that the others don't, but for Reasoning, which is a part of Output.
	Input      Int64 `json:"inputTokens"`
	Output     Int64 `json:"outputTokens"`
	CacheRead  Int64 `json:"cacheReadTokens"`
	CacheWrite Int64 `json:"cacheWriteTokens"`
	Reasoning  Int64 `json:"reasoningTokens"`
}

// An Int64 is a 64-bit number in protobuf's JSON form, which is a string; a plain number is taken, too.
type Int64 int64

// UnmarshalJSON implements json.Unmarshaler. What is no number is taken as 0, because usage must never fail a run.
func (n *Int64) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil || v < 0 {
		v = 0
	}
	*n = Int64(v)
	return nil
}

// A CustomToolCall is the bridge's request to run a tool of the client's.
type CustomToolCall struct {
	AgentID string `json:"agentId"`
	// CallID is upstream's, and unique in the run.
	CallID string          `json:"toolCallId"`
	Tool   string          `json:"toolName"`
	Args   json.RawMessage `json:"args"` // a JSON object; missing when there are none
}

// A ToolResult is the answer to a CustomToolCall.
type ToolResult struct {
	// Content may be empty. IsError tells the model that the call has failed.
	Content []ToolContent `json:"content"`
	IsError bool          `json:"isError"`
}

// ToolContent is a piece of a result: text, or an image in base64.
type ToolContent struct {
	Type     string `json:"type"` // "text" or "image"
	Text     string `json:"text,omitempty"`
	Data     []byte `json:"data,omitempty"`
	MimeType string `json:"mimeType,omitempty"`
}
