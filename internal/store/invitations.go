package store

import (
	"context"
	"time"
)

// Invitations: who may sign up where not everybody may.

// A SignUpRule says who may have a new account. The zero value lets everybody in.
type SignUpRule struct {
	// Closed lets in whoever has an invitation, and nobody else.
	Closed bool
	// Invitation is the hash of the one that somebody brings; zero for none. It is looked at only where Closed is set.
	Invitation [32]byte
	// At is when that is, for the end of the invitation.
	At time.Time
}

// An Invitation lets a number of people sign up. The text of it is not kept, only its hash. Its life: AddInvitation adds
// it, each new account uses it once, RevokeInvitation ends it; it is swept away InvitationAge after its end.
type Invitation struct {
	ID string // "inv_…", names it to the operator
	// Hash is the SHA-256 of the text.
	Hash    [32]byte
	Note    string // whom it is for, as the operator says; may be empty
	Created time.Time
	Expires time.Time
	Revoked time.Time // zero while it is good
	Uses    int64     // how many accounts may be made with it
	Used    int64     // how many were
}

// InvitationAge is how long an invitation stays in the list after it has expired.
const InvitationAge = 30 * 24 * time.Hour

// Invitations keeps invitations. They are used by Accounts.SignUp.
type Invitations interface {
	// AddInvitation adds one. ErrConflict: the ID or the hash exists.
	AddInvitation(ctx context.Context, i Invitation) error
	// Invitation returns one, whether it is good or not. ErrNotFound.
	Invitation(ctx context.Context, id string) (Invitation, error)
	// ListInvitations returns up to limit of them, newest first, those that are no good any more included. None is no error.
	ListInvitations(ctx context.Context, limit int) ([]Invitation, error)
	// RevokeInvitation makes it invalid from at on; one that is revoked already stays as it is. ErrNotFound.
	RevokeInvitation(ctx context.Context, id string, at time.Time) error
}
