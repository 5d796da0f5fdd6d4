package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"composer-api/internal/config"
	"composer-api/internal/store/sqlstore"
)

// migrateCmd is for operators who want to change the schema themselves, before the new version serves.
type migrateCmd struct {
	Up              migrateUpCmd       `cmd:"" help:"Bring the database's schema up to date, as serve does when it starts."`
	ImportReference importReferenceCmd `cmd:"" help:"Bring accounts, hosted keys and request logs over from a dump of the reference system's database."`
	Status          migrateStatusCmd   `cmd:"" help:"List the steps of the schema and when each was applied."`
}

// migrateUpCmd is 'migrate up'. serve migrates by itself; this is for operators who want the schema changed before the
// first server of a new version starts.
type migrateUpCmd struct {
	config.Storage `embed:""`
}

// Run applies the pending migrations and prints them.
func (c *migrateUpCmd) Run(ctx context.Context, p *process) error {
	where, err := dsn(p, &c.Storage)
	if err != nil {
		return err
	}
	// The default database is a file in a folder that may not exist yet.
	if err := makeStateFolder(p, &c.Storage); err != nil {
		return err
	}
	// "" for PostgreSQL. It is for the error alone, which names the file that could not be opened.
	path, _ := sqlstore.File(where)
	// Two that migrate at the same time wait for each other; the second finds nothing to do.
	done, err := sqlstore.MigrateUp(ctx, where)
	if err != nil {
		return storeHint(openError(path, err))
	}
	for _, m := range done {
		fmt.Fprintf(p.stdout, "applied %s\n", m.Name)
	}
	if len(done) == 0 {
		fmt.Fprintln(p.stdout, "the schema is up to date")
	}
	return nil
}

// migrateStatusCmd is 'migrate status'.
type migrateStatusCmd struct {
	config.Storage `embed:""`
}

// Run lists the migrations, oldest first, and changes nothing: it doesn't even make the default database's folder. Of a schema
// that is newer than this program it prints what it knows before the error.
func (c *migrateStatusCmd) Run(ctx context.Context, p *process) error {
	where, err := dsn(p, &c.Storage)
	if err != nil {
		return err
	}
	// The list and the error may both be there.
	// What this program knows and the database lacks is "pending". What the database has and this
	// program doesn't know is the error.
	all, failed := sqlstore.MigrateStatus(ctx, where)
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, m := range all {
		applied := "pending"
		if !m.Applied.IsZero() {
			applied = "applied " + timestamp(m.Applied)
		}
		fmt.Fprintf(w, "%s\t%s\n", m.Name, applied)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return storeHint(failed) // of a newer schema there is a list all the same
}
