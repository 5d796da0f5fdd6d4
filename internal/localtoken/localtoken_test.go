package localtoken_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/localtoken"
)

func TestATokenIsMadeOnceAndPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if _, err := localtoken.Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before it is made: %v", err)
	}
	first, err := localtoken.ReadOrMake(dir)
	if err != nil || !strings.HasPrefix(first.Reveal(), localtoken.Prefix) {
		t.Fatalf("%q, %v", first.Reveal(), err)
	}
	again, err := localtoken.ReadOrMake(dir)
	if err != nil || again != first {
		t.Errorf("the second time it is %q, %v", again.Reveal(), err)
	}
	info, err := os.Stat(filepath.Join(dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("others can read it: %v", info.Mode())
	}
	rotated, err := localtoken.Rotate(dir)
	if err != nil || rotated == first {
		t.Errorf("rotated it is %q, %v", rotated.Reveal(), err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("the folder holds %v", files)
	}
}

func TestProcessesThatStartAtOnceShareAToken(t *testing.T) {
	dir := t.TempDir()
	tokens := make([]agent.Secret, 8)
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() {
			var err error
			if tokens[i], err = localtoken.ReadOrMake(dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, token := range tokens {
		if token != tokens[0] {
			t.Fatal("there are two tokens")
		}
	}
}

func TestAFileThatHoldsNoTokenIsAnErrorAndStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	for _, text := range []string{"", "composer-", "composer-short", "crsr_" + strings.Repeat("a", 43)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := localtoken.ReadOrMake(dir); err == nil || strings.Contains(err.Error(), "crsr_") {
			t.Errorf("%q: %v", text, err)
		}
		if data, _ := os.ReadFile(path); string(data) != text {
			t.Errorf("%q was overwritten", text)
		}
	}
}

func TestOnlyTheTokenIsEqualToIt(t *testing.T) {
	token := agent.NewSecret("composer-abc")
	for sent, want := range map[string]bool{"composer-abc": true, "composer-abd": false, "composer-ab": false, "": false} {
		if got := localtoken.Equal(sent, token); got != want {
			t.Errorf("%q: %v", sent, got)
		}
	}
	if localtoken.Equal("", agent.Secret{}) {
		t.Error("without a token, no token is equal")
	}
}
