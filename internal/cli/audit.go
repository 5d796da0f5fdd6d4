package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"text/tabwriter"

	"composer-api/internal/config"
	"composer-api/internal/store"
)

// 'audit', and the entry that each act of an operator leaves.

// auditCmd is 'audit': what operators have done, by commands and on the operator's page.
type auditCmd struct {
	config.Storage `embed:""`
	Last           int `help:"How many acts to print, the newest first." default:"100" placeholder:"N"`
}

// Run prints the acts as a table.
func (c *auditCmd) Run(ctx context.Context, p *process) error {
	return withStore(ctx, p, &c.Storage, func(db store.Store) error {
		// To ask for more than there are is no error. They are kept for store.AuditAge.
		entries, err := db.ListAudits(ctx, max(1, c.Last))
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "TIME\tWHO\tDID\tTO\tDETAIL")
		for _, e := range entries {
			// Action is our own text; the rest may have been written by people.
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", timestamp(e.At), printable(e.Actor), e.Action, printable(e.Subject), printable(e.Detail))
		}
		return w.Flush()
	})
}

// operator is who runs this command, as far as the system says: "ada on host1, command line".
func operator() string {
	// It is a note and no proof: whoever can write to the database can write anything there.
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = cmp.Or(u.Username, name)
	}
	host, _ := os.Hostname()
	return name + " on " + cmp.Or(host, "a machine without a name") + ", command line"
}
