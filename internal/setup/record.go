package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"composer-api/internal/atomicfile"
	"composer-api/internal/setup/configfile"
)

// A record is what is kept of a setup: enough to go back, also when the files are edited meanwhile.
//
//	setup/opencode/record.json       this, as JSON
//	setup/opencode/1-opencode.json   the Backup of Files[0]
//
// A record without files is that of a client which is not set up. Records of older versions of this
// program have to stay readable: only add fields.
type record struct {
	// Client is its id.
	Client string       `json:"client"`
	Files  []fileRecord `json:"files"`
}

// A fileRecord is one file of a setup.
type fileRecord struct {
	// Absolute, without links.
	Path string `json:"path"`
	// Format is what the file was read as, whatever this version would take it for.
	Format configfile.Format `json:"format"`
	// Whether there was such a file before us. One that wasn't is deleted by an undo if nothing
	// else is in it.
	Existed bool          `json:"existed"`
	Written string        `json:"written"` // SHA-256 of the file as we have written it
	Values  []valueRecord `json:"values"`
	// Backup is the file as it was, in a file of its own beside the record, so that people find it.
	Backup string `json:"-"`
}

// A valueRecord is a value that was set.
//
// Before and Ours are JSON whatever the file's format is, as configfile.Get gives them.
type valueRecord struct {
	Path   configfile.Path `json:"path"`
	Before json.RawMessage `json:"before,omitempty"` // nothing when there was none
	// Ours is what we have written. Where the file has something else now, somebody has changed it.
	Ours json.RawMessage `json:"ours"`
	// There is how many keys of Path were there before: what is deeper goes with the value.
	There int `json:"there"`
	// See edit. Records of older versions have neither.
	Heading bool `json:"heading,omitempty"`
	Theirs  bool `json:"theirs,omitempty"`
}

// recordName is in the client's folder below the state folder.
const recordName = "record.json"

// folder is where the record and the backups of a client lie.
func folder(state, client string) string { return filepath.Join(state, "setup", client) }

// backupName is the name of the backup of the i-th file.
//
// The number keeps two files of one name apart, such as two settings.json of different folders.
func backupName(i int, path string) string { return strconv.Itoa(i+1) + "-" + filepath.Base(path) }

// readRecord reads the record of a client; an empty one when it isn't set up.
//
// A record that is there but can't be read is an error: to go on as if there were none would lose
// the way back.
func readRecord(m *Machine, client string) (*record, error) {
	dir := folder(m.State, client)
	r := &record{Client: client}
	data, err := os.ReadFile(filepath.Join(dir, recordName))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, recordName), err)
	}
	for i := range r.Files {
		// A missing backup is an error, too, for the same reason.
		backup, err := os.ReadFile(filepath.Join(dir, backupName(i, r.Files[i].Path)))
		if err != nil {
			return nil, err
		}
		r.Files[i].Backup = string(backup)
	}
	return r, nil
}

// write keeps the record. The backups come first: a record without its backups could not go back.
//
// Both are written through a temporary file, so a record is whole or not there. A record of an
// earlier setup is overwritten, and with it its backups: their content lives on, because PlanSetup
// begins with it.
func (r *record) write(state string) error {
	dir := folder(state, r.Client)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	const private = 0o600 // the files of other programs hold keys
	for i, f := range r.Files {
		if err := atomicfile.Write(filepath.Join(dir, backupName(i, f.Path)), []byte(f.Backup), private); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, recordName), append(data, '\n'), private)
}

// removeRecord deletes the record and the backups of a client. One that isn't there is no error.
func removeRecord(state, client string) error { return os.RemoveAll(folder(state, client)) }

// file is the record of a file; nil when it has none.
//
// Compare with a path without links.
func (r *record) file(path string) *fileRecord {
	for i := range r.Files {
		if r.Files[i].Path == path {
			return &r.Files[i]
		}
	}
	return nil
}

