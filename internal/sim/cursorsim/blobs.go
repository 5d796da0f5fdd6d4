package cursorsim

import (
	"crypto/sha256"
	"encoding/hex"

	"composer-api/internal/cursor/pb"
)

// kvAnswer is the client's answer to set_blob or get_blob.
type kvAnswer = pb.KvClientMessage

// blobs keeps track of what a stream asked of the client's blob store: each question is answered once,
// by its id. It belongs to the run's goroutine.
//
// A conversation's history lives with the client, as blobs that are named by the hash of their bytes.
// The server sets blobs while it answers, and gets them when the conversation is continued.
type blobs struct {
	notes
	// wire is the run's, and so are the messages on it.
	wire *wire
	next uint32                     // id of the last question
	open map[uint32]func(*kvAnswer) // takes the answer; by id, unanswered
}

// A blobGet is a get_blob that was asked. Both fields are set by the answer.
type blobGet struct {
	done bool  // it was answered
	miss error // why the answer is of no use; an *endError
}

// blobID is a blob's id: the SHA-256 of its bytes, so that whoever holds the id can tell whether the
// bytes are right.
func blobID(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

// set has the client keep bytes, and does not wait: the answer may come until the run ends.
func (b *blobs) set(data []byte) (id []byte, err error) {
	id = blobID(data)
	return id, b.ask(&pb.KvServerMessage{
		Message: &pb.KvServerMessage_SetBlobArgs{SetBlobArgs: &pb.SetBlobArgs{BlobId: id, BlobData: data}},
	}, func(a *kvAnswer) {
		switch result := a.GetSetBlobResult(); {
		case result == nil:
			b.violation("kv %d: set_blob was not answered with set_blob_result", a.GetId())
		case result.GetError() != nil:
			b.violation("kv %d: set_blob failed: %s", a.GetId(), result.GetError().GetMessage())
		}
	})
}

// get asks for bytes that the client was given, and does not wait; wait for done, then look at miss.
// Bytes that don't match the id count as a miss, and as a violation.
func (b *blobs) get(id []byte) (*blobGet, error) {
	g := new(blobGet)
	return g, b.ask(&pb.KvServerMessage{
		Message: &pb.KvServerMessage_GetBlobArgs{GetBlobArgs: &pb.GetBlobArgs{BlobId: id}},
	}, func(a *kvAnswer) {
		g.done = true
		result := a.GetGetBlobResult()
		switch {
		case result == nil:
			b.violation("kv %d: get_blob was not answered with get_blob_result", a.GetId())
			g.miss = errBlob(id)
		// A miss is no violation by itself: a client may bound its store. It ends this run.
		case result.BlobData == nil:
			g.miss = errBlob(id)
		case string(blobID(result.GetBlobData())) != string(id):
			b.violation("kv %d: blob %s came back with other bytes", a.GetId(), hex.EncodeToString(id[:4]))
			g.miss = errBlob(id)
		}
	})
}

// errBlob is how a run ends that needs a blob which the client no longer has. The protocol only says
// that the turn fails; the code is the simulator's choice.
func errBlob(id []byte) error {
	return &endError{Code: "not_found", Message: "Blob not found: " + hex.EncodeToString(id)}
}

// ask sends a question under the next id. answered runs once, in the run's goroutine, when the
// answer comes. An error is one of writing to the client. The run may end before the answer;
// then answered never runs.
func (b *blobs) ask(m *pb.KvServerMessage, answered func(*kvAnswer)) error {
	b.next++
	m.Id = b.next
	b.open[m.Id] = answered
	return b.wire.send(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_KvServerMessage{KvServerMessage: m}})
}

// answered takes in the answer to set_blob or get_blob. One whose id was not asked, or was answered
// before, is a violation and otherwise ignored.
func (b *blobs) answered(m *kvAnswer) {
	b.record(func(r *Run) { r.Blobs = append(r.Blobs, Message[*kvAnswer]{m}) })
	answer, ok := b.open[m.GetId()]
	if !ok {
		b.violation("kv %d was answered but not asked", m.GetId())
		return
	}
	// Before the answer is looked at: an id is answered once, whatever the answer is.
	delete(b.open, m.GetId())
	answer(m)
}
