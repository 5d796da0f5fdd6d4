package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"composer-api/internal/config"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
)

// 'keys': what an operator may do with hosted keys. A key has a name (key_…), which may be
// shown, and the key itself (cmp_…), which is shown once.

// keysCmd is what an operator does with hosted keys. Like accountsCmd it works on the database alone.
type keysCmd struct {
	List   keysListCmd   `cmd:"" help:"List the hosted keys, newest first."`
	Create keysCreateCmd `cmd:"" help:"Print a further hosted key for an account, with limits of its own."`
	Limit  keysLimitCmd  `cmd:"" help:"Change what a hosted key may be used for, how much, and until when."`
	Revoke keysRevokeCmd `cmd:"" help:"Make a hosted key bad, at once and on every replica."`
	Rotate keysRotateCmd `cmd:"" help:"Revoke a hosted key and print a new one for the same account."`
}

// keysListCmd is 'keys list'.
type keysListCmd struct {
	config.Storage `embed:""`
	Account        string `help:"Only the keys of this account." placeholder:"ID"`
}

// Run prints the keys as a table. Of the key itself, only its hint exists.
func (c *keysListCmd) Run(ctx context.Context, p *process) error {
	return withStore(ctx, p, &c.Storage, func(db store.Store) error {
		// All at once, without pages: a key is a line, and an operator has thousands at most.
		keys, err := db.ListKeys(ctx, c.Account)
		if err != nil {
			return err
		}
		now := time.Now()
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "KEY\tHINT\tACCOUNT\tNAME\tCREATED\tSTATE\tLIMITS")
		for _, k := range keys {
			// By one time for all rows, so that two keys with the same end have the same state.
			state := hosted.KeyState(&k, now)
			if !k.Revoked.IsZero() {
				state += " " + timestamp(k.Revoked)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Hint, k.Account, printable(k.Name), timestamp(k.Created), state, describeLimits(&k))
		}
		return w.Flush()
	})
}

// keysRevokeCmd is 'keys revoke KEY'. It takes the key's name and never the key itself, which would end up in the shell's
// history.
type keysRevokeCmd struct {
	config.Storage `embed:""`
	Key            string `arg:"" help:"The key's name, as 'keys list' shows it: key_…"`
}

// Run revokes a key. Servers notice at its next use, because they look keys up each time. To revoke it again is no error.
func (c *keysRevokeCmd) Run(ctx context.Context, p *process) error {
	return withOperator(ctx, p, &c.Storage, func(o *hosted.Operator) error {
		if err := o.RevokeKey(ctx, c.Key); err != nil {
			return noKey(err, c.Key)
		}
		fmt.Fprintf(p.stdout, "%s is revoked\n", c.Key)
		return nil
	})
}

// withOperator is withStore for what an operator does. Without a Ring and Verify the service behind it can do all of that,
// which needs no secret.
func withOperator(ctx context.Context, p *process, s *config.Storage, f func(*hosted.Operator) error) error {
	return withStore(ctx, p, s, func(db store.Store) error {
		return f(hosted.New(hosted.Config{Store: db}).Operator(operator()))
	})
}

// keysRotateCmd is 'keys rotate KEY'.
type keysRotateCmd struct {
	config.Storage `embed:""`
	Key            string `arg:"" help:"The key's name, as 'keys list' shows it: key_…"`
}

// Run prints the new key alone on stdout, so that a script can take it, and everything else on
// stderr. Nobody can see the key again later: only its hash is stored. The old key is bad
// before the new one is printed: both happen in one step of the store.
func (c *keysRotateCmd) Run(ctx context.Context, p *process) error {
	return withOperator(ctx, p, &c.Storage, func(o *hosted.Operator) error {
		token, key, err := o.RotateKey(ctx, c.Key)
		// The other cause of a conflict, a new key whose name exists, does not occur: names come
		// from random bytes.
		if errors.Is(err, store.ErrConflict) {
			return &hinted{fmt.Errorf("%s is revoked already", c.Key), "rotate a good key of the account, or let its owner sign up again"}
		}
		if err != nil {
			return noKey(err, c.Key)
		}
		fmt.Fprintf(p.stderr, "%s is revoked; %s takes its place. This is the only time that it is shown:\n", c.Key, key.ID)
		fmt.Fprintln(p.stdout, token.Reveal())
		return nil
	})
}

// noKey turns store.ErrNotFound into the error for a key that doesn't exist.
func noKey(err error, id string) error {
	return notFound(err, fmt.Sprintf("there is no hosted key %q", id), "'composer-api keys list' lists them")
}
