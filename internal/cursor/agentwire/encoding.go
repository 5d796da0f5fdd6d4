package agentwire

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// Envelope encodes a message as an envelope.
func Envelope(m *pb.AgentClientMessage) []byte { return appendEnvelope(nil, encode(m)) }

func appendEnvelope(b, message []byte) []byte { return connectwire.Append(b, 0, message) }

// encode encodes a message of our own making, whose strings are valid UTF-8.
func encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("agentwire: " + err.Error())
	}
	return b
}

// Valid makes s UTF-8, which protobuf insists on.
func Valid(s string) string { return strings.ToValidUTF8(s, replacement) }

// replacement stands for what is no UTF-8.
const replacement = "\uFFFD"

// appendField appends an encoded message as a field of another.
func appendField(b []byte, number protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}
