package hosted_test

import (
	"testing"

	"composer-api/internal/hosted"
	"composer-api/internal/store/seal"
)

func TestASealingTellsWhichAccountsTheEncryptionKeysOpen(t *testing.T) {
	h := newHosting(t)
	s, db := h.replica(secret, "")
	signUp(t, s, adasKey)
	const other = "another encryption key"
	for _, tt := range []struct {
		current, previous string
		want              hosted.Sealing
	}{
		{secret, "", hosted.Sealing{Accounts: 1}},
		{other, "", hosted.Sealing{Accounts: 1, Locked: 1}},
		{other, secret, hosted.Sealing{Accounts: 1, Old: 1}},
		{"", "", hosted.Sealing{Accounts: 1, Locked: 1}},
	} {
		ring, err := seal.Parse(tt.current, tt.previous)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := hosted.SealingOf(t.Context(), db, ring); err != nil || got != tt.want {
			t.Errorf("ENCRYPTION_KEY=%q, previous %q: %+v, %v; want %+v", tt.current, tt.previous, got, err, tt.want)
		}
	}
}
