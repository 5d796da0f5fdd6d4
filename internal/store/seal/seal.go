// Package seal encrypts what lies on disk, or with a client, so that only we can read it and nobody can change it or
// put it in another's place.
//
// A [Ring] seals with one key and opens with any of its keys, so that the key can be changed without losing what was
// sealed before. The scheme is AES-256-GCM with a random nonce; a sealed message is
//
//	version (1 byte, 1) · key id (4 bytes) · nonce (12 bytes) · ciphertext · tag (16 bytes)
//
// The version and the key id are authenticated, and so is the associated data: what the message is and whom it belongs
// to. A message opened with other associated data than it was sealed with does not open.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// MinSecret is the minimum length of ENCRYPTION_KEY, in characters.
const MinSecret = 16

const (
	// The sizes of the parts of a sealed message, in bytes.
	version = 1
	// A message: version, id of the key, nonce, ciphertext with the tag. Sizes are in bytes.
	idSize    = 4
	nonceSize = 12
	header    = 1 + idSize + nonceSize
	tagSize   = 16
)

// Overhead is how many bytes longer a sealed message is than the plain one.
const Overhead = header + tagSize

// ErrOpen: the message was not sealed by this ring for this purpose, or was changed. It does not say
// which, so that an attacker learns nothing from it.
var ErrOpen = errors.New("seal: the sealed message can't be opened with these keys")

// A Ring is a set of keys. It is immutable and safe for concurrent use. A nil *Ring has no keys: it can't be used, but
// it can be asked for Ready.
//
//	who             seals                                         purpose
//	hosted          users' Cursor keys                            cursor-key
//	store/sealed    what the Responses API and chat keep          response-object, …
//	api/responses   thinking and compactions that clients carry   responses-reasoning, …
//	api/messages    signatures of thinking                        messages-thinking
type Ring struct {
	// current seals. older only open.
	current key
	older   []key
}

// A key is one AES-256-GCM key with the id that messages name it by.
type key struct {
	id [idSize]byte
	// aead encrypts with the key, which is kept nowhere else.
	aead cipher.AEAD
}

// Parse makes a ring from the texts of ENCRYPTION_KEY and ENCRYPTION_KEY_PREVIOUS. An empty current means no ring
// (nil, nil); an empty previous means that there is none. Errors are *SecretError.
//
// 64 hex digits and base64 of 32 bytes (standard or URL alphabet, padded or not) are taken as the key that they spell;
// any other text of at least 16 characters is hashed with SHA-256.
func Parse(current, previous string) (*Ring, error) {
	if current == "" {
		if previous != "" {
			return nil, &SecretError{Name: "ENCRYPTION_KEY_PREVIOUS", Problem: "is set, but ENCRYPTION_KEY is not", Hint: "set ENCRYPTION_KEY to the new key, or move the old one back to it"}
		}
		return nil, nil
	}
	secret, err := KeyBytes("ENCRYPTION_KEY", current)
	if err != nil {
		return nil, err
	}
	if previous == "" {
		return New(secret), nil
	}
	old, err := KeyBytes("ENCRYPTION_KEY_PREVIOUS", previous)
	if err != nil {
		return nil, err
	}
	return New(secret, old), nil
}

// A SecretError is a text that no key can be made of. It holds nothing of the text.
type SecretError struct {
	Name    string // the variable
	Problem string // what is wrong with it
	Hint    string // how to fix it
}

// Error implements error; the hint is for whoever prints it.
func (e *SecretError) Error() string { return e.Name + ": " + e.Problem }

// New makes a ring that seals with current and opens with older too.
func New(current [32]byte, older ...[32]byte) *Ring {
	r := &Ring{current: newKey(current)}
	for _, secret := range older {
		r.older = append(r.older, newKey(secret))
	}
	return r
}

