package agentwire

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// Reading what upstream sends. A stream carries thousands of text deltas, each a message of its
// own, so these are read without the generated code, which would allocate for each of them.

// The field numbers that are read by hand; all others are read by generated code. Source: proto/agent/v1/localagent.proto.
const (
	fieldUpdate     protowire.Number = 1 // AgentServerMessage.interaction_update
	fieldCheckpoint protowire.Number = 3 // AgentServerMessage.conversation_checkpoint_update

	fieldTokenDetails protowire.Number = 5 // ConversationState.token_details

	fieldText     protowire.Number = 1 // InteractionUpdate.text_delta
	fieldThinking protowire.Number = 4 // InteractionUpdate.thinking_delta

	fieldDeltaText protowire.Number = 1 // TextDelta.text, ThinkingDelta.text
	fieldNotice    protowire.Number = 2 // TextDelta.is_server_notice
)

// A ServerMessage is a message from upstream, parsed. Exactly one of its three forms is set:
//
//	Kind and Text   a piece of the answer or of the reasoning
//	Checkpoint      the conversation's state so far, as bytes
//	Other           everything else
//
// Text and Checkpoint share the memory of the message that was parsed, so they are valid only as long as
// it is.
//
// The reader of a stream has one and uses it again for each message (see localagent's run.message).
type ServerMessage struct {
	// Kind is agent.Text or agent.Reasoning for a piece of text, else 0.
	Kind agent.Kind
	// Text is that piece. It may be empty, and need not be whole UTF-8: upstream may cut a character in
	// two. When Kind is 0 it means nothing.
	Text []byte

	// Checkpoint is a checkpoint as upstream wrote it, not nil. It is not decoded and encoded again,
	// because its fields that we don't know must be sent back, too.
	Checkpoint []byte

	// Other is any other message.
	Other *pb.AgentServerMessage
}

// Parse fills in m from the message, whose memory it shares. Text is most of what a stream carries, so it
// is found by hand and without an allocation; so are checkpoints, which must stay as they are. Anything
// else, and anything unusual, such as a field that is repeated, is left to generated code. An error is a
// *connectwire.FormatError, and leaves m without a form.
//
// It fills m in, instead of returning one, because copying it for each word would cost more than finding
// the word.
//
// FuzzParse compares it with generated code.
func (m *ServerMessage) Parse(message []byte) error {
	m.Kind, m.Checkpoint, m.Other = 0, nil, nil
	switch field, body := sole(message, fieldUpdate, fieldCheckpoint); field {
	case fieldUpdate:
		if m.parseText(body) {
			return nil
		}
	case fieldCheckpoint:
		m.Checkpoint = body
		return nil
	}
	other := &pb.AgentServerMessage{}
	if err := proto.Unmarshal(message, other); err != nil {
		return &connectwire.FormatError{Reason: "message: " + err.Error()}
	}
	m.Other = other
	return nil
}

// parseText finds the text of an update that is a text or thinking delta and nothing else that we know.
// Otherwise it reports false and leaves m as it is. The nesting:
//
//	AgentServerMessage.interaction_update { text_delta { text, is_server_notice } }
func (m *ServerMessage) parseText(update []byte) bool {
	var kind agent.Kind
	var text []byte
	field, delta := sole(update, fieldText, fieldThinking)
	switch field {
	case fieldText:
		kind = agent.Text
	case fieldThinking:
		kind = agent.Reasoning
	default:
		return false
	}
	for len(delta) > 0 {
		number, wire, n := protowire.ConsumeTag(delta)
		if n < 0 {
			return false
		}
		delta = delta[n:]
		switch {
		case number == fieldDeltaText && wire == protowire.BytesType:
			text, n = protowire.ConsumeBytes(delta)
		case number == fieldNotice && wire == protowire.VarintType && kind == agent.Text:
			var notice uint64
			if notice, n = protowire.ConsumeVarint(delta); notice != 0 {
				// A notice is the server's, not the model's. It must not get into the answer, which may be
				// JSON, so it is shown as reasoning.
				kind = agent.Reasoning
			}
		default:
			n = protowire.ConsumeFieldValue(number, wire, delta)
		}
		if n < 0 {
			return false
		}
		delta = delta[n:]
	}
	m.Kind, m.Text = kind, text
	return true
}

// sole finds the field a or b of the message: its number and bytes when the message has exactly one of
// the two, once. Otherwise, and when the message is malformed, it returns 0, and the caller leaves the
// message to generated code. Other fields are skipped. a and b may be the same.
func sole(message []byte, a, b protowire.Number) (found protowire.Number, body []byte) {
	for len(message) > 0 {
		number, wire, n := protowire.ConsumeTag(message)
		if n < 0 {
			return 0, nil
		}
		message = message[n:]
		switch {
		case number != a && number != b:
			n = protowire.ConsumeFieldValue(number, wire, message)
		// body shares the message's memory.
		case wire == protowire.BytesType && found == 0:
			found = number
			body, n = protowire.ConsumeBytes(message)
		default:
			return 0, nil
		}
		if n < 0 {
			return 0, nil
		}
		message = message[n:]
	}
	return found, body
}

// ContextTokens reads the size of the context, in tokens, from a checkpoint; 0 when it doesn't
// say. The number is upstream's own count, and includes its system prompt.
func ContextTokens(state []byte) int64 {
	var d pb.ConversationTokenDetails
	_, details := sole(state, fieldTokenDetails, fieldTokenDetails)
	if proto.Unmarshal(details, &d) != nil {
		return 0
	}
	return int64(d.GetUsedTokens())
}
