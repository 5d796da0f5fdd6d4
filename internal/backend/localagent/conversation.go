package localagent

import (
	"errors"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"composer-api/internal/agent"
)

// A conversation is what upstream needs when a finished conversation is continued: its last checkpoint, byte
// for byte, and the blobs that we keep for it. It is immutable, so any number of requests may continue it at
// once; conversations that follow from it share its blobs' bytes.
//
// finishWell makes one at the end of a run, or Restore from its bytes. It holds what the user has said,
// encoded by upstream, so its bytes are encrypted before they are written anywhere (store/sealed).
type conversation struct {
	id      string // upstream's, the same on every turn
	blobKey string // of x-blob-encryption-key, the same on every turn
	// checkpoint is a ConversationState as it came. It is never decoded and encoded again, because
	// fields that we don't know would be lost.
	checkpoint []byte
	blobs      map[string][]byte // by upstream's id
	size       int               // bytes, with what maps cost
	// native says that the client's system text is the model's system prompt. It isn't part of the checkpoint, so it goes
	// with every run, and a conversation keeps to the way in which it began.
	native bool
}

// ID implements agent.Conversation.
func (c *conversation) ID() string { return c.id }

// Size implements agent.Conversation.
func (c *conversation) Size() int { return c.size }

// blobOverhead is about how many bytes a blob costs beside its own: the map's entry, a string header and a
// slice header.
const blobOverhead = 96

// newConversation makes a conversation, which owns what it is given.
func newConversation(id, blobKey string, checkpoint []byte, blobs map[string][]byte, native bool) *conversation {
	c := &conversation{id: id, blobKey: blobKey, checkpoint: checkpoint, blobs: blobs, native: native}
	c.size = len(id) + len(blobKey) + len(checkpoint) + sizeBlobs(blobs)
	return c
}

// sizeBlobs is about how many bytes the blobs take in memory.
func sizeBlobs(blobs map[string][]byte) int {
	size := 0
	for blob, data := range blobs {
		size += len(blob) + len(data) + blobOverhead
	}
	return size
}

// A conversation on disk: the magic, then protobuf fields, blob ids and their data in turn. Never change the
// meaning of a field: a change that an older program can't read needs another magic.
//
//	"composer-api localagent 1\n"
//	1: id   2: blob key   3: checkpoint   4: blob id   5: its data   4: blob id   5: its data   …
//
// The format is ours, and not a message of Cursor's. A field that isn't known makes the bytes foreign.
const (
	conversationMagic = "composer-api localagent 1\n"

	fieldID            protowire.Number = 1
	fieldBlobKey       protowire.Number = 2
	fieldCheckpointRaw protowire.Number = 3
	fieldBlobID        protowire.Number = 4 // followed by its data
	fieldBlobData      protowire.Number = 5
	fieldNative        protowire.Number = 6 // empty; only with native. Programs that don't know it begin again
)

// MarshalBinary implements agent.Conversation. It never fails. Equal conversations give equal
// bytes. The ids are sorted for that reason.
func (c *conversation) MarshalBinary() ([]byte, error) {
	b := append(make([]byte, 0, c.size), conversationMagic...)
	b = appendField(b, fieldID, []byte(c.id))
	b = appendField(b, fieldBlobKey, []byte(c.blobKey))
	b = appendField(b, fieldCheckpointRaw, c.checkpoint)
	if c.native {
		b = appendField(b, fieldNative, nil)
	}
	for _, id := range slices.Sorted(maps.Keys(c.blobs)) {
		b = appendField(b, fieldBlobID, []byte(id))
		b = appendField(b, fieldBlobData, c.blobs[id])
	}
	return b, nil
}

// errForeign is why bytes are no conversation of ours.
var errForeign = errors.New("localagent: not a conversation of this backend and version")

// Restore implements agent.Restorer. Bytes of another backend or version are agent.ConversationLost: the caller
// then begins again, with the whole transcript.
func (b *Backend) Restore(data []byte) (agent.Conversation, error) {
	c, err := unmarshalConversation(data)
	if err != nil {
		return nil, &agent.Error{Code: agent.ConversationLost, Err: err}
	}
	return c, nil
}

// unmarshalConversation decodes the bytes of MarshalBinary. The conversation owns its memory. The only error is
// errForeign. FuzzConversation makes sure that it never panics.
//
// A conversation without a checkpoint is of no use, so that counts as foreign, too.
func unmarshalConversation(data []byte) (*conversation, error) {
	if len(data) < len(conversationMagic) || string(data[:len(conversationMagic)]) != conversationMagic {
		return nil, errForeign
	}
	data = slices.Clone(data[len(conversationMagic):]) // kept in pieces below
	var id, key, blob string
	var checkpoint []byte
	native := false
	blobs := map[string][]byte{}
	for len(data) > 0 {
		number, wire, n := protowire.ConsumeTag(data)
		if n < 0 || wire != protowire.BytesType {
			return nil, errForeign
		}
		value, m := protowire.ConsumeBytes(data[n:])
		if m < 0 {
			return nil, errForeign
		}
		data = data[n+m:]
		// Without this, appending to one piece could write over the next.
		value = value[:len(value):len(value)]
		switch number {
		case fieldID:
			id = string(value)
		case fieldBlobKey:
			key = string(value)
		case fieldCheckpointRaw:
			checkpoint = value
		case fieldNative:
			native = true
		case fieldBlobID:
			blob = string(value)
		case fieldBlobData:
			blobs[blob] = value
		default:
			return nil, errForeign
		}
	}
	if id == "" || key == "" || len(checkpoint) == 0 {
		return nil, errForeign
	}
	return newConversation(id, key, checkpoint, blobs, native), nil
}

// appendField appends a field that holds bytes.
func appendField(b []byte, number protowire.Number, value []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, value)
}