// undo is the file's text without what we have set. A text that is as we wrote it becomes what it was, byte for byte. In any
// other, each value is put back by itself, last first, and one that is neither ours nor what it was stays as a conflict.
//
//	the value now        what happens to it
//	as it was before     stays: somebody has put it back
//	gone, and it was     stays gone, if there was none before;
//	  there before         else it is a conflict
//	ours, or one that    becomes what it was, or is taken out
//	  the client changes
//	anything else        stays, and is a conflict
//
// The values are put back last first, so that one which was set inside of another is gone before
// that is. The headings of a file that we have made go only if nothing else is left: without them
// the client could not read what a person has added.
func (f *fileRecord) undo(text string) (string, []Conflict, error) {
	if hash(text) == f.Written {
		return f.Backup, nil, nil
	}
	text, conflicts, err := f.undoValues(text, false)
	if err != nil || len(conflicts) > 0 {
		return text, conflicts, err
	}
	bare, conflicts, err := f.undoValues(text, true)
	if err != nil || len(conflicts) > 0 || !empty(f.Format, bare) {
		return text, nil, err
	}
	return bare, nil, nil
}

// undoValues puts back the headings, or all other values.
func (f *fileRecord) undoValues(text string, headings bool) (string, []Conflict, error) {
	var conflicts []Conflict
	for i := len(f.Values) - 1; i >= 0; i-- {
		v := f.Values[i]
		if v.Heading != headings {
			continue
		}
		here, there, err := configfile.Get(f.Format, text, v.Path)
		if err != nil {
			return "", nil, err
		}
		before, ours := configfile.Canonical(v.Before), configfile.Canonical(v.Ours)
		switch {
		case !there && v.Before == nil || there && v.Before != nil && here == before:
			continue // it is back already
		case !there || here != ours && !v.Theirs:
			conflicts = append(conflicts, Conflict{File: f.Path, Path: v.Path.String(), Before: before, Ours: ours, Here: here})
			continue
		case v.Before != nil:
			text, err = configfile.Set(f.Format, text, v.Path, v.Before)
		default:
			text, err = f.remove(text, v)
		}
		if err != nil {
			return "", nil, err
		}
	}
	return text, conflicts, nil
}

// remove takes a value out, and what it leaves empty of what was not there before.
//
//	{"env": {"A": 1, "B": ours}}   ►  {"env": {"A": 1}}
//	{"env": {"B": ours}}           ►  {}, if env was not there before (v.There is 0)
func (f *fileRecord) remove(text string, v valueRecord) (string, error) {
	text, err := configfile.Delete(f.Format, text, v.Path)
	for n := len(v.Path) - 1; err == nil && n > v.There; n-- {
		// "null" is a YAML entry with nothing behind it.
		if left, ok, _ := configfile.Get(f.Format, text, v.Path[:n]); !ok || left != "{}" && left != "[]" && left != "null" {
			break
		}
		text, err = configfile.Delete(f.Format, text, v.Path[:n])
	}
	return text, err
}

// PlanUndo works out how a client is put back. A client that is not set up is an error.
//
// The plan's record is nil, by which Apply knows that the record is to go. It needs no gateway:
// what was set stands in the record.
func PlanUndo(m *Machine, c Client) (*Plan, error) {
	r, err := readRecord(m, c.ID)
	if err != nil {
		return nil, err
	}
	if len(r.Files) == 0 {
		return nil, fmt.Errorf("%s was not set up by composer-api, or has been put back already", c.Name)
	}
	plan := &Plan{Client: c, mask: maskTokens, state: m.State}
	for i := range r.Files {
		f := &r.Files[i]
		p, err := read(f.Path)
		if err != nil {
			return nil, err
		}
		if !p.existed {
			continue // somebody has removed it: there is nothing of ours in it
		}
		var conflicts []Conflict
		if p.after, conflicts, err = f.undo(p.before); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		// Only a file of our own making is deleted, and only when it says nothing any more.
		p.remove = !f.Existed && empty(f.Format, p.after)
		plan.Conflicts = append(plan.Conflicts, conflicts...)
		plan.files = append(plan.files, p)
	}
	plan.keeps = len(plan.Conflicts) > 0
	return plan, nil
}

// empty reports whether a file says nothing.
//
// Comments don't count: a file of our own making in which only comments are left goes, too.
func empty(format configfile.Format, text string) bool {
	all, _, err := configfile.Get(format, text, nil)
	return err == nil && (all == "{}" || all == "[]" || text == "")
}
