package upgrade

import (
	"os"
	"path/filepath"
	"strings"
)

// How a file takes the place of the program, which is running.
//
// Unix lets a name go over to another file in one step: the old file gets a second name first, then the new one is renamed onto
// the program's. There is a program at any moment.
//
// Windows neither deletes nor overwrites a file that runs, but lets it be renamed. So the old one is renamed, then the new one;
// between the two, for less than a millisecond, there is none. A file that is in the way and runs is renamed, too: it is deleted
// by a later upgrade (removeStale).

// names are what files can be called and what is done about it, as the system has it. Tests put the rules of Windows in its place.
type names interface {
	Link(old, fresh string) error
	Rename(old, fresh string) error
	Remove(file string) error
}

// system is the names of this system.
type system struct{}

func (system) Link(old, fresh string) error   { return os.Link(old, fresh) }
func (system) Rename(old, fresh string) error { return os.Rename(old, fresh) }
func (system) Remove(file string) error       { return os.Remove(file) }

// files is u.names, or the system's.
func (u *Upgrader) files() names {
	if u.names != nil {
		return u.names
	}
	return system{}
}

// previous is the file that the last upgrade has replaced.
func (u *Upgrader) previous() string { return u.beside("previous") }

// beside is a file in the program's folder: composer-api.previous, or composer-api.previous.exe.
func (u *Upgrader) beside(what string) string {
	ending := filepath.Ext(u.Program)
	if u.OS != windows {
		ending = ""
	}
	return strings.TrimSuffix(u.Program, ending) + "." + what + ending
}

// replace gives the program's name to fresh, and the name keep to what was there. When it fails, the program is what it was.
func (u *Upgrader) replace(fresh, keep string) error {
	files := u.files()
	if err := u.makeRoom(keep); err != nil {
		return u.noPermission(err)
	}
	if u.OS != windows && files.Link(u.Program, keep) == nil {
		if err := files.Rename(fresh, u.Program); err != nil {
			_ = files.Remove(keep)
			return u.noPermission(err)
		}
		return nil
	}
	// Windows, and file systems without second names.
	if err := files.Rename(u.Program, keep); err != nil {
		return u.noPermission(err)
	}
	if err := files.Rename(fresh, u.Program); err != nil {
		if back := files.Rename(keep, u.Program); back != nil {
			return &Error{Problem: "the program could not be replaced, and is now " + keep, Hint: "rename it back by hand", Cause: err}
		}
		return u.noPermission(err)
	}
	return nil
}

// makeRoom sees to it that there is no file of a name.
func (u *Upgrader) makeRoom(file string) error {
	err := u.files().Remove(file)
	if err == nil || os.IsNotExist(err) {
		return nil
	}
	// It runs. Its new name has to be one that nobody has: that of a file which was just made and is gone again.
	aside, err := os.CreateTemp(filepath.Dir(u.Program), stale+"*"+filepath.Ext(u.Program))
	if err != nil {
		return err
	}
	aside.Close()
	if err := os.Remove(aside.Name()); err != nil {
		return err
	}
	return u.files().Rename(file, aside.Name())
}

// stale is the beginning of the names of files that could not be deleted because they ran.
const stale = "composer-api.old-"

// removeStale deletes them, but for those that run still.
func (u *Upgrader) removeStale() {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(u.Program), stale+"*"))
	if err != nil {
		return // the folder's name has a pattern's characters in it: the files stay
	}
	for _, file := range left {
		_ = u.files().Remove(file)
	}
}
