package responses

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// A Response is the response object. Every key is always there, because clients check for null and not for absence. Its JSON
// is also what is stored, so a change of a member must still read what was stored before.
type Response struct {
	ID     string `json:"id"`
	Object string `json:"object"` // "response"
	// Times are Unix, in seconds.
	CreatedAt         int64              `json:"created_at"`
	CompletedAt       *int64             `json:"completed_at"` // set only when completed
	Status            Status             `json:"status"`
	IncompleteDetails *IncompleteDetails `json:"incomplete_details"`
	Model             string             `json:"model"` // what ran; as the client named it until upstream has accepted the run
	// A pointer is null where the request said nothing.
	PreviousResponseID *string          `json:"previous_response_id"`
	Instructions       *string          `json:"instructions"`
	Output             []jsontext.Value `json:"output"` // the items, each exactly as its output_item.done had it
	// Error is null unless Status is failed.
	Error             *Failure         `json:"error"`
	Tools             []jsontext.Value `json:"tools"`
	ToolChoice        jsontext.Value   `json:"tool_choice"`
	Truncation        string           `json:"truncation"`
	ParallelToolCalls bool             `json:"parallel_tool_calls"`
	Text              jsontext.Value   `json:"text"`
	TopP              float64          `json:"top_p"`
	PresencePenalty   float64          `json:"presence_penalty"`
	FrequencyPenalty  float64          `json:"frequency_penalty"`
	TopLogprobs       openai.Int       `json:"top_logprobs"`
	Temperature       float64          `json:"temperature"`
	Reasoning         ReasoningEcho    `json:"reasoning"`
	Usage             *Usage           `json:"usage"` // null until the end
	// UsageEstimated is ours, and there only when true. It isn't a part of Usage, because clients add up all its members.
	UsageEstimated   bool            `json:"usage_estimated,omitzero"`
	MaxOutputTokens  *openai.Int     `json:"max_output_tokens"`
	MaxToolCalls     *openai.Int     `json:"max_tool_calls"`
	Store            bool            `json:"store"`
	Background       bool            `json:"background"`
	ServiceTier      string          `json:"service_tier"`
	Metadata         openai.Metadata `json:"metadata"`
	SafetyIdentifier *string         `json:"safety_identifier"`
	PromptCacheKey   *string         `json:"prompt_cache_key"`
	// Conversation is there only when the response belongs to one.
	Conversation *Conversation `json:"conversation,omitzero"`
}

// A Conversation names the conversation that a response belongs to.
type Conversation struct {
	ID string `json:"id"`
}

// Status is the state of a response or of an item.
//
//	status        set by                          followed by
//	queued        Encoder.Queue                   in_progress, cancelled, failed
//	in_progress   Encoder.Accept                  any of the rest
//	completed     the end of the turn             nothing
//	incomplete    the token limit                 nothing
//	failed        an error, or a process's death  nothing
//	cancelled     the client                      nothing
type Status string

// The statuses. Items know only in_progress, completed and incomplete.
const (
	Queued     Status = "queued" // a background response that upstream has not taken yet
	InProgress Status = "in_progress"
	Completed  Status = "completed"
	Incomplete Status = "incomplete"
	Failed     Status = "failed"
	Cancelled  Status = "cancelled"
)

// Ended reports whether a response in this status will not change any more. See package service for who may change it before.
func (s Status) Ended() bool { return s != Queued && s != InProgress }

// IncompleteDetails says why a response is incomplete.
type IncompleteDetails struct {
	Reason string `json:"reason"` // "max_output_tokens"
}

// A Failure says why a response failed.
type Failure struct {
	Code string `json:"code"` // see failureCodes
	// Message is for the client's user.
	Message string `json:"message"`

	// What an error event says beside that: the type and the code that the failure has as an HTTP error. "" once it was
	// stored.
	kind, httpCode string
}

// serverError is both the code and the type of a failure that has none of its own.
const serverError = "server_error"

// failureCodes are the codes of failed responses, which OpenAI publishes as a list of its own: the codes of HTTP errors
// aren't in it. Everything that isn't here is a server_error, which clients try again.
//
// Codex reads these codes. For three of them it has no name in the list, so they are not: it compacts the conversation
// at context_length_exceeded, and gives up at insufficient_quota and server_is_overloaded. At invalid_prompt it gives up
// and shows the message, which is right for everything that another try can't change.
var failureCodes = map[agent.Code]string{
	agent.ContextTooLong: "context_length_exceeded",
	agent.QuotaExceeded:  "insufficient_quota",
	agent.Overloaded:     "server_is_overloaded",
	agent.RateLimited:    "rate_limit_exceeded",
}

// newFailure makes the failure that a response shows.
func newFailure(e *agent.Error) *Failure {
	row := openai.RowOf(e.Code)
	code := failureCodes[e.Code]
	switch {
	case code != "":
	case row.Final && row.Status < http.StatusInternalServerError:
		code = "invalid_prompt"
	default:
		code = serverError
	}
	return &Failure{Code: code, Message: openai.Message(e), kind: row.Type, httpCode: row.Code}
}

// ReasoningEcho repeats the request's reasoning settings.
type ReasoningEcho struct {
	Effort  *string `json:"effort"`
	Summary *string `json:"summary"`
}

// Usage is the response's token counts, in OpenAI's terms: input includes what the cache served, output includes the
// thinking.
type Usage struct {
	InputTokens         int64         `json:"input_tokens"`
	InputTokensDetails  InputDetails  `json:"input_tokens_details"`
	OutputTokens        int64         `json:"output_tokens"`
	OutputTokensDetails OutputDetails `json:"output_tokens_details"`
	// TotalTokens is InputTokens and OutputTokens. CostUSD is in US dollars.
	TotalTokens int64 `json:"total_tokens"`
	// These two are the reference system's; there when the price is known.
	CostUSD     *float64            `json:"cost,omitzero"`
	CostDetails *openai.CostDetails `json:"cost_details,omitzero"`
}

// InputDetails says how the cache took part in the input.
type InputDetails struct {
	CachedTokens     int64 `json:"cached_tokens"`
	CacheWriteTokens int64 `json:"cache_write_tokens"`
}

// OutputDetails says how much of the output was thinking.
type OutputDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

// Encode is the response object as JSON, for clients and for the store.
func (r *Response) Encode() []byte { return openai.Encode(r) }

// DecodeResponse decodes the JSON of Encode. Its errors mean that what is stored is damaged.
func DecodeResponse(object []byte) (*Response, error) {
	r := new(Response)
	if err := openai.DecodeOwn(object, r); err != nil {
		return nil, err
	}
	return r, nil
}

// setUsage sets what the response has cost.
func (r *Response) setUsage(u *agent.Usage) {
	r.UsageEstimated = u.Estimated
	r.Usage = &Usage{
		InputTokens:         u.Prompt(),
		InputTokensDetails:  InputDetails{CachedTokens: u.CacheRead, CacheWriteTokens: u.CacheWrite},
		OutputTokens:        u.Output,
		OutputTokensDetails: OutputDetails{ReasoningTokens: u.Reasoning},
		TotalTokens:         u.Total(),
		CostDetails:         openai.NewCostDetails(u),
	}
	if d := r.Usage.CostDetails; d != nil {
		r.Usage.CostUSD = &d.TotalUSD
	}
}
