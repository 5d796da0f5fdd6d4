// Package upgrade replaces the program by a newer release of it, and takes that back.
//
// A release is a folder of files on a web server. Its checksums are signed, and nothing but what they name is ever put in place:
//
//	BASE/latest/download/checksums.txt            the SHA-256 of every file; the files' names tell the version
//	BASE/latest/download/checksums.txt.minisig    its signature, as the program minisign makes and verifies it
//	BASE/download/v1.2.3/composer-api_1.2.3_linux_amd64.tar.gz
//
// These are the addresses of releases on GitHub. Any server of files can have them: no API is asked, and nothing is known by the
// server that the files don't say.
//
//	upgrade.go    Upgrader: the newest release, and its way onto this machine
//	release.go    Release: what the signed checksums say
//	fetch.go      files from the web server, with bounds
//	archive.go    the program out of an archive
//	replace.go    one file in the place of another, and back
//	owner.go      package managers, whose files are left alone
//	error.go      the error
package upgrade

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/semver"
)

// An Upgrader knows one program on this machine, and where its releases are. All fields but Query are needed. It is used by one
// goroutine at a time; of two processes that upgrade the same program at once, the last one wins, and the program is whole at
// any moment.
type Upgrader struct {
	// Releases is the address that releases lie below, without a slash at its end. It need not be trusted: Key decides.
	Releases string
	// Key is the public key that checksums are signed with, in minisign's form.
	Key string
	// Version is that of the program: v1.2.3. What is no such version counts as older than any.
	Version string
	// Program is the program's file. It is no symbolic link.
	Program string
	// OS and Arch are in the words of Go: runtime.GOOS and GOARCH.
	OS, Arch string
	// HTTP has no time-out of its own: the context bounds everything.
	HTTP *http.Client
	// Ask runs a program and returns the version that it prints.
	Ask func(ctx context.Context, program string) (string, error)
	// Query runs a command, and reports whether it could be run and succeeded. nil: no package manager is asked.
	Query func(ctx context.Context, command ...string) bool

	names names // nil: the system's
}

// Newer reports whether a release is newer than the program.
func (u *Upgrader) Newer(r *Release) bool { return semver.Compare(r.Version, u.Version) > 0 }

// Install puts the program of a release in the place of this one, which stays beside it for [Upgrader.Rollback]. It fails
// with an [*Error] that says what was wrong, and then everything is as it was.
//
//	new file beside the program    before anything is downloaded: who may not write there is told at once
//	download, SHA-256              into a temporary file
//	unpack                         into the new file
//	ask                            the new program runs, and says that it is what was asked for
//	replace                        from here on it is there
func (u *Upgrader) Install(ctx context.Context, r *Release) (err error) {
	u.removeStale()
	fresh, err := u.createBeside()
	if err != nil {
		return err
	}
	defer func() {
		fresh.Close()
		if err != nil {
			os.Remove(fresh.Name())
		}
	}()
	archive, err := os.CreateTemp("", "composer-api-*")
	if err != nil {
		return &Error{Problem: "there is no place for the download", Hint: "see that the temporary folder can be written", Cause: err}
	}
	defer func() {
		archive.Close()
		os.Remove(archive.Name())
	}()
	if err := u.download(ctx, r, archive); err != nil {
		return err
	}
	if err := unpack(archive, u.OS, fresh); err != nil {
		return &Error{Problem: r.archive + " can't be unpacked", Hint: "nothing was changed; see that the disk has room, or report it", Cause: err}
	}
	// On the disk before it has the program's name: after a power cut there is the old one or the new one.
	if err := fresh.Sync(); err != nil {
		return &Error{Problem: "the new program can't be written", Hint: "nothing was changed; see that the disk has room", Cause: err}
	}
	if err := fresh.Close(); err != nil { // Linux starts no file that somebody writes to
		return &Error{Problem: "the new program can't be written", Hint: "nothing was changed; see that the disk has room", Cause: err}
	}
	if err := u.works(ctx, fresh.Name(), r.Version); err != nil {
		return err
	}
	return u.replace(fresh.Name(), u.previous())
}

