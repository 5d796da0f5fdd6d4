package cli

import (
	"context"
	"fmt"
	"time"

	"composer-api/internal/config"
	"composer-api/internal/hosted"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
	"composer-api/internal/store/sealed"
)

// adminCmd is for whoever runs the server, beside the operator's page.
//
// The page is served by package pages; see decisions/0057 for why it has a token of its own.
type adminCmd struct {
	Token adminTokenCmd `cmd:"" help:"Print a new token for the page /admin. Earlier ones are void then."`
}

// adminTokenCmd is 'admin token'. It works on the database alone.
type adminTokenCmd struct {
	config.Storage `embed:""`
}

// Run prints the token alone on stdout, so that a script can take it. Nobody can see it again later: only its hash is
// stored.
func (c *adminTokenCmd) Run(ctx context.Context, p *process) error {
	return withStore(ctx, p, &c.Storage, func(db store.Store) error {
		if err := hosted.Audit(ctx, db, operator(), "make the token of the operator's page", "", ""); err != nil {
			return err
		}
		// The server reads what it keeps through package sealed. A hash needs no encryption.
		// MintToken replaces what is stored, so earlier tokens and their sessions end with it.
		token, err := session.MintToken(ctx, sealed.New(db, nil), time.Now())
		if err != nil {
			return err
		}
		// The sentence goes to stderr, so that TOKEN=$(composer-api admin token) gets the token
		// alone.
		fmt.Fprintln(p.stderr, "The token for /admin. This is the only time that it is shown; earlier ones are void, and so are their sessions:")
		fmt.Fprintln(p.stdout, token.Reveal())
		return nil
	})
}
