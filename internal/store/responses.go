package store

import (
	"context"
	"time"
)

// A Response is one answer of the Responses API, kept because its request said store: true.
//
// One that is made while its client waits is created when it is finished. One in the background is
// created at once, with a Runner, and updated:
//
//	CreateResponse   Runner "", finished: it only stays, until it expires, is evicted or deleted
//	CreateResponse   Runner R, leased ──► RenewLeases … ──► UpdateResponse, Runner ""
//	                        └── the lease ends: AbandonedResponses ──► UpdateResponse by another process
//
// decisions/0016 says how processes judge each other.
type Response struct {
	Owner string
	ID    string // unique for the owner
	// Previous is the id of the response that this one continues; "" when none. It is not a reference: the previous
	// one may be gone.
	Previous string
	// Status is the response object's status. The store gives it no meaning: whether somebody works on the response
	// is said by Runner.
	Status string
	Object []byte // the response object, opaque to the store
	Input  []byte // its input items, opaque to the store
	// Created orders an owner's responses: the oldest is the first to go when the owner is over the limit.
	Created time.Time
	Expires time.Time

	// Runner names the process that is working on the response in the background; "" once the response is finished.
	// A response with a Runner is never evicted.
	Runner string
	// Lease is how long Runner holds the response, counted from the write by the clock of the database, so that the
	// clocks of the processes don't matter. It is only written: what is read has 0.
	Lease time.Duration

	// Revision counts the changes of this row; the first is 1.
	Revision int64
}

// Responses keeps responses. When an owner is over the limits ([Limits]), CreateResponse and
// UpdateResponse delete the owner's oldest finished ones, never the one at hand.
//
// There are no locks between calls. Who wants to change a row reads it, and gives the Revision that it
// read to UpdateResponse, which refuses when somebody else was faster.
type Responses interface {
	// CreateResponse stores a new response; its Revision is ignored and becomes 1. ErrConflict: the owner has one
	// with this ID. ErrTooLarge.
	CreateResponse(ctx context.Context, r Response) error
	// UpdateResponse replaces Status, Object, Input, Expires, Runner and Lease of the response, whose Revision
	// must be r.Revision, and adds one to it. ErrConflict: the stored one has another Revision, so somebody else
	// (a cancel, another replica) has changed it. ErrNotFound. ErrTooLarge.
	UpdateResponse(ctx context.Context, r Response) error
	// Response returns one response. ErrNotFound.
	Response(ctx context.Context, owner, id string) (Response, error)
	// DeleteResponse deletes a response and its events. ErrNotFound. While others of the owner continue it, directly or
	// not, its row stays, and only Ancestor finds it; it goes with the last of them.
	DeleteResponse(ctx context.Context, owner, id string) error
	// Ancestor is Response for what another response continues: it also finds a response that was
	// deleted but is still needed as context. ErrNotFound.
	Ancestor(ctx context.Context, owner, id string) (Response, error)

	// RenewLeases gives runner a new lease on those of jobs that it still works on, without touching
	// Revision, and returns which these are. The others were taken from it, finished or deleted. It
	// writes to the database even when jobs is empty, so nil says that the database can be written.
	RenewLeases(ctx context.Context, runner string, jobs []ResponseRef, lease time.Duration) ([]ResponseRef, error)
	// AbandonedResponses returns up to limit responses of all owners that have a Runner other than self
	// and whose lease has ended by the clock of the database, longest ago first. Their runner died or
	// can't reach the database: mark them as failed with UpdateResponse. ErrConflict from that is no
	// problem: another process was faster.
	AbandonedResponses(ctx context.Context, self string, limit int) ([]Response, error)
}

// A ResponseRef names a response.
type ResponseRef struct{ Owner, ID string }

// An Event is one event of a background response's stream, kept so that the stream can be read again
// from any position.
type Event struct {
	Sequence int64  // the event's sequence_number
	Data     []byte // opaque to the store
}

// Events keeps the events of responses. They count towards their response's size and go with it.
type Events interface {
	// AppendEvents adds events to a response. ErrNotFound: there is no such response. ErrConflict: one of the
	// sequence numbers exists.
	AppendEvents(ctx context.Context, owner, responseID string, events []Event) error
	// ListEvents returns up to limit events with a sequence number greater than after (-1 for all), in order. No events
	// is no error, and neither is a response that doesn't exist.
	ListEvents(ctx context.Context, owner, responseID string, after int64, limit int) ([]Event, error)
}

// A Conversation is a finished upstream conversation which a later request of the same owner may
// continue: the durable half of conversation memory. The half in memory is gateway's.
type Conversation struct {
	Owner string
	// Hash names the transcript, answer included, that the conversation holds.
	Hash    []byte
	Backend string // the name of the backend that made Data
	Data    []byte // agent.Conversation's bytes, opaque to the store
	Created time.Time
	Expires time.Time
}

// Conversations keeps conversations. When an owner is over the limits ([Limits]), PutConversation deletes the oldest.
type Conversations interface {
	// PutConversation stores c, in the place of an earlier one with the same owner, hash and backend. ErrTooLarge.
	PutConversation(ctx context.Context, c Conversation) error
	// Conversation returns what backend keeps under the hash. ErrNotFound.
	Conversation(ctx context.Context, owner, backend string, hash []byte) (Conversation, error)
	// DeleteConversation forgets one; one that isn't there is no error.
	DeleteConversation(ctx context.Context, owner, backend string, hash []byte) error
}
