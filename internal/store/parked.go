package store

import (
	"context"
	"crypto/sha256"
	"time"
)

// Parked calls: which replica holds the run that waits for the result of a tool call. See package replica. Nothing of a
// call is in them but a hash of its id.

// A ParkedCall says where the result of a call is waited for.
type ParkedCall struct {
	Key     [32]byte // see NewParkedKey
	Address string   // of the replica that holds the run, for other replicas: "10.0.0.5:8788"
	Expires time.Time
}

// NewParkedKey hashes the owner of a call and its id, so that nobody's call is found under another owner.
func NewParkedKey(owner, call string) [32]byte {
	return sha256.Sum256([]byte("parked-call\x00" + owner + "\x00" + call))
}

// ParkedCalls keeps parked calls. They are few bytes each and limited by their age alone.
type ParkedCalls interface {
	// PutParkedCalls stores the calls, all or none, each in place of what is stored under its key.
	PutParkedCalls(ctx context.Context, calls []ParkedCall) error
	// ParkedAt returns the address that is stored under the first of keys that has one. ErrNotFound.
	ParkedAt(ctx context.Context, keys [][32]byte) (address string, err error)
}
