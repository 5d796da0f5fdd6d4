package setup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/rogpeppe/go-internal/diff"

	"composer-api/internal/atomicfile"
	"composer-api/internal/setup/configfile"
)

// A Plan is what would be done to the files of a client. Nothing is changed until it is applied.
//
//	PlanSetup ─┐
//	           ├─► Plan ── Diff, for the person ── Apply
//	PlanUndo ──┘
//
// It holds the files as they were when it was made. It is used by one goroutine, once.
type Plan struct {
	// Client is whose files they are.
	Client Client
	// Steps are left to the person.
	Steps []string
	// Conflicts are values that an undo leaves alone, because they are no longer ours.
	Conflicts []Conflict

	// files are only those that change.
	files  []plannedFile
	record *record // what is to be kept; nil for an undo
	keeps  bool    // an undo that leaves something of ours: its record stays
	// Hides tokens; never nil.
	mask func(string) string
	// The state folder, as in Machine.
	state string
}

// A plannedFile is what a file is to become.
type plannedFile struct {
	path string // without links: a link in a folder for configuration stays a link
	// The whole text of the file. A file that isn't there has "".
	before, after string
	// existed says that there was a file, even an empty one.
	existed bool
	remove  bool // the file, because it is not there before and holds nothing now
	// An existing file keeps its mode: other programs or users may have to read it.
	mode fs.FileMode
}

// A Conflict is a value that we have set and somebody has changed since.
//
// The person decides about it: an undo says what it found, and changes nothing of it.
type Conflict struct {
	// Path is written as people read it: "providers.composer.api_key".
	File, Path         string
	Before, Ours, Here string // as JSON; Before is "" where there was nothing
}

// Diff is the change as a unified diff, with the local token masked. It is empty when nothing changes.
func (p *Plan) Diff() string {
	var all []byte
	for _, f := range p.files {
		after := f.after
		// Both sides have the file's name, so the diff can be given to patch.
		name := f.path
		if f.remove {
			after, name = "", f.path+" (removed)"
		}
		all = append(all, diff.Diff(f.path, []byte(p.mask(f.before)), name, []byte(p.mask(after)))...)
	}
	return string(all)
}

// Writes reports whether there is anything to write: a file, or the end of a record of which nothing is left to undo.
func (p *Plan) Writes() bool {
	return slices.ContainsFunc(p.files, func(f plannedFile) bool { return f.remove || f.after != f.before }) || p.record == nil && !p.keeps
}

// Mask hides local tokens in a text.
func (p *Plan) Mask(text string) string { return p.mask(text) }

// PlanSetup works out how a client is set up for a gateway. A client that has been set up before is put back first, so that
// what is kept is what was there before we came; where that has conflicts, they are what the person wants now, and are
// overwritten as everything else would be.
//
//	on disk now ── undo of the last setup ──► base ── our edits ──► after
//	                                           │
//	                                           └─ becomes the backup of the new record
//
// So a setup may be done as often as somebody likes, for another gateway or model: an undo still
// goes back to what was there before the first. The state folder and the client's files are read;
// nothing is written.
func PlanSetup(m *Machine, c Client, g *Gateway) (*Plan, error) {
	old, err := readRecord(m, c.ID)
	if err != nil {
		return nil, err
	}
	target := c.target(m, g)
	plan := &Plan{Client: c, Steps: target.steps, record: &record{Client: c.ID}, mask: g.mask, state: m.State}
	if len(target.variables) > 0 {
		plan.Steps = append([]string{"start it so: " + c.start(g, target.variables)}, plan.Steps...)
	}
	for _, f := range target.files {
		p, err := read(f.path)
		if err != nil {
			return nil, err
		}
		base, existed := p.before, p.existed
		// Set up before, and this file was part of it. A file that the client's older row named and
		// this one doesn't is not looked at: its values stay, and its record goes.
		if was := old.file(p.path); was != nil {
			if base, _, err = was.undo(p.before); err != nil {
				return nil, fmt.Errorf("%s: %w", p.path, err)
			}
			existed = was.Existed
		}
		kept := fileRecord{Path: p.path, Format: f.format, Existed: existed, Backup: base}
		if p.after, kept.Values, err = apply(f, base, existed); err != nil {
			return nil, fmt.Errorf("%s: %w", p.path, err)
		}
		// By this an undo recognizes a file that nobody has touched.
		kept.Written = hash(p.after)
		plan.files = append(plan.files, p)
		plan.record.Files = append(plan.record.Files, kept)
	}
	return plan, nil
}

