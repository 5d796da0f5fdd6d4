package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"composer-api/internal/config"
	"composer-api/internal/hosted"
	"composer-api/internal/store"
)

// 'invitations': who may sign up where COMPOSER_SIGNUP asks for one. An invitation has a name (inv_…), which may be shown,
// and the text itself (cmpinvite_…), which is shown once.

// invitationsCmd is what an operator does with invitations. Like accountsCmd it works on the database alone.
type invitationsCmd struct {
	List   invitationsListCmd   `cmd:"" help:"List the invitations, newest first."`
	Create invitationsCreateCmd `cmd:"" help:"Print an invitation, by which people can sign up."`
	Revoke invitationsRevokeCmd `cmd:"" help:"Make an invitation bad, at once and on every replica."`
}

// invitationsListCmd is 'invitations list'.
type invitationsListCmd struct {
	config.Storage `embed:""`
}

// Run prints the invitations as a table, those that are no good any more, too, until they are swept away.
func (c *invitationsListCmd) Run(ctx context.Context, p *process) error {
	return withStore(ctx, p, &c.Storage, func(db store.Store) error {
		// The newest; no operator has so many that older ones would be missing.
		all, err := db.ListInvitations(ctx, hosted.MostInvitations)
		if err != nil {
			return err
		}
		now := time.Now()
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "INVITATION\tNOTE\tCREATED\tGOOD UNTIL\tUSED\tSTATE")
		for _, i := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d of %d\t%s\n", i.ID, printable(i.Note), timestamp(i.Created), timestamp(i.Expires), i.Used, i.Uses, hosted.InvitationState(&i, now))
		}
		return w.Flush()
	})
}

// invitationsCreateCmd is 'invitations create'.
type invitationsCreateCmd struct {
	config.Storage `embed:""`
	Note           string `help:"Whom it is for, for the list." placeholder:"TEXT"`
	Uses           int64  `help:"How many accounts can be made with it." default:"1" placeholder:"N"`
	Expires        expiry `help:"When it becomes invalid: a date (2027-01-31, at its end in UTC) or a time from now (12h, 30d)." default:"7d" placeholder:"WHEN"`
}

// Run prints the invitation alone on stdout, as 'keys rotate' does with a key.
func (c *invitationsCreateCmd) Run(ctx context.Context, p *process) error {
	now := time.Now()
	return withOperator(ctx, p, &c.Storage, func(o *hosted.Operator) error {
		// "never" is no time from now, and is refused.
		text, i, err := o.Invite(ctx, c.Note, c.Uses, c.Expires.from(now).Sub(now))
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "%s is made: %s. This is the only time that it is shown:\n", i.ID, printable(hosted.DescribeInvitation(&i)))
		fmt.Fprintln(p.stdout, text.Reveal())
		return nil
	})
}

// invitationsRevokeCmd is 'invitations revoke INVITATION'.
type invitationsRevokeCmd struct {
	config.Storage `embed:""`
	Invitation     string `arg:"" help:"The invitation's name, as 'invitations list' shows it: inv_…"`
}

// Run revokes an invitation. Accounts that were made with it stay. To revoke it again is no error.
func (c *invitationsRevokeCmd) Run(ctx context.Context, p *process) error {
	return withOperator(ctx, p, &c.Storage, func(o *hosted.Operator) error {
		if err := o.RevokeInvitation(ctx, c.Invitation); err != nil {
			return notFound(err, fmt.Sprintf("there is no invitation %q", c.Invitation), "'composer-api invitations list' lists them")
		}
		fmt.Fprintf(p.stdout, "%s is revoked\n", c.Invitation)
		return nil
	})
}
