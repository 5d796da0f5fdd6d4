package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"composer-api/internal/agent"
	"composer-api/internal/config"
	"composer-api/internal/keyring"
)

// cursorKeyCmd is what a user does with the Cursor key that the gateway has itself. (Hosted keys are 'keys'.)
//
// None of the commands prints a key.
type cursorKeyCmd struct {
	Set    cursorKeySetCmd    `cmd:"" help:"Put a Cursor API key into the system's keyring, for 'serve' and the other commands."`
	Source cursorKeySourceCmd `cmd:"" help:"Say where the gateway's own Cursor key comes from."`
	Delete cursorKeyDeleteCmd `cmd:"" help:"Take the key out of the system's keyring."`
}

// cursorKeySetCmd is 'cursor-key set'. The key is no argument, which other users of the machine could read, and which the
// shell would keep.
type cursorKeySetCmd struct{}

// Help is what --help prints below the command's line.
func (cursorKeySetCmd) Help() string {
	return "The key is asked for, without showing it, or read from standard input. The keyring is GNOME Keyring or KWallet (by the Secret Service), the Keychain of macOS, or the Credential Manager of Windows; on a server without one, use CURSOR_API_KEY or a file (CURSOR_API_KEY_FILE), which both go before it."
}

// Run reads the key and keeps it.
func (cursorKeySetCmd) Run(ctx context.Context, p *process) error {
	dir, err := p.env.StateDir()
	if err != nil {
		return err
	}
	// Nothing but its form is checked: to ask Cursor about it would need the network. 'doctor' does that.
	text, err := readKey(p)
	if err != nil {
		return err
	}
	if text == "" {
		return &hinted{errors.New("there is no key"), "create one in the Cursor dashboard under Integrations, and paste it here"}
	}
	if problem, cure := ownKeyFault(text); problem != "" {
		return &hinted{fmt.Errorf("the key %s", problem), cure}
	}
	// It also leaves a mark in the state folder, without which nobody asks the keyring.
	if err := keyring.Set(ctx, dir, agent.NewSecret(text)); err != nil {
		return keyringHint(dir, err)
	}
	fmt.Fprintln(p.stdout, "the key is in the system's keyring; 'composer-api serve' finds it there at its next start")
	// Said now, because otherwise the new key would seem to have no effect.
	if _, origin, ok := p.env.Lookup("CURSOR_API_KEY"); ok {
		fmt.Fprintf(p.stdout, "CURSOR_API_KEY (%s) is set, and goes before it\n", origin)
	}
	return nil
}

// readKey asks for the key, or reads it where nobody can be asked.
func readKey(p *process) (string, error) {
	if file, ok := p.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(p.stdout, "Cursor API key (it is not shown): ")
		key, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(p.stdout)
		return strings.TrimSpace(string(key)), err
	}
	// One line; a key has less than a hundred letters.
	// A last line without its line break is good: pipes often have none.
	line, err := bufio.NewReader(io.LimitReader(p.stdin, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

// keyringHint says what to do about a keyring that can't be used.
//
// dir is the state folder.
func keyringHint(dir string, err error) error {
	return &hinted{fmt.Errorf("the system's keyring can't be used: %w", err),
		"unlock it, and try again; where there is none, as on a server, put the key into the file " + filepath.Join(dir, cursorKeyFile) + " (mode 600), or set CURSOR_API_KEY"}
}

// cursorKeySourceCmd is 'cursor-key source'.
type cursorKeySourceCmd struct {
	config.CursorKey `embed:""`
}

// Run prints the place, and nothing of the key.
func (c *cursorKeySourceCmd) Run(ctx context.Context, p *process) error {
	key, origin, err := serversKey(ctx, p, &c.CursorKey)
	if err != nil {
		return err
	}
	if key.IsZero() {
		return &hinted{errors.New("there is no Cursor key: each client has to send one"), "'composer-api cursor-key set' puts one into the system's keyring; or set CURSOR_API_KEY"}
	}
	_, err = fmt.Fprintln(p.stdout, origin)
	return err
}

// cursorKeyDeleteCmd is 'cursor-key delete'.
type cursorKeyDeleteCmd struct{}

// Run takes the key out. That there is none is no error.
func (cursorKeyDeleteCmd) Run(ctx context.Context, p *process) error {
	dir, err := p.env.StateDir()
	if err != nil {
		return err
	}
	// Without the mark nobody asks the keyring at all: to ask it may open a window.
	if !keyring.Marked(dir) {
		fmt.Fprintln(p.stdout, "there is none in the keyring")
		return nil
	}
	if err := keyring.Delete(ctx, dir); err != nil {
		return keyringHint(dir, err)
	}
	fmt.Fprintln(p.stdout, "the key is no longer in the keyring; a gateway that runs keeps it until it ends")
	return nil
}
