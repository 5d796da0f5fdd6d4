package cursorsim

import (
	"slices"
	"testing"

	"composer-api/internal/cursor/pb"
)

// Over HTTP/1.1 message 2 often arrives before message 1 (seen with Cursor's SDK 1.1.0).
func TestAppendsAreSortedBySequenceNumber(t *testing.T) {
	s := (&sessions{keep: 1}).of("request")
	message := func(seq int64) *pb.AgentClientMessage {
		return &pb.AgentClientMessage{Message: &pb.AgentClientMessage_ExecClientMessage{
			ExecClientMessage: &pb.ExecClientMessage{Id: uint32(seq)},
		}}
	}
	for _, seq := range []int64{2, 0, 3, 1} {
		if !s.append(seq, message(seq)) {
			t.Errorf("message %d is not a new one", seq)
		}
	}
	if s.append(2, message(2)) {
		t.Error("message 2 was taken twice")
	}
	var got []uint32
	for _, i := range s.in.take() {
		got = append(got, i.message.GetExecClientMessage().GetId())
	}
	if want := []uint32{0, 1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("the run reads %v, want %v", got, want)
	}
}
