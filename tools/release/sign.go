package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"aead.dev/minisign"
)

// secretVariable names the variable with the secret key, the whole text of its file. A variable, because a process's arguments
// can be read by others.
const secretVariable = "RELEASE_SECRET"

// makeKey writes a new secret key to a file that only its owner can read, and prints the public one. It overwrites nothing.
func makeKey(file string) error {
	public, secret, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	text, err := secret.MarshalText()
	if err != nil {
		return err
	}
	// O_EXCL: a key that is overwritten could sign no further release, and the programs that are out would take no other's.
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = out.Write(text); err == nil {
		fmt.Println(public)
	}
	return errors.Join(err, out.Close())
}

// secretKey is that of RELEASE_SECRET. An error does not show it.
func secretKey() (secret minisign.PrivateKey, err error) {
	// The library's own error is dropped, because it might quote the text.
	if secret.UnmarshalText([]byte(os.Getenv(secretVariable))) != nil {
		return secret, errors.New(secretVariable + " holds no secret key of minisign without a password; 'release key FILE' makes one")
	}
	return secret, nil
}

// printPublic prints the public key that belongs to RELEASE_SECRET, for the linker's flags.
func printPublic() error {
	secret, err := secretKey()
	if err == nil {
		fmt.Println(secret.Public())
	}
	return err
}

// sign writes FILE.minisig.
func sign(file string) error {
	secret, err := secretKey()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	// The signature is public.
	return os.WriteFile(file+".minisig", minisign.Sign(secret, data), 0o644)
}