// apply makes the edits of a file, and lists what was set.
//
// The edits are made one after the other, each on the result of the one before, because a later one
// may stand inside of what an earlier one has made.
func apply(f file, text string, existed bool) (string, []valueRecord, error) {
	var values []valueRecord
	for _, e := range f.edits {
		// What somebody has in their file needs no heading of ours.
		if e.heading && existed {
			continue
		}
		was, had, err := configfile.Get(f.format, text, e.path)
		if err != nil {
			return "", nil, err
		}
		// Looked at before the edit, which makes what is missing.
		v := valueRecord{Path: e.path, There: depth(f.format, text, e.path), Heading: e.heading, Theirs: e.theirs}
		if had {
			v.Before = json.RawMessage(was)
		}
		if text, err = configfile.Set(f.format, text, e.path, e.value); err != nil {
			return "", nil, err
		}
		// Read back from the file and not taken from e.value: an undo compares with what it reads.
		ours, _, err := configfile.Get(f.format, text, e.path)
		if err != nil {
			return "", nil, err
		}
		v.Ours = json.RawMessage(ours)
		values = append(values, v)
	}
	return text, values, nil
}

// depth is how many keys of the path are there.
//
//	{"env": {"A": 1}}   env.B   1: env is there, env.B is not
//
// What is deeper was made by us and goes with the value.
func depth(format configfile.Format, text string, path configfile.Path) int {
	for n := len(path); n > 0; n-- {
		if _, ok, err := configfile.Get(format, text, path[:n]); err == nil && ok {
			return n
		}
	}
	return 0
}

// read reads a file that may not be there.
func read(path string) (plannedFile, error) {
	// Files in the home folder are often links into a folder under version control. Renaming a new
	// file over the link would cut that off.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	p := plannedFile{path: path, mode: 0o600} // a file that we make may hold a token
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	data, err := os.ReadFile(path)
	p.before, p.existed, p.mode = string(data), true, info.Mode().Perm()
	return p, err
}

// Apply writes the files, with a backup and a record before. It may be called again when it has failed. A file that has
// changed since the plan was made is an error, and nothing is written.
//
// The order is such that a crash in between can be repaired by an undo: first backups and record,
// then the files one by one. The files of a setup are not changed all at once; each by itself is.
func (p *Plan) Apply() error {
	for _, f := range p.files {
		now, err := read(f.path)
		if err != nil {
			return err
		}
		// A person may have looked at the diff for minutes, while the client has written its own
		// file.
		if now.before != f.before || now.existed != f.existed {
			return fmt.Errorf("%s was changed while you were asked: try again", f.path)
		}
	}
	if p.record != nil {
		if err := p.record.write(p.state); err != nil {
			return err
		}
	}
	for _, f := range p.files {
		if err := f.write(); err != nil {
			return err
		}
	}
	if p.record == nil && !p.keeps {
		// An undo without conflicts leaves nothing to go back to. With conflicts the record stays,
		// so that the undo can be asked for again.
		return removeRecord(p.state, p.Client.ID)
	}
	return nil
}

// write puts the file in place at once, so that nobody ever reads half of it.
func (f *plannedFile) write() error {
	switch {
	case f.remove:
		if err := os.Remove(f.path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	case f.existed && f.after == f.before:
		return nil
	}
	// The client has never been started, so its folder may not be there.
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(f.path, []byte(f.after), f.mode)
}

// hash is the SHA-256 of a text in hexadecimal digits.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// exists reports whether a file or folder is there. What can't be looked at counts as not there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
