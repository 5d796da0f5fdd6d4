package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"composer-api/internal/config"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
)

// 'accounts': what an operator may see and do about people who have signed up. The account's
// Cursor key is never printed, only its hint.

// accountsCmd is what an operator does with the accounts of hosted keys. It works on the database alone,
// also while a server runs on it.
type accountsCmd struct {
	List   accountsListCmd   `cmd:"" help:"List the accounts that have signed up for a hosted key."`
	Limit  accountsLimitCmd  `cmd:"" help:"Change what all keys of an account may be used for together, and how much."`
	Delete accountsDeleteCmd `cmd:"" help:"Delete an account and everything that belongs to it."`
}

// accountsListCmd is 'accounts list'. It has no filter: the table is made to be searched with grep.
type accountsListCmd struct {
	config.Storage `embed:""`
}

// Run prints the accounts as a table. It reads them page by page, because there may be very many.
// The order is that of the ids. Pages are of 500, and after is the last id of the page before.
func (c *accountsListCmd) Run(ctx context.Context, p *process) error {
	return withStore(ctx, p, &c.Storage, func(db store.Store) error {
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ACCOUNT\tNAME\tE-MAIL\tCURSOR KEY\tCREATED\tLAST SIGN-UP\tLIMITS")
		const page = 500
		for after := ""; ; {
			// Somebody who signs up while the list is read may be missing from it; nobody is listed
			// twice.
			accounts, err := db.ListAccounts(ctx, after, page)
			if err != nil {
				return err
			}
			for _, a := range accounts {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.ID, printable(a.Name), printable(a.Email), a.KeyHint, timestamp(a.Created), timestamp(a.Updated), printable(hosted.DescribeLimits(&a.Limits)))
				after = a.ID
			}
			if len(accounts) < page {
				return w.Flush()
			}
		}
	})
}

// accountsLimitCmd is 'accounts limit ID'.
type accountsLimitCmd struct {
	config.Storage `embed:""`
	Account        string `arg:"" help:"The account's id, as 'accounts list' shows it: acct_…"`
	Clear          bool   `help:"Take all limits off first."`
	limitFlags     `embed:""`
}

// Run changes an account and says what it may then. Its keys keep limits of their own.
func (c *accountsLimitCmd) Run(ctx context.Context, p *process) error {
	return withOperator(ctx, p, &c.Storage, func(o *hosted.Operator) error {
		// Of two commands at the same time the later one wins, with all limits as it has read and changed them.
		account, err := o.LimitAccount(ctx, c.Account, func(l *store.KeyLimits) error {
			if c.Clear {
				*l = store.KeyLimits{}
			}
			c.limit(l)
			return nil
		})
		if err != nil {
			return notFound(err, fmt.Sprintf("there is no account %q", c.Account), "'composer-api accounts list' lists them")
		}
		fmt.Fprintf(p.stdout, "%s: %s\n", account.ID, printable(hosted.DescribeLimits(&account.Limits)))
		return nil
	})
}

// accountsDeleteCmd is 'accounts delete ID'. Nothing is deleted without --yes.
type accountsDeleteCmd struct {
	config.Storage `embed:""`
	Account        string `arg:"" help:"The account's id, as 'accounts list' shows it: acct_…"`
	Yes            bool   `help:"Do it. There is no way back."`
}

// Run deletes an account, or without --yes says what would be deleted, as an error: a script that forgot the flag must not
// go on as if the account were gone.
func (c *accountsDeleteCmd) Run(ctx context.Context, p *process) error {
	return withStore(ctx, p, &c.Storage, func(db store.Store) error {
		const hint = "'composer-api accounts list' lists them"
		// Looked up first, so that the sentence can say whose account it is.
		account, err := db.Account(ctx, c.Account)
		if err != nil {
			return notFound(err, fmt.Sprintf("there is no account %q", c.Account), hint)
		}
		if !c.Yes {
			return &hinted{
				fmt.Errorf("this would delete the account of %s with its Cursor key, hosted keys, request logs and stored responses", printable(cmp.Or(account.Email, account.Name, account.ID))),
				"add --yes to do it",
			}
		}
		// Another operator may have been faster since.
		if err := hosted.New(hosted.Config{Store: db}).Operator(operator()).DeleteAccount(ctx, c.Account); err != nil {
			return notFound(err, fmt.Sprintf("there is no account %q", c.Account), hint)
		}
		fmt.Fprintf(p.stdout, "%s is deleted\n", c.Account)
		return nil
	})
}

// printable is text that somebody else wrote, made safe for a terminal: control characters,
// which could steer it, are escaped, and the text is quoted then, so that an escape can be told
// from a backslash. An empty text is shown as "-". Names and e-mail addresses come from
// Cursor's answer about a key, so somebody else has chosen them.
func printable(s string) string {
	if s == "" {
		return "-"
	}
	// Quote escapes what Unicode does not call printable, so letters of every language stay
	// readable.
	quoted := strconv.Quote(s)
	if plain := quoted[1 : len(quoted)-1]; plain == s {
		return s
	}
	return quoted
}

// timestamp is a time for people, in UTC. It has seconds and ends in Z.
func timestamp(t time.Time) string { return t.UTC().Format(time.DateTime) + "Z" }
