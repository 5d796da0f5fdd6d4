package openai

import "composer-api/internal/agent"

// How a stream of chunks ends. It is the same for chat completions and for completions:
//
//	data: {…,"choices":[],"usage":{…}}    if the client has asked for it
//	data: [DONE]
//
// After an error neither comes, so that no client takes a part for the whole:
//
//	data: {"error":{…}}

// AppendStreamEnd appends the end of a stream that went well. head is what every chunk of it begins with, "data: " included, up to its
// choices. usage is nil when the client has not asked for it.
func AppendStreamEnd(b, head []byte, usage *agent.Usage) []byte {
	if usage != nil {
		b = append(b, head...)
		b = append(b, `"choices":[],"usage":`...)
		b = AppendUsage(b, usage)
		b = AppendEstimated(b, usage)
		b = append(b, "}\n\n"...)
	}
	return append(b, "data: [DONE]\n\n"...)
}

// AppendErrorEvent appends the event of an error, which is the last of its stream.
func AppendErrorEvent(b []byte, e *agent.Error) []byte {
	b = append(b, "data: "...)
	b = AppendError(b, e)
	return append(b, "\n\n"...)
}