// Random makes a ring with a key that ends with the process: for what has to be opened only by the same
// process.
func Random() *Ring {
	var secret [32]byte
	rand.Read(secret[:])
	return New(secret)
}

// Ready reports whether the ring has a key.
func (r *Ring) Ready() bool { return r != nil }

// Seal encrypts plain for the purpose that context names: what the message is, and whom it belongs to,
// as in Seal(key, "cursor-key", accountID). Open needs the same parts. It must not be called on a nil
// ring.
//
// A random nonce of 96 bits is good for about 2³² messages with one key, which is far more than
// one installation writes. The result is a new slice; plain is not changed.
func (r *Ring) Seal(plain []byte, context ...string) []byte {
	sealed := make([]byte, header, header+len(plain)+tagSize)
	sealed[0] = version
	copy(sealed[1:], r.current.id[:])
	nonce := sealed[1+idSize : header]
	rand.Read(nonce)
	return r.current.aead.Seal(sealed, nonce, plain, associated(r.current.id, context))
}

// Plausible reports whether b has the form of a sealed message. That some ring has sealed it is not said: what others
// encrypt begins otherwise almost always, but not necessarily.
func Plausible(b []byte) bool { return len(b) > idSize && b[0] == version }

// Open decrypts what Seal returned. old is true when the message was sealed with an older key: seal it again. The only
// error is ErrOpen. On a nil ring nothing opens.
//
// Nobody may tell the reasons for ErrOpen apart, so callers should not log more than it either.
func (r *Ring) Open(sealed []byte, context ...string) (plain []byte, old bool, err error) {
	if r == nil || len(sealed) < Overhead || sealed[0] != version {
		return nil, false, ErrOpen
	}
	id := [idSize]byte(sealed[1 : 1+idSize])
	nonce, body := sealed[1+idSize:header], sealed[header:]
	ad := associated(id, context)
	// Ids are short, so two keys could have the same one. That is why each key with the message's id is
	// tried, and a failure with one is not the end.
	if id == r.current.id {
		if plain, err := r.current.aead.Open(nil, nonce, body, ad); err == nil {
			return plain, false, nil
		}
	}
	for _, k := range r.older {
		if id != k.id {
			continue
		}
		if plain, err := k.aead.Open(nil, nonce, body, ad); err == nil {
			return plain, true, nil
		}
	}
	return nil, false, ErrOpen
}

// associated returns the associated data: version, key id and each part of the context with its length
// before it, so that no two different lists give the same bytes.
func associated(id [idSize]byte, context []string) []byte {
	ad := append([]byte{version}, id[:]...)
	for _, part := range context {
		ad = fmt.Appendf(ad, "%d:%s", len(part), part)
	}
	return ad
}

// newKey makes a key of its 32 bytes.
func newKey(secret [32]byte) key {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic("seal: " + err.Error()) // 32 bytes are always a key
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("seal: " + err.Error())
	}
	// The id only chooses among our own keys. It comes from a hash with its own prefix and says nothing of the key.
	sum := sha256.Sum256(append([]byte("composer-api key id\x00"), secret[:]...))
	return key{id: [idSize]byte(sum[:idSize]), aead: aead}
}

// KeyBytes reads one of the two variables; see Parse. The order of the decoders does not matter: a text
// that is 32 bytes in one of the alphabets of base64 has the same value in the other, where it is valid
// there at all.
func KeyBytes(name, text string) ([32]byte, error) {
	if len(text) < MinSecret {
		return [32]byte{}, &SecretError{Name: name, Problem: fmt.Sprintf("is too short: it needs at least %d characters", MinSecret), Hint: "make one with 'openssl rand -hex 32'"}
	}
	decoders := []func(string) ([]byte, error){
		hex.DecodeString,
		base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	}
	for _, decode := range decoders {
		if b, err := decode(text); err == nil && len(b) == 32 {
			return [32]byte(b), nil
		}
	}
	return sha256.Sum256([]byte(text)), nil
}
