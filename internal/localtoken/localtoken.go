// Package localtoken keeps the token by which the clients of this machine use the server's own Cursor key, so that no
// client holds the key itself:
//
//	composer-Jq0p…   43 letters, digits, - and _ after the prefix: 256 random bits
//
// It lies in a file of its own that the user alone can read. It is made once, by whoever needs it first, and is the same
// for all gateways of the user. Clients have it in their configuration, so it must not change by itself.
package localtoken

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/atomicfile"
)

// Prefix begins every token, and no key of Cursor's: a token that begins with it is never sent upstream.
const Prefix = "composer-"

const (
	// fileName is in the state folder.
	fileName = "token"
	// size is the length of the random part, in bytes.
	size = 32
	// mode lets nobody but the user read the file.
	mode = 0o600
)

// Read returns the token that is kept in the folder dir. It is an error that wraps fs.ErrNotExist when there is none yet.
func Read(dir string) (agent.Secret, error) {
	path := filepath.Join(dir, fileName)
	data, err := os.ReadFile(path)
	if err != nil {
		return agent.Secret{}, err
	}
	// An editor may have put a line break at the end.
	token := strings.TrimSpace(string(data))
	if random, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, Prefix)); err != nil || len(random) != size || !strings.HasPrefix(token, Prefix) {
		return agent.Secret{}, fmt.Errorf("%s holds no token", path)
	}
	return agent.NewSecret(token), nil
}

// ReadOrMake is Read, and makes the token, and the folder, when there is none. When two processes do so at once, both get
// the same token.
func ReadOrMake(dir string) (agent.Secret, error) {
	token, err := Read(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	// Somebody else was faster: theirs is read.
	if err := write(dir, atomicfile.Create); err != nil && !errors.Is(err, fs.ErrExist) {
		return agent.Secret{}, err
	}
	return Read(dir)
}

// Rotate makes a new token in the place of the one that is there. Gateways that run keep the old one until their next start.
func Rotate(dir string) (agent.Secret, error) {
	if err := write(dir, atomicfile.Write); err != nil {
		return agent.Secret{}, err
	}
	return Read(dir)
}

// write makes a token, and has put write it into its file.
func write(dir string, put func(path string, data []byte, mode fs.FileMode) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	random := make([]byte, size)
	rand.Read(random) // never fails
	return put(filepath.Join(dir, fileName), []byte(Prefix+base64.RawURLEncoding.EncodeToString(random)+"\n"), mode)
}

// Equal compares what a client has sent with the token, in a time that tells nothing about either but its length.
func Equal(sent string, token agent.Secret) bool {
	return !token.IsZero() && subtle.ConstantTimeCompare([]byte(sent), []byte(token.Reveal())) == 1
}
