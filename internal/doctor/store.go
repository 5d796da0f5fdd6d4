package doctor

import (
	"context"
	"runtime"
	"strings"
	"time"
)

// lockPatience is how long the database may be locked by somebody else. A gateway that runs holds it for milliseconds.
const lockPatience = 3 * time.Second

// stored looks at the database: whether it is there, its schema, and whether it can be written.
func stored(ctx context.Context, s *Subject, r *report) {
	db := &s.Store
	// Pending only reads, so an old schema is found without changing it.
	began := time.Now()
	pending, exists, err := db.Pending(ctx)
	switch {
	case err != nil && db.Newer(err):
		r.broken("'composer-api upgrade', or another database with COMPOSER_DB", "the schema of %s is newer than this program", db.Name)
		return
	case err != nil:
		r.broken("see that its folder is there and that both can be read and written, or name another database with COMPOSER_DB", "%s can't be read: %v", db.Name, err)
		return
	// Whether it could be made the check of the disk says.
	case !exists:
		r.ok("%s is not there yet; 'serve' makes it", db.Name)
		return
	}
	patience, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	// A transaction that changes nothing: it takes the lock that any write takes.
	if err := db.Writable(patience); err != nil {
		r.broken(db.unlock(), "%s can't be written: another program holds its lock, or it may only be read", db.Name)
		return
	}
	// An old schema is no fault: the next start of serve changes it.
	if len(pending) > 0 {
		r.warn("'composer-api migrate up', or start 'composer-api serve', which does it", "the schema of %s is old: %s to be applied", db.Name, strings.Join(pending, ", "))
		return
	}
	r.okAfter(began, "%s can be written, and its schema is up to date", db.Name)
	sealing, err := db.Sealing(ctx)
	if err != nil {
		r.warn("try again", "whether ENCRYPTION_KEY opens what %s holds can't be said: %v", db.Name, err)
		return
	}
	sealing.report(r)
}

// report says of the encryption keys what an operator has to know. Without accounts that is nothing.
func (s *Sealing) report(r *report) {
	const cure = "set ENCRYPTION_KEY to the key with which they were encrypted; if you have changed it, set ENCRYPTION_KEY_PREVIOUS to that"
	switch {
	case s.Accounts == 0:
	// It may be set where the gateway runs, and not here.
	case !s.Set:
		r.warn(cure, "ENCRYPTION_KEY is not set: without it the hosted keys of the %d accounts in the database don't work", s.Accounts)
	case s.Locked > 0:
		r.broken(cure, "ENCRYPTION_KEY does not open the Cursor keys of %d of %d accounts in the database: their hosted keys don't work", s.Locked, s.Accounts)
	case s.Old > 0:
		r.ok("ENCRYPTION_KEY opens all accounts, and ENCRYPTION_KEY_PREVIOUS is still needed, for %d of %d: an account is encrypted again when it is used", s.Old, s.Accounts)
	case s.Previous:
		r.ok("no account needs ENCRYPTION_KEY_PREVIOUS any more; responses do that were stored before the change, for 30 days")
	}
}

// unlock is how a lock is found whose owner doesn't let go of it.
func (db *Store) unlock() string {
	switch {
	case db.File == "":
		return "end the session that holds it ('SELECT pid, state, query FROM pg_stat_activity' shows them), or let this user write"
	case runtime.GOOS == "windows":
		return "end the program that holds it: the Resource Monitor shows which has the file open"
	}
	return "end the program that holds it: 'fuser -v " + db.File + "' shows which; to copy a database that is in use, 'sqlite3 " + db.File + " \".backup COPY\"'"
}
