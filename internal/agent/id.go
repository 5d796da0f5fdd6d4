package agent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// base62 is the alphabet of ids: digits and letters, which need no escape in a URL or a shell.
const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewID returns prefix followed by n random base62 characters (5.95 bits each). The characters
// are cryptographically random, so nobody can guess an id.
func NewID(prefix string, n int) string {
	id := make([]byte, 0, len(prefix)+n)
	id = append(id, prefix...)
	var random [64]byte
	for len(id) < cap(id) {
		rand.Read(random[:])
		for _, b := range random {
			// 248 is the largest multiple of 62 in a byte: without this test the first eight characters would be likelier.
			if b < 248 && len(id) < cap(id) {
				id = append(id, base62[b%62])
			}
		}
	}
	return string(id)
}

// NewCallID makes the id of a tool call: 29 characters, because some clients truncate ids of more than 40.
func NewCallID() string { return NewID("call_", 24) }

// NewUUID returns a random UUID (RFC 9562, version 4).
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:])
	return formatUUID(4, b)
}

// UUIDFrom returns a UUID that is always the same for the hash (RFC 9562, version 8).
func UUIDFrom(hash [sha256.Size]byte) string { return formatUUID(8, [16]byte(hash[:16])) }

// formatUUID writes 16 bytes as a UUID of that version, with the variant of RFC 9562.
func formatUUID(version byte, b [16]byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	text := make([]byte, 0, 36)
	for i, group := range [...][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, group)
	}
	return string(text)
}

// NewConversationID makes the id of a conversation upstream, in the form that Cursor's SDK gives to its agents.
func NewConversationID() string { return "agent-" + NewUUID() }
