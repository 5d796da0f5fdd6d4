// Package keyring keeps the user's Cursor key in the keyring of the system: the Secret Service of Linux desktops (GNOME
// Keyring, KWallet), the Keychain of macOS, the Credential Manager of Windows.
//
// A keyring may be locked, and then it asks its user for a password in a window. On a server there is none, and to look for it
// may start programs. So it is asked only where [Set] has put a key into it, which a mark in the state folder says:
//
//	cursor-key-in-keyring    empty; its being there is the mark
package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	system "github.com/zalando/go-keyring"

	"composer-api/internal/agent"
)

// By these the key is found in the keyring, by us and by people who look into it.
const (
	service = "composer-api"
	user    = "cursor-api-key"
)

// markName is the file in the state folder that says that there is a key in the keyring.
const markName = "cursor-key-in-keyring"

// limit is how long a keyring may take: long enough for somebody to type a password into its window.
const limit = time.Minute

// ErrNotFound is returned where the keyring holds no key although there is a mark: somebody has removed it there.
var ErrNotFound = errors.New("the keyring holds no key of composer-api")

// Marked reports whether a key was put into the keyring by the user whose state folder dir is. It asks no keyring.
func Marked(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, markName))
	return err == nil
}

// Set puts the key into the keyring, in the place of one that is there, and makes the mark.
func Set(ctx context.Context, dir string, key agent.Secret) error {
	if _, err := within(ctx, func() (string, error) { return "", system.Set(service, user, key.Reveal()) }); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, markName), nil, 0o600)
}

// Get returns the key. It is ErrNotFound when there is none.
func Get(ctx context.Context) (agent.Secret, error) {
	key, err := within(ctx, func() (string, error) { return system.Get(service, user) })
	if err != nil {
		return agent.Secret{}, err
	}
	return agent.NewSecret(key), nil
}

// Delete takes the key out of the keyring, and removes the mark. That it is gone already is no error.
func Delete(ctx context.Context, dir string) error {
	if _, err := within(ctx, func() (string, error) { return "", system.Delete(service, user) }); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := os.Remove(filepath.Join(dir, markName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// within asks the keyring, which can't be interrupted: after the limit, or with ctx, it is given up. Its goroutine then ends
// when the keyring answers, or with the process, which is a command's or a server's at its start.
func within(ctx context.Context, ask func() (string, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type answer struct {
		key string
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		defer func() {
			// The library talks to a program of the desktop's.
			if r := recover(); r != nil {
				answers <- answer{"", fmt.Errorf("the library for keyrings panicked: %v", r)}
			}
		}()
		key, err := ask()
		answers <- answer{key, err}
	}()
	select {
	case a := <-answers:
		if errors.Is(a.err, system.ErrNotFound) {
			return "", ErrNotFound
		}
		return a.key, a.err
	case <-ctx.Done():
		return "", fmt.Errorf("the keyring did not answer within %s: it may be locked", limit)
	}
}
