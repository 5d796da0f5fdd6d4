package reference

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	_ "modernc.org/sqlite" // the scratch database
)

// Read reads a whole dump. Nothing is kept but in a private temporary folder, which Close removes. Errors name the line of the
// dump, or the table and the id of the row.
//
// The dump is SQL, and SQLite is what reads it best. Only statements that make one of the three tables or add rows to one are
// carried out, in a database of their own.
func Read(ctx context.Context, dump io.Reader, s *Secrets) (*Rows, error) {
	// The folder is for this user alone (mode 0700): the dump has keys and e-mail addresses in it.
	folder, err := os.MkdirTemp("", "composer-api-import-")
	if err != nil {
		return nil, err
	}
	scratch, err := sql.Open("sqlite", filepath.Join(folder, "scratch.db"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	scratch.SetMaxOpenConns(1) // so that the transaction below is where all statements go
	r := &Rows{scratch: scratch, known: map[string]bool{}, close: func() error { return errors.Join(scratch.Close(), os.RemoveAll(folder)) }}
	// In this order: accounts fills known, by which keys and logs are told from orphans.
	err = r.load(ctx, dump)
	if err == nil {
		err = r.accounts(ctx, s)
	}
	if err == nil {
		err = r.hostedKeys(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// ours are the statements that are carried out; the word is the table.
var ours = regexp.MustCompile("(?is)^(?:CREATE TABLE(?: IF NOT EXISTS)?|INSERT INTO) *[\"'`\\[]?(accounts|api_keys|request_logs)[\"'`\\]]?[ (\n\r\t]")

// load carries out the statements of the dump.
func (r *Rows) load(ctx context.Context, dump io.Reader) error {
	// Without it each statement would wait for the disk.
	if _, err := r.scratch.ExecContext(ctx, `PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF`); err != nil {
		return err
	}
	// The tables that were made or written to.
	made := map[string]bool{}
	in := &statements{r: bufio.NewReaderSize(dump, 64<<10), line: 1}
	for {
		statement, line, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		// A statement of another kind, such as CREATE INDEX or PRAGMA, is left out without a word.
		m := ours.FindStringSubmatch(statement)
		if m == nil {
			if strings.HasPrefix(strings.ToUpper(statement), "INSERT") {
				r.Left++
			}
			continue
		}
		// What SQLite says of a statement may quote it.
		if _, err := r.scratch.ExecContext(ctx, statement); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("line %d: table %s: SQLite can't read this statement", line, strings.ToLower(m[1]))
		}
		made[strings.ToLower(m[1])] = true
	}
	// A table may be empty, but it has to be there: an empty import would else look like a success.
	for _, table := range []string{"accounts", "api_keys", "request_logs"} {
		if !made[table] {
			return fmt.Errorf("the dump has no table %s: is it one of the reference system?", table)
		}
	}
	return nil
}

// maxStatement bounds a statement, in bytes. D1's own bound is 100 KB.
const maxStatement = 16 << 20

// statements splits SQL at the semicolons that end a statement: not those in quotes and comments.
type statements struct {
	// r is read byte by byte, so that a dump of any size takes the memory of one statement.
	r    *bufio.Reader
	line int // of the next byte
}

// next returns a statement without blanks and comments around it, and the line on which it begins. The error is io.EOF after
// the last one.
func (s *statements) next() (statement string, line int, err error) {
	var b strings.Builder
	var quote byte // that is open: ', " or `; 0 for none
	line = s.line
	for {
		c, err := s.r.ReadByte()
		switch {
		case err == io.EOF && strings.TrimSpace(b.String()) == "":
			return "", line, io.EOF
		// An open quote, or a last statement without its semicolon: the file was most likely cut off.
		case err == io.EOF:
			return "", line, errors.New("the dump ends within a statement")
		case err != nil:
			return "", line, err
		}
		if c == '\n' {
			s.line++
		}
		if b.Len() >= maxStatement {
			return "", line, fmt.Errorf("a statement is longer than %d MB", maxStatement>>20)
		}
		switch {
		case quote != 0:
			// A doubled quote closes and opens again.
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == ';':
			if text := strings.TrimSpace(b.String()); text != "" {
				return text, line, nil
			}
			b.Reset()
			line = s.line
			continue
		case c == '-' && s.skipComment():
			c = '\n'
		}
		if b.Len() == 0 && (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
			line = s.line
			continue
		}
		b.WriteByte(c)
	}
}

// skipComment skips the rest of the line after a second hyphen.
func (s *statements) skipComment() bool {
	if next, err := s.r.Peek(1); err != nil || next[0] != '-' {
		return false
	}
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			return true
		}
		if c == '\n' {
			s.line++
			return true
		}
	}
}
