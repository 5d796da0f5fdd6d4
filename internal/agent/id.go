package agent

import "crypto/rand"

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewID returns prefix followed by n random base62 characters (5.95 bits each).
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

// NewCallID mints the id of a tool call: 29 characters, because some clients cut ids that are longer than 40.
func NewCallID() string { return NewID("call_", 24) }
