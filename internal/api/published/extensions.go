package published

// extensions are where our documents hold more than OpenAI's on purpose: by schema, or by schema and member. Each says
// what else that may be.
//
// Each entry is a place where a strict client could stumble, so add one only with the reason that
// its comment gives. One that the document has come to know itself fails the tests (extend).
var extensions = map[string]object{
	// What the tokens have cost, and whether they are our own count. What these members hold is checked by tests of ours.
	"CompletionUsage.cost":                               anything,
	"CompletionUsage.cost_details":                       anything,
	"ResponseUsage.cost":                                 anything,
	"ResponseUsage.cost_details":                         anything,
	"CreateChatCompletionResponse.usage_estimated":       anything,
	"CreateCompletionResponse.usage_estimated":           anything,
	"CreateChatCompletionStreamResponse.usage_estimated": anything,
	"Response.usage_estimated":                           anything,
	"CompactResource.usage_estimated":                    anything,
	"TokenCountsResource.estimated":                      anything,

	// The model's thinking, under the name that other servers and most clients have for it.
	"ChatCompletionResponseMessage.reasoning_content":     anything,
	"ChatCompletionStreamResponseDelta.reasoning_content": anything,

	// OpenAI streams the calls of custom tools so, although its document knows calls of functions only.
	"ChatCompletionMessageToolCallChunk.type":   {"const": "custom"},
	"ChatCompletionMessageToolCallChunk.custom": anything,

	// A stored completion as OpenAI's own examples show it; its messages are those of the request, of all roles.
	"CreateChatCompletionResponse.metadata":      {"type": "object", "additionalProperties": object{"type": "string"}},
	"ChatCompletionResponseMessage.role":         {"enum": []any{"system", "developer", "user", "tool", "function"}},
	"ChatCompletionResponseMessage.name":         {"type": "string"},
	"ChatCompletionResponseMessage.tool_call_id": {"type": "string"},

	// What clients look for in a list of models; models is Codex's list.
	"Model.name":                anything,
	"Model.context_window":      anything,
	"Model.context_length":      anything,
	"ListModelsResponse.models": anything,

	// OpenAI sends these members, and the Open Responses specification has them.
	"Response.store":             {"type": "boolean"},
	"Response.presence_penalty":  {"type": "number"},
	"Response.frequency_penalty": {"type": "number"},
	// The form of an error that openai-node looks for in a stream.
	"ResponseErrorEvent.error": anything,
	// Codes that Codex reads in response.failed, and has no other name for.
	"ResponseErrorCode": {"enum": []any{"context_length_exceeded", "insufficient_quota", "server_is_overloaded"}},
	// OpenAI sends a status with the calls of custom tools and their outputs, too.
	"CustomToolCallOutput.status": {"enum": []any{"in_progress", "completed", "incomplete"}},
	"CustomToolCall.status":       {"enum": []any{"in_progress", "completed", "incomplete"}},
	// OpenAI sends null while there is no usage yet.
	"Response.usage": null,
}

var (
	// anything is the schema that takes every value, and null the one that takes null alone.
	anything = object{}
	null     = object{"type": "null"}
)
