package agentwire

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/pb"
)

// These two justify deltas.go: generated code takes some twenty times as long, and allocates for each word.

func BenchmarkParseText(b *testing.B) {
	message := textMessage("hello, ")
	var m ServerMessage
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Parse(message); err != nil || len(m.Text) == 0 {
			b.Fatal("no text")
		}
	}
}

func BenchmarkParseTextGenerated(b *testing.B) {
	message := textMessage("hello, ")
	b.ReportAllocs()
	for b.Loop() {
		var m pb.AgentServerMessage
		if proto.Unmarshal(message, &m) != nil || m.GetInteractionUpdate().GetTextDelta().GetText() == "" {
			b.Fatal("no text")
		}
	}
}
