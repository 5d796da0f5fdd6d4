// Package keys makes and reads the keys that we mint for hosted accounts: "cmp_" and 32 random bytes.
//
// A key is shown once, to the person it is minted for. Afterwards only its SHA-256 exists, from which nobody can make
// the key: 256 random bits can't be guessed, so the hash needs no salt and no slowness.
//
// It keeps nothing and asks nobody; whether a key exists and is good, package hosted finds out.
package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"composer-api/internal/agent"
)

// Prefix begins every key that we mint, and no key of Cursor's. A token that begins with it is never
// sent upstream.
const Prefix = "cmp_"

const size = 32 // random bytes

// encoding is strict: one key has exactly one spelling, so one hash.
var encoding = base64.RawURLEncoding.Strict()

// A Key is what others than its owner may know of a minted key.
type Key struct {
	// ID names the key to the operator and finds it in the store: "key_" and the first 8 bytes of Hash. Looking a key
	// up by its ID can tell an attacker who measures time nothing but these 8 bytes of a hash.
	ID string
	// Hash is the SHA-256 of the whole token, prefix included. It is what the store has.
	Hash [sha256.Size]byte
	// Hint is for people who look for a key in a list, see Hint.
	Hint string
}

// Mint makes a key. The secret must be shown to its owner and then forgotten.
func Mint() (agent.Secret, Key) {
	var random [size]byte
	rand.Read(random[:])
	token := Prefix + encoding.EncodeToString(random[:])
	return agent.NewSecret(token), describe(token)
}

// Parse reads a token that somebody sent. It reports false when no such key can have been minted, which
// saves a look into the store. That it reports true says nothing about whether the key exists.
func Parse(token string) (Key, bool) {
	encoded, ours := strings.CutPrefix(token, Prefix)
	if !ours || len(encoded) != encoding.EncodedLen(size) {
		return Key{}, false
	}
	// Go's decoder skips \r and \n, so the length of the text alone proves nothing.
	if random, err := encoding.DecodeString(encoded); err != nil || len(random) != size {
		return Key{}, false
	}
	return describe(token), true
}

// Matches compares with the hash of a minted key, in constant time.
func (k Key) Matches(hash [sha256.Size]byte) bool {
	return subtle.ConstantTimeCompare(k.Hash[:], hash[:]) == 1
}

// describe is what is known of a token.
func describe(token string) Key {
	hash := sha256.Sum256([]byte(token))
	return Key{ID: IDOf(hash), Hash: hash, Hint: Hint(token)}
}

// IDOf is the ID of the key that has this hash.
func IDOf(hash [sha256.Size]byte) string { return "key_" + hex.EncodeToString(hash[:8]) }

// Hint is what may be shown of a key of any kind: its prefix and its last four characters, "crsr_…a1b2".
// Of a key shorter than 20 characters nothing is shown, because four would be a good part of it.
func Hint(key string) string {
	const tail, longestPrefix, shortest = 4, 8, 20
	if len(key) < shortest {
		return "…"
	}
	prefix, _, found := strings.Cut(key, "_")
	if !found || len(prefix) > longestPrefix {
		prefix = ""
	} else {
		prefix += "_"
	}
	return prefix + "…" + key[len(key)-tail:]
}