// createBeside makes the file that the new program will be in: in the same folder, because a rename does not leave a file
// system, and as executable as the program is.
func (u *Upgrader) createBeside() (*os.File, error) {
	info, err := os.Stat(u.Program)
	if err != nil {
		return nil, &Error{Problem: "the program is not where it was started from", Hint: "start it again from where it is now", Cause: err}
	}
	// The ending matters to Windows, which starts nothing without it.
	file, err := os.CreateTemp(filepath.Dir(u.Program), "composer-api.new-*"+filepath.Ext(u.Program))
	if err != nil {
		return nil, u.noPermission(err)
	}
	if err := file.Chmod(info.Mode().Perm()); err != nil && u.OS != windows {
		file.Close()
		os.Remove(file.Name())
		return nil, u.noPermission(err)
	}
	return file, nil
}

// noPermission is the error of whoever may not write beside the program.
func (u *Upgrader) noPermission(cause error) error {
	hint := "type it again as the user whom the folder belongs to: 'sudo composer-api upgrade'"
	if u.OS == windows {
		hint = "type it again in a terminal that was started as administrator"
	}
	return &Error{Problem: "the folder " + filepath.Dir(u.Program) + " can't be written", Hint: hint, Cause: cause}
}

// download gets the archive of a release into file, and compares its SHA-256 with the signed one. Nobody has read it before.
func (u *Upgrader) download(ctx context.Context, r *Release, file io.Writer) error {
	sum := sha256.New()
	if err := u.fetch(ctx, "/download/"+r.Version+"/"+r.archive, mostArchive, io.MultiWriter(file, sum)); err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != r.sums[r.archive] {
		return &Error{Problem: r.archive + " is not the file that was signed: its SHA-256 is " + got, Hint: "nothing was changed; try again, and if it stays so, report it and don't use the file"}
	}
	return nil
}

// works fails unless a program runs and is of a version.
func (u *Upgrader) works(ctx context.Context, program, version string) error {
	got, err := u.Ask(ctx, program)
	if err != nil {
		return &Error{Problem: "the program of " + version + " does not run here", Hint: "nothing was changed; report it with what 'composer-api version' prints", Cause: err}
	}
	if got != version {
		return &Error{Problem: fmt.Sprintf("the program of %s says that it is %s", version, got), Hint: "nothing was changed; report it"}
	}
	return nil
}

// Rollback puts the program back that the last upgrade replaced, and returns its version. The one that it takes the place of is
// then the previous one: a second Rollback takes the first back.
func (u *Upgrader) Rollback(ctx context.Context) (version string, err error) {
	if _, err := os.Stat(u.previous()); err != nil {
		return "", &Error{Problem: "there is no program to go back to: " + u.previous() + " is not there", Hint: "'composer-api upgrade' leaves one behind; an older release can be put in place by hand", Cause: err}
	}
	if version, err = u.Ask(ctx, u.previous()); err != nil {
		return "", &Error{Problem: u.previous() + " does not run", Hint: "nothing was changed; get a release and put it in place by hand", Cause: err}
	}
	u.removeStale()
	aside := u.beside("aside")
	if err := u.replace(u.previous(), aside); err != nil {
		return "", err
	}
	if err := u.files().Rename(aside, u.previous()); err != nil {
		return version, &Error{Problem: version + " is in place, but the newer program could not be kept", Hint: "it is " + aside, Cause: err}
	}
	return version, nil
}

// ParseVersion finds the version in what 'composer-api version' prints: "composer-api v1.2.3 (commit …". It is "" when there
// is none.
func ParseVersion(printed string) string {
	words := strings.Fields(printed)
	if len(words) < 2 || words[0] != name {
		return ""
	}
	return words[1]
}
