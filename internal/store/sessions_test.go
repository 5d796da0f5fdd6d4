package store_test

import (
	"testing"

	"composer-api/internal/store"
)

func TestASessionKeyTellsOwnersAndSessionsApartAndNamesNeither(t *testing.T) {
	key := store.NewSessionKey("k:1", "session")
	if key != store.NewSessionKey("k:1", "session") {
		t.Error("the same session has two keys")
	}
	if other := store.NewSessionKey("k:1", "other"); other.Session == key.Session || other.Owner != key.Owner {
		t.Error("two sessions of one owner must differ in Session only")
	}
	if other := store.NewSessionKey("k:2", "session"); other.Session == key.Session || other.Owner == key.Owner {
		t.Error("the same name of two owners must differ in both")
	}
	if key.Owner != store.OwnerSessions("k:1") {
		t.Error("an owner's sessions can't be found")
	}
}
