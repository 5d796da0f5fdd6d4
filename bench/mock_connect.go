package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// serveAgent carries out one run of the local-agent protocol.
func (m *mock) serveAgent(w http.ResponseWriter, r *http.Request) {
	// The body stays open as long as the run: results of tools come in it.
	in := bufio.NewReader(r.Body)
	prompt, err := readEnvelope(in, nil)
	if err != nil {
		errorf(w, "the run request: %v", err)
		return
	}
	// The plan is found as text. To decode the prompt would be the mock's cost, and not the server's before it.
	p, err := findPlan(prompt)
	if err != nil {
		errorf(w, "%v", err)
		return
	}
	prompt = nil // it may be megabytes, and the run may be parked
	w.Header().Set("Content-Type", connectwire.ContentType)
	w.WriteHeader(http.StatusOK)
	// A heartbeat is what upstream sends while the model says nothing.
	if p.beat {
		w.Write(envelope(nil, &pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{
			InteractionUpdate: &pb.InteractionUpdate{Message: &pb.InteractionUpdate_Heartbeat{Heartbeat: &pb.Empty{}}},
		}}))
	}
	http.NewResponseController(w).Flush()
	if p.tool {
		callAndGoOn(w, r, in, p)
		return
	}
	if err := speak(r.Context(), w, connectVoice{}, p, 0); err != nil {
		m.gone(p)
	}
}

// callAndGoOn announces a call of the client's tool and makes it, waits for its result, and goes on with words whose numbers begin at the one that
// the result says. So the client can check that its result has reached its own run.
func callAndGoOn(w http.ResponseWriter, r *http.Request, in *bufio.Reader, p plan) {
	w.Write(envelope(nil, &pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{
		InteractionUpdate: &pb.InteractionUpdate{Message: &pb.InteractionUpdate_ToolRequestsListed{
			ToolRequestsListed: &pb.ToolRequestsListed{CallCount: 1},
		}},
	}}))
	w.Write(envelope(nil, &pb.AgentServerMessage{Message: &pb.AgentServerMessage_ExecServerMessage{ExecServerMessage: &pb.ExecServerMessage{
		Id: 1, ExecId: "exec", Message: &pb.ExecServerMessage_McpArgs{McpArgs: &pb.McpArgs{
			Name: "custom-user-tools-" + toolName, ToolName: toolName, ProviderIdentifier: "custom-user-tools", ToolCallId: "toolu_1",
		}},
	}}}))
	http.NewResponseController(w).Flush()
	// One buffer for all messages. Heartbeats come here, too, and are passed over.
	var buf []byte
	for {
		message, err := readEnvelope(in, buf[:0])
		if err != nil {
			return
		}
		if _, after, ok := bytes.Cut(message, []byte(resultMark)); ok {
			digits := after[:len(after)-len(bytes.TrimLeft(after, "0123456789"))]
			// No digits give 0. Then the client hears a word that it doesn't expect, and fails.
			first, _ := strconv.Atoi(string(digits))
			speak(r.Context(), w, connectVoice{}, p, first)
			return
		}
		buf = message
	}
}

// readEnvelope reads one envelope's payload, into buf if it has room.
func readEnvelope(in *bufio.Reader, buf []byte) ([]byte, error) {
	var header [connectwire.HeaderLen]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return nil, err
	}
	// The first byte has flags. None is expected in a request.
	n := int(binary.BigEndian.Uint32(header[1:]))
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := io.ReadFull(in, buf)
	return buf, err
}

// envelope appends a message in its envelope.
func envelope(b []byte, m *pb.AgentServerMessage) []byte {
	payload, err := proto.Marshal(m)
	if err != nil {
		panic(err) // all messages are ours
	}
	return connectwire.Append(b, 0, payload)
}

// connectVoice speaks the local-agent protocol.
type connectVoice struct{}

// word writes AgentServerMessage{interaction_update{text_delta{text}}}, each of which is field 1.
func (connectVoice) word(b []byte, i int, now time.Time) []byte {
	// On the stack: a word is at most 40 bytes.
	var text [48]byte
	word := appendWord(text[:0], i, now)
	inner := 1 + protowire.SizeBytes(len(word))
	middle := 1 + protowire.SizeBytes(inner)
	b = append(b, 0, 0, 0, 0, byte(1+protowire.SizeBytes(middle)))
	for _, n := range []int{middle, inner, len(word)} {
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(n))
	}
	return append(b, word...)
}

// end writes a checkpoint, so that the conversation can be continued, the end of the turn, and the end of the stream.
func (connectVoice) end(b []byte, events int) []byte {
	b = envelope(b, &pb.AgentServerMessage{Message: &pb.AgentServerMessage_ConversationCheckpointUpdate{
		ConversationCheckpointUpdate: &pb.ConversationState{TokenDetails: &pb.ConversationTokenDetails{UsedTokens: 1000, MaxTokens: 200_000}},
	}})
	b = envelope(b, &pb.AgentServerMessage{Message: &pb.AgentServerMessage_InteractionUpdate{
		InteractionUpdate: &pb.InteractionUpdate{Message: &pb.InteractionUpdate_TurnEnded{
			TurnEnded: &pb.TurnEnded{InputTokens: proto.Int64(1000), OutputTokens: proto.Int64(int64(events))},
		}},
	}})
	return connectwire.Append(b, connectwire.EndOfStream, []byte("{}"))
}
