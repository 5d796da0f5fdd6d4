package store

import (
	"context"
	"time"
)

// An AuditEntry is one act of an operator: what was done, to what, and by whom. It is written before the act, so that none
// goes unrecorded; that the act then failed is in the log of the program. It holds no key and nothing of a conversation.
type AuditEntry struct {
	// ID is random; At orders the list.
	ID      string
	At      time.Time
	Actor   string // "ada on host1, command line", "operator's page"
	Action  string // "revoke key"
	Subject string // "key_…", "acct_…"; empty when the act has none
	Detail  string // for people: the limits that a key has got; may be empty
}

// AuditAge is how long entries are kept.
const AuditAge = 400 * 24 * time.Hour

// Audits keeps what operators did.
type Audits interface {
	// AddAudit writes an entry. ErrConflict: the ID exists.
	AddAudit(ctx context.Context, e AuditEntry) error
	// ListAudits returns up to limit entries, newest first. None is no error.
	ListAudits(ctx context.Context, limit int) ([]AuditEntry, error)
}
