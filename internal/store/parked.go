package store

import (
	"context"
	"crypto/sha256"
	"time"
)

// Parked calls, and replicas: which replica holds the run that waits for the result of a tool call. See package replica. Nothing of a
// call is in them but a hash of its id.

// A ParkedCall says where the result of a call is waited for.
type ParkedCall struct {
	Key     [32]byte // see NewParkedKey
	Replica string   // the process that holds the run, see Replicas
	Address string   // of it, for other replicas: "10.0.0.5:8788"
	// Expires is when the run is given up, by the clock of the process that holds it.
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
	// ParkedAt returns the address that is stored under the first of keys that has one, and whose replica lives. ErrNotFound.
	ParkedAt(ctx context.Context, keys [][32]byte) (address string, err error)
}

// A Replica is a process that lives.
type Replica struct {
	// ID is random, and new at each start of the process.
	ID string
	// Address is where others may send it new turns: "10.0.0.5:8788". "" says that it takes none, because it is about to end.
	Address string
}

// MaxReplicas is how many addresses are looked at.
const MaxReplicas = 100

// Replicas keeps which processes live. One that has died leaves a lease that ends by itself.
//
// A process has a new id at each start: its runs died with the one before, although the address may be the same.
type Replicas interface {
	// RenewReplica says that a process lives, for the time of lease from now by the clock of the database.
	RenewReplica(ctx context.Context, r Replica, lease time.Duration) error
	// OpenReplicas returns the addresses of those that live and take new turns, each once, sorted, MaxReplicas at most.
	OpenReplicas(ctx context.Context) (addresses []string, err error)
	// EndReplica says that it has ended. One that isn't there is no error.
	EndReplica(ctx context.Context, id string) error
}
