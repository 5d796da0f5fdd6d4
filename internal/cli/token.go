package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/config"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/httpd"
	"composer-api/internal/keyring"
	"composer-api/internal/localtoken"
)

// tokenCmd is 'token'.
//
// Package localtoken says where the token lies, and decisions/0064 why there is one.
type tokenCmd struct {
	Rotate bool `help:"Make a new token. Gateways have to be started again, and clients set up again."`
}

// Help is what --help prints below the command's line.
func (tokenCmd) Help() string {
	return "The token is for clients on this machine, in the place of a Cursor API key: a gateway that has a key of its own (CURSOR_API_KEY, or " +
		"CURSOR_API_KEY_FILE) lends it to whoever sends the token. It is made when it is first needed, and lies in the state folder, where only you can read it."
}

// Run prints the token alone, so that a script can take it.
func (c *tokenCmd) Run(_ context.Context, p *process) error {
	dir, err := p.env.StateDir()
	if err != nil {
		return err
	}
	get := localtoken.ReadOrMake
	if c.Rotate {
		// A gateway that runs has read the old token at its start, and goes on with that.
		get = localtoken.Rotate
	}
	token, err := get(dir)
	if err != nil {
		return tokenHint(err)
	}
	_, err = fmt.Fprintln(p.stdout, token.Reveal())
	return err
}

// tokenHint says what to do about a token that can't be read or made.
func tokenHint(err error) error {
	return &hinted{fmt.Errorf("there is no local token: %w", err), "see that the state folder can be read and written, or make a new token with 'composer-api token --rotate'"}
}

// cursorKeyFile is the name of the default of CURSOR_API_KEY_FILE, in the state folder.
const cursorKeyFile = "cursor-key"

// serversKey is the Cursor key that the server has itself, and where it came from; none is no error. The first of these counts:
//
//  1. CURSOR_API_KEY
//  2. the file that CURSOR_API_KEY_FILE names; that it isn't there is an error
//  3. the file cursor-key in the state folder
//  4. the system's keyring, if 'cursor-key set' has put one there
//
// origin is for people: the name of a file, or of the place that the variable was set in. It is
// never part of the key.
func serversKey(ctx context.Context, p *process, c *config.CursorKey) (key agent.Secret, origin string, err error) {
	if !c.APIKey.IsZero() {
		_, origin, _ := p.env.Lookup("CURSOR_API_KEY")
		// A variable that a script has filled from a file often ends in a line break.
		text := strings.TrimSpace(c.APIKey.Reveal())
		if problem, cure := ownKeyFault(text); problem != "" {
			return agent.Secret{}, "", &config.Error{Name: "CURSOR_API_KEY", Origin: origin, Problem: "the key in it " + problem, Hint: cure}
		}
		return agent.NewSecret(text), origin, nil
	}
	path, named := c.APIKeyFile, c.APIKeyFile != ""
	if !named {
		state, err := p.env.StateDir()
		if err != nil {
			return agent.Secret{}, "", nil // without a home folder there is no such file
		}
		path = filepath.Join(state, cursorKeyFile)
	}
	data, err := os.ReadFile(path)
	switch {
	// The default file is optional; a file that somebody has named is not.
	case os.IsNotExist(err) && !named:
		return keyringsKey(ctx, filepath.Dir(path))
	case err != nil:
		return agent.Secret{}, "", &config.Error{Name: "CURSOR_API_KEY_FILE", Problem: "can't be read: " + err.Error(), Hint: "name a file that holds a Cursor API key and nothing else"}
	}
	text := strings.TrimSpace(string(data))
	// Such as a whole .env file. What is in it is not repeated: it may hold the key.
	if problem, _ := ownKeyFault(text); problem != "" {
		return agent.Secret{}, "", &config.Error{Name: "CURSOR_API_KEY_FILE", Problem: path + " holds no Cursor API key: what is in it " + problem, Hint: "the file is to hold the key and nothing else"}
	}
	return agent.NewSecret(text), path, nil
}

// ownKeyFault is agent.KeyFault for the key that a gateway has itself, which has to be one of Cursor's. Ours are mistaken for it
// easily: all are long random texts. The text has no white space around it.
func ownKeyFault(text string) (problem, cure string) {
	const create = "create a key in the Cursor dashboard under Integrations"
	switch {
	case text == "":
		return "is empty", create
	case strings.HasPrefix(text, localtoken.Prefix):
		return "is the local token, and no Cursor API key", create
	case strings.HasPrefix(text, keys.Prefix):
		return "is a hosted key (" + keys.Prefix + "…), and no Cursor API key", create + "; a hosted key is for the clients of the server that gave it"
	}
	return agent.KeyFault(text)
}

// keyringOrigin is the origin of a key in the keyring.
const keyringOrigin = "the system's keyring"

// keyringsKey is the key of the system's keyring; none where nothing was put into it. A keyring that doesn't give it is an error:
// the gateway would start without a key, and say nothing.
func keyringsKey(ctx context.Context, dir string) (key agent.Secret, origin string, err error) {
	if !keyring.Marked(dir) {
		return agent.Secret{}, "", nil
	}
	if key, err = keyring.Get(ctx); err != nil {
		return agent.Secret{}, "", &config.Error{Name: "CURSOR_API_KEY", Problem: "can't be read from the system's keyring: " + err.Error(),
			Hint: "unlock the keyring; or 'composer-api cursor-key set' puts the key there again, and 'composer-api cursor-key delete' makes do without"}
	}
	return key, keyringOrigin, nil
}

// localKey is what lends the server's own key to clients; nil when it has none, or when other machines could use it and
// nobody has said that they may. The token is made when there is none yet.
func localKey(ctx context.Context, p *process, c *config.CursorKey, auth *config.LocalAuth, thisMachineOnly bool) (*httpd.LocalKey, error) {
	key, _, err := serversKey(ctx, p, c)
	if err != nil || key.IsZero() || !thisMachineOnly && !auth.Remote {
		return nil, err
	}
	dir, err := p.env.StateDir()
	if err != nil {
		return nil, err
	}
	token, err := localtoken.ReadOrMake(dir)
	if err != nil {
		return nil, tokenHint(err)
	}
	return &httpd.LocalKey{Key: key, Token: token, Any: auth.HowProved == "any"}, nil
}
