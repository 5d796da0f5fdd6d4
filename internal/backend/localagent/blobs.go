package localagent

import (
	"maps"
	"slices"

	"composer-api/internal/cursor/pb"
)

// blobs are the bytes that upstream asks us to keep for a conversation, opaque to us. Source: the protocol's
// table of what must be answered. Those of earlier turns are shared with the conversation value and with
// other runs that continue it, and never changed. It is protected by run.mu.
//
// Upstream addresses a conversation's state by ids and keeps the content with the client. A
// checkpoint refers to them, so a conversation is of use only with all of its blobs: if one was
// not kept (full), no conversation is made of the run; if one was missing when it was asked for
// (missed), an error is taken for a lost conversation.
type blobs struct {
	before map[string][]byte // of the conversation that is continued
	now    map[string][]byte // of this run; nil while there are none
	size   int               // bytes in both
	max    int               // above this nothing more is kept, and the conversation can't be continued
	full   bool              // something was not kept
	missed bool              // upstream asked for something that isn't here
}

// get returns a blob. That one is missing is remembered: an error that follows most likely
// comes from it, see run.giveUp. The caller must not change it: it may be shared.
func (b *blobs) get(id []byte) ([]byte, bool) {
	data, ok := b.now[string(id)]
	if !ok {
		data, ok = b.before[string(id)]
	}
	b.missed = b.missed || !ok
	return data, ok
}

// set keeps a blob; false when there is no room. A blob that is set again replaces the one before, and one
// that was refused takes no room. It copies data, which is part of the message.
func (b *blobs) set(id, data []byte) bool {
	size := b.size + len(id) + len(data) + blobOverhead
	if old, again := b.now[string(id)]; again {
		size -= len(id) + len(old) + blobOverhead
	}
	if size > b.max {
		b.full = true
		return false
	}
	b.size = size
	if b.now == nil {
		b.now = map[string][]byte{}
	}
	b.now[string(id)] = slices.Clone(data)
	return true
}

// all is every blob that the conversation needs when it is continued. It must not be changed.
//
// It is a new map when this run has added something, so that the conversation before stays as
// it was; the blobs' bytes are shared.
func (b *blobs) all() map[string][]byte {
	if len(b.now) == 0 {
		return b.before
	}
	all := make(map[string][]byte, len(b.before)+len(b.now))
	maps.Copy(all, b.before)
	maps.Copy(all, b.now)
	return all
}

// answer is the answer to a request to return or to keep a blob; nil when m is neither. Of a missing blob, both
// fields of the result stay unset: that is how the protocol says so.
func (b *blobs) answer(m *pb.KvServerMessage) *pb.KvClientMessage {
	answer := &pb.KvClientMessage{Id: m.GetId()}
	switch ask := m.GetMessage().(type) {
	case *pb.KvServerMessage_SetBlobArgs:
		result := &pb.SetBlobResult{}
		if !b.set(ask.SetBlobArgs.GetBlobId(), ask.SetBlobArgs.GetBlobData()) {
			result.Error = &pb.KvError{Message: "there is no room for the blob"}
		}
		answer.Message = &pb.KvClientMessage_SetBlobResult{SetBlobResult: result}
	case *pb.KvServerMessage_GetBlobArgs:
		result := &pb.GetBlobResult{}
		if data, ok := b.get(ask.GetBlobArgs.GetBlobId()); ok {
			result.BlobData = data
			if data == nil {
				result.BlobData = []byte{} // there, and empty
			}
		}
		answer.Message = &pb.KvClientMessage_GetBlobResult{GetBlobResult: result}
	default:
		return nil
	}
	return answer
}
