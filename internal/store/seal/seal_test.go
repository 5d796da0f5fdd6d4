package seal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"composer-api/internal/store/seal"
)

func ring(t testing.TB, current, previous string) *seal.Ring {
	t.Helper()
	r, err := seal.Parse(current, previous)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	oldSecret = "an old and long secret"
	newSecret = "a new and long secret"
)

func TestOpensOnlyForThePurposeItWasSealedFor(t *testing.T) {
	r := ring(t, newSecret, "")
	sealed := r.Seal([]byte("hello"), "cursor-key", "acct_1")
	if got, old, err := r.Open(sealed, "cursor-key", "acct_1"); err != nil || old || string(got) != "hello" {
		t.Fatalf("Open = %q, %v, %v", got, old, err)
	}
	for _, context := range [][]string{nil, {"cursor-key"}, {"cursor-key", "acct_2"}, {"cursor-keyacct_1"}, {"cursor-key", "acct_1", ""}, {"cursor-ke", "yacct_1"}} {
		if _, _, err := r.Open(sealed, context...); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("context %q: %v, want ErrOpen", context, err)
		}
	}
}

func TestAMessageOfAnyLengthComesBackWithTheOverhead(t *testing.T) {
	r := ring(t, newSecret, "")
	for _, n := range []int{0, 1, 16, 100, 1 << 20} {
		plain := bytes.Repeat([]byte("x"), n)
		sealed := r.Seal(plain, "x")
		if got, _, err := r.Open(sealed, "x"); err != nil || !bytes.Equal(got, plain) || len(sealed) != n+seal.Overhead || cap(sealed) != len(sealed) {
			t.Errorf("%d bytes: %d come back of %d with room for %d, %v", n, len(got), len(sealed), cap(sealed), err)
		}
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	r := ring(t, newSecret, oldSecret)
	sealed := r.Seal([]byte("hello"), "x")
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, _, err := r.Open(changed, "x"); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("byte %d changed: %v, want ErrOpen", i, err)
		}
		if _, _, err := r.Open(sealed[:i], "x"); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("cut to %d bytes: %v, want ErrOpen", i, err)
		}
	}
}

func TestThePreviousKeyOpensAndSaysSo(t *testing.T) {
	sealed := ring(t, oldSecret, "").Seal([]byte("hello"), "x")
	if _, _, err := ring(t, newSecret, "").Open(sealed, "x"); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another key: %v, want ErrOpen", err)
	}
	rotated := ring(t, newSecret, oldSecret)
	got, old, err := rotated.Open(sealed, "x")
	if err != nil || !old || string(got) != "hello" {
		t.Fatalf("Open = %q, %v, %v", got, old, err)
	}
	if _, old, err := ring(t, newSecret, "").Open(rotated.Seal(got, "x"), "x"); err != nil || old {
		t.Errorf("sealed again: old=%v, %v", old, err)
	}
}

func TestARandomRingIsLikeNoOther(t *testing.T) {
	if _, _, err := seal.Random().Open(seal.Random().Seal([]byte("hello"))); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another ring opens it: %v", err)
	}
}

func TestSpellingsOfOneKeyAreOneKey(t *testing.T) {
	secret := sha256.Sum256([]byte("some 32 bytes with + and / in base64: \xff\xef"))
	spellings := []string{
		hex.EncodeToString(secret[:]),
		strings.ToUpper(hex.EncodeToString(secret[:])),
		base64.StdEncoding.EncodeToString(secret[:]),
		base64.RawStdEncoding.EncodeToString(secret[:]),
		base64.URLEncoding.EncodeToString(secret[:]),
		base64.RawURLEncoding.EncodeToString(secret[:]),
	}
	sealed := seal.New(secret).Seal(nil, "x")
	for _, s := range spellings {
		if _, _, err := ring(t, s, "").Open(sealed, "x"); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	// A passphrase is hashed, also one that is hex of another length.
	for _, s := range []string{newSecret, strings.Repeat("ab", 16)} {
		sealed := seal.New(sha256.Sum256([]byte(s))).Seal(nil)
		if _, _, err := ring(t, s, "").Open(sealed); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestParseRefusesWithAHint(t *testing.T) {
	for _, c := range []struct{ name, current, previous, want string }{
		{"a character too short", strings.Repeat("x", seal.MinSecret-1), "", "ENCRYPTION_KEY: is too short: it needs at least 16 characters"},
		{"short", "hunter2", "", "ENCRYPTION_KEY: is too short: it needs at least 16 characters"},
		{"short previous", newSecret, "hunter2", "ENCRYPTION_KEY_PREVIOUS: is too short: it needs at least 16 characters"},
		{"previous alone", "", oldSecret, "ENCRYPTION_KEY_PREVIOUS: is set, but ENCRYPTION_KEY is not"},
	} {
		_, err := seal.Parse(c.current, c.previous)
		var secret *seal.SecretError
		if !errors.As(err, &secret) || secret.Error() != c.want || secret.Hint == "" {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	ring(t, strings.Repeat("x", seal.MinSecret), strings.Repeat("y", seal.MinSecret)) // just long enough
	r, err := seal.Parse("", "")
	if err != nil || r.Ready() {
		t.Errorf("no key: ready=%v, %v", r.Ready(), err)
	}
	if _, _, err := r.Open(seal.Random().Seal(nil)); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("no key: %v, want ErrOpen", err)
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, newSecret, oldSecret)
	f.Add(r.Seal([]byte("hello"), "x"))
	f.Add(ring(f, oldSecret, "").Seal(nil, "x"))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		plain, _, err := r.Open(sealed, "x")
		if err == nil && len(plain)+seal.Overhead != len(sealed) {
			t.Errorf("%d bytes sealed, %d plain", len(sealed), len(plain))
		}
	})
}

func TestWhatOthersEncryptIsNotTakenForSealed(t *testing.T) {
	sealed := ring(t, newSecret, "").Seal([]byte("hello"), "x")
	fernet, err := base64.StdEncoding.DecodeString("gAAAAABoISQ24OyVRYbk")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{nil, {1}, fernet, []byte("hello")} {
		if seal.Plausible(b) {
			t.Errorf("%q could be sealed", b)
		}
	}
	if !seal.Plausible(sealed) || !seal.Plausible(sealed[:30]) {
		t.Error("a sealed message could not be one")
	}
}
