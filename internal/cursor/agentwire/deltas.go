package agentwire

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// The field numbers that are read by hand; all others are read by generated code.
const (
	fieldUpdate     protowire.Number = 1 // AgentServerMessage.interaction_update
	fieldCheckpoint protowire.Number = 3 // AgentServerMessage.conversation_checkpoint_update

	fieldTokenDetails protowire.Number = 5 // ConversationState.token_details

	fieldText     protowire.Number = 1 // InteractionUpdate.text_delta
	fieldThinking protowire.Number = 4 // InteractionUpdate.thinking_delta

	fieldDeltaText protowire.Number = 1 // TextDelta.text, ThinkingDelta.text
	fieldNotice    protowire.Number = 2 // TextDelta.is_server_notice
)

// TextDelta finds the text of a message that is a text or thinking delta and nothing else that we know. It is most of
// what a stream carries, so it allocates nothing: text points into message. It doesn't look at whether the text is
// UTF-8, because upstream may cut a character in two. Anything else, and anything odd, is for Decode.
func TextDelta(message []byte) (kind agent.Kind, text []byte, ok bool) {
	update := only(message, fieldUpdate)
	if update == nil {
		return 0, nil, false
	}
	kind = agent.Text
	delta := only(update, fieldText)
	if delta == nil {
		kind = agent.Reasoning
		if delta = only(update, fieldThinking); delta == nil {
			return 0, nil, false
		}
	}
	for len(delta) > 0 {
		number, wire, n := protowire.ConsumeTag(delta)
		if n < 0 {
			return 0, nil, false
		}
		delta = delta[n:]
		switch {
		case number == fieldDeltaText && wire == protowire.BytesType:
			text, n = protowire.ConsumeBytes(delta)
		case number == fieldNotice && wire == protowire.VarintType && kind == agent.Text:
			var notice uint64
			if notice, n = protowire.ConsumeVarint(delta); notice != 0 {
				// What the server says beside the answer must not get into it: it may be JSON.
				kind = agent.Reasoning
			}
		default:
			n = protowire.ConsumeFieldValue(number, wire, delta)
		}
		if n < 0 {
			return 0, nil, false
		}
		delta = delta[n:]
	}
	return kind, text, true
}

// only returns the bytes of a field that the message has once; else nil. Other fields are passed over.
func only(message []byte, field protowire.Number) []byte {
	var found []byte
	for len(message) > 0 {
		number, wire, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		message = message[n:]
		switch {
		case number != field:
			n = protowire.ConsumeFieldValue(number, wire, message)
		case wire == protowire.BytesType && found == nil:
			found, n = protowire.ConsumeBytes(message)
		default:
			return nil
		}
		if n < 0 {
			return nil
		}
		message = message[n:]
	}
	return found
}

// Checkpoint returns the checkpoint that the message is, as upstream wrote it: what we don't know of it must go
// back as it came.
func Checkpoint(message []byte) ([]byte, bool) {
	state := only(message, fieldCheckpoint)
	return state, state != nil
}

// ContextTokens reads the size of the context from a checkpoint; 0 when it doesn't say.
func ContextTokens(state []byte) int64 {
	var d pb.ConversationTokenDetails
	if proto.Unmarshal(only(state, fieldTokenDetails), &d) != nil {
		return 0
	}
	return int64(d.GetUsedTokens())
}

// Decode reads any other message.
func Decode(message []byte) (*pb.AgentServerMessage, error) {
	m := &pb.AgentServerMessage{}
	if err := proto.Unmarshal(message, m); err != nil {
		return nil, &connectwire.FormatError{Reason: "message: " + err.Error()}
	}
	return m, nil
}
