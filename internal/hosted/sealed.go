package hosted

import (
	"context"

	"composer-api/internal/store"
	"composer-api/internal/store/seal"
)

// A Sealing says whether the encryption keys that a server has are those of its database.
type Sealing struct {
	// Accounts is how many were looked at.
	Accounts int
	// Locked of them have a Cursor key that no encryption key opens: their hosted keys don't work.
	Locked int
	// Old of them have one that ENCRYPTION_KEY_PREVIOUS alone opens.
	Old int
}

// mostLookedAt bounds what SealingOf reads. Ids of accounts are hashes, so the first ones are no special ones.
const mostLookedAt = 1000

// SealingOf tries ring, which may be nil, on the accounts: on all, or on a thousand of many. Nothing is changed, and no key leaves it.
// Errors are the store's.
func SealingOf(ctx context.Context, accounts store.Accounts, ring *seal.Ring) (s Sealing, err error) {
	all, err := accounts.ListAccounts(ctx, "", mostLookedAt)
	for _, a := range all {
		s.Accounts++
		switch _, old, err := ring.Open(a.SealedKey, cursorKeyPurpose, a.ID); {
		case err != nil:
			s.Locked++
		case old:
			s.Old++
		}
	}
	return s, err
}
