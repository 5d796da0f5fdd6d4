package agentwire

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// Envelope encodes a message in an envelope, ready to be sent.
func Envelope(m *pb.AgentClientMessage) []byte { return appendEnvelope(nil, encode(m)) }

// appendEnvelope appends an encoded message in an uncompressed envelope.
func appendEnvelope(b, message []byte) []byte { return connectwire.Append(b, 0, message) }

// encode encodes a message of our own making. Its strings are valid UTF-8 (see [Valid]), so it can't
// fail; if it does, that is a bug. Deterministic, so that the same message gives the same bytes.
func encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("agentwire: " + err.Error())
	}
	return b
}

// Valid replaces what isn't UTF-8 in s: protobuf refuses to encode it.
func Valid(s string) string { return strings.ToValidUTF8(s, replacement) }

// replacement is put in place of invalid UTF-8.
const replacement = "\uFFFD"

// appendField appends an encoded message as a field of another.
func appendField(b []byte, number protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}
