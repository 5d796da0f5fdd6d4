package service

import (
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/api/openai"
)

// Steering: words of the user for a response that is being made (response.steer). Upstream's runs can't be told anything while they
// go on, so it is refused, in the way that OpenAI has for models that can't be steered: the client gets its words back, and sends
// them with its next response.create. An error event would do harm, because clients take it for the end of the response that goes on
// beside it. Source: OpenAI's published event response.steer.failed.

// A steer is the words, in response.steer and in the answer to it.
type steer struct {
	Input              jsontext.Value `json:"input"`
	PreviousResponseID string         `json:"previous_response_id"`
}

// steerFailed is the answer. Its number is that of no stream: it belongs to none.
type steerFailed struct {
	Type     string     `json:"type"`
	Sequence int64      `json:"sequence_number"`
	Error    steerError `json:"error"`
	Steer    steer      `json:"steer"`
}

// steerError says why. Its code is one of a list of its own.
type steerError struct {
	Type    string `json:"type"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// refuseSteering answers a response.steer. The error is *agent.Error, about the message; when the answer can't be written, the next
// read of the socket fails.
func (k *socket) refuseSteering(m message) error {
	var sent steer
	if err := openai.Decode(m.data, &sent); err != nil {
		return err
	}
	switch {
	case len(sent.Input) == 0 || sent.Input.Kind() == 'n':
		return openai.Missing("input")
	case sent.PreviousResponseID == "":
		return openai.Missing("previous_response_id")
	}
	out := &socketOut{socket: k, lane: m.lane}
	_ = out.send(openai.Encode(steerFailed{Type: "response.steer.failed", Steer: sent, Error: steerError{
		Type: "invalid_request_error", Code: "steering_not_supported",
		Message: "A response can't be steered here. Wait for it to end, and send this input with a new 'response.create'.",
	}}))
	return nil
}
