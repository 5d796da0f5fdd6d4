package keys_test

import (
	"crypto/sha256"
	"regexp"
	"strings"
	"testing"

	"composer-api/internal/hosted/keys"
)

func TestAMintedKeyIsReadBack(t *testing.T) {
	secret, minted := keys.Mint()
	token := secret.Reveal()
	if !regexp.MustCompile(`^cmp_[A-Za-z0-9_-]{43}$`).MatchString(token) {
		t.Errorf("minted %d characters that don't look like a key", len(token))
	}
	read, ok := keys.Parse(token)
	if !ok || read != minted || !read.Matches(minted.Hash) || minted.Hash != sha256.Sum256([]byte(token)) {
		t.Errorf("read %+v, minted %+v", read, minted)
	}
	if strings.Contains(token, minted.ID[len("key_"):]) || !regexp.MustCompile(`^key_[0-9a-f]{16}$`).MatchString(minted.ID) {
		t.Errorf("id %s", minted.ID)
	}
	_, other := keys.Mint()
	if other.ID == minted.ID || read.Matches(other.Hash) {
		t.Error("two keys are alike")
	}
}

func TestWhatCanNotHaveBeenMintedIsRefused(t *testing.T) {
	secret, _ := keys.Mint()
	token := secret.Reveal()
	for _, bad := range []string{
		"", "cmp_", "crsr_" + token[4:], token[4:], "CMP_" + token[4:], token + "A", token[:len(token)-1], token + "=", " " + token,
		token[:10] + "\n" + token[10:], token[:10] + "+" + token[11:], "cmp_" + strings.Repeat("A", 42) + "B", // bits beyond the 32 bytes
	} {
		if _, ok := keys.Parse(bad); ok {
			t.Errorf("%q was taken for a key", bad)
		}
	}
}

func TestAHintGivesLittleAway(t *testing.T) {
	for key, want := range map[string]string{
		"crsr_0123456789abcdef0123456789abcdef": "crsr_…cdef",
		"0123456789abcdef0123456789abcdef":      "…cdef",
		"averyveryverylongprefix_0123456789":    "…6789",
		"crsr_short":                            "…",
		"":                                      "…",
	} {
		if got := keys.Hint(key); got != want {
			t.Errorf("Hint(%q) = %q, want %q", key, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	secret, _ := keys.Mint()
	f.Add(secret.Reveal())
	f.Add("cmp_")
	f.Add("crsr_0123456789")
	f.Fuzz(func(t *testing.T, token string) {
		k, ok := keys.Parse(token)
		if ok && (!strings.HasPrefix(token, keys.Prefix) || k.Hash != sha256.Sum256([]byte(token))) {
			t.Errorf("%q was read as %+v", token, k)
		}
	})
}
