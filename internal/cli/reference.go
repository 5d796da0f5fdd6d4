package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"composer-api/internal/config"
	"composer-api/internal/hosted"
	"composer-api/internal/hosted/reference"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sqlstore"
)

// Bringing over the database of the reference system: package hosted/reference reads the dump, and the store takes it in
// (sqlstore.Import).

// importReferenceCmd is 'migrate import-reference FILE'.
type importReferenceCmd struct {
	config.Storage `embed:""`
	File           string `arg:"" help:"The dump, as SQL: 'wrangler d1 export NAME --remote --output FILE' writes it." placeholder:"FILE"`
	DryRun         bool   `help:"Read the dump, open its keys and count, and write nothing."`
}

// logsAtOnce is how many request logs are one transaction.
const logsAtOnce = 500

// Run brings accounts, hosted keys and request logs over. It may be run again, also after it was cut off: what is there
// already stays as it is. The accounts and all keys are one transaction; nothing is written unless every Cursor key opens.
func (c *importReferenceCmd) Run(ctx context.Context, p *process) error {
	// Before the file is read: without the keys nothing in it could be opened.
	secrets, err := c.secrets()
	if err != nil {
		return err
	}
	dump, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer dump.Close()
	// Read opens every Cursor key, so a wrong ENCRYPTION_KEY is known before the database is.
	rows, err := reference.Read(ctx, dump, secrets)
	if errors.Is(err, reference.ErrSecret) {
		return &hinted{err, "set ENCRYPTION_KEY to that of the reference system, or ENCRYPTION_KEY_PREVIOUS if yours is to be another"}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	// Request logs are not in memory: rows.Logs reads them in pieces.
	defer rows.Close()
	if c.DryRun {
		// The logs are read and counted, so that a dump that is broken in their part is found now, too.
		logs := 0
		if err := rows.Logs(ctx, logsAtOnce, func(l []store.RequestLog) error {
			logs += len(l)
			return nil
		}); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "would bring over %d accounts, %d hosted keys and %d request logs; all Cursor keys open\n", len(rows.Accounts), len(rows.Keys), logs)
		return c.leftOut(p, rows)
	}
	return withStore(ctx, p, &c.Storage, func(db store.Store) error {
		to := db.(*sqlstore.DB) // what withStore opens
		// The entry comes first, as for every act of an operator: an act without an entry must not exist.
		if err := hosted.Audit(ctx, db, operator(), "import accounts of the reference system", "", fmt.Sprintf("%d accounts, %d keys", len(rows.Accounts), len(rows.Keys))); err != nil {
			return err
		}
		// Accounts and keys in one transaction, because a key without its account is of no use. Logs come after them, in pieces.
		added, err := to.Import(ctx, rows.Accounts, rows.Keys, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "accounts: %d new, %d there already\n", added.Accounts, int64(len(rows.Accounts))-added.Accounts)
		fmt.Fprintf(p.stdout, "hosted keys: %d new, %d there already\n", added.Keys, int64(len(rows.Keys))-added.Keys)
		var all, fresh int64
		if err := rows.Logs(ctx, logsAtOnce, func(logs []store.RequestLog) error {
			added, err := to.Import(ctx, nil, nil, logs)
			all, fresh = all+int64(len(logs)), fresh+added.Logs
			return err
		}); err != nil {
			return &hinted{err, "run it again: it goes on where it stopped"}
		}
		fmt.Fprintf(p.stdout, "request logs: %d new, %d there already\n", fresh, all-fresh)
		return c.leftOut(p, rows)
	})
}

// leftOut says what of the dump was not taken.
func (c *importReferenceCmd) leftOut(p *process, rows *reference.Rows) error {
	if rows.Orphans > 0 {
		fmt.Fprintf(p.stdout, "left out: %d rows whose account is not in the dump\n", rows.Orphans)
	}
	if rows.Left > 0 {
		fmt.Fprintf(p.stdout, "left out: %d statements of other tables, such as sessions, which begin again\n", rows.Left)
	}
	return nil
}

// secrets are the keys that may open the dump, and what seals from now on.
func (c *importReferenceCmd) secrets() (*reference.Secrets, error) {
	ring, err := newRing(&c.Storage)
	if err != nil {
		return nil, err
	}
	if !ring.Ready() {
		return nil, &config.Error{Name: "ENCRYPTION_KEY", Problem: "is not set: the Cursor keys in the dump can't be opened", Hint: "set it to that of the reference system"}
	}
	s := &reference.Secrets{Ring: ring}
	// The ring can't open the dump, which was encrypted in another form. So package reference needs the keys themselves.
	for _, text := range []string{c.EncryptionKey.Reveal(), c.EncryptionKeyPrevious.Reveal()} {
		// The reference system takes blanks around it off.
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		key, err := seal.KeyBytes("ENCRYPTION_KEY", text)
		if err != nil {
			return nil, err
		}
		s.Old = append(s.Old, key)
	}
	return s, nil
}
