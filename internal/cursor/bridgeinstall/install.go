// Package bridgeinstall gets Cursor's published bridge onto this machine, and finds it there.
//
// The bridge is proprietary: Cursor's licence holds, and nothing of it is part of this program. It is got from PyPI, as
// the package cursor-sdk, by the user's own pip or uv; the SHA-256 of what comes is compared with the list in
// versions.go, and only the bridge's folder is unpacked, into the user's state folder.
//
//	install.go      Installer: install, find, remove, and how an installation stays whole
//	download.go     the package with pip or uv
//	versions.go     which versions are known, and their SHA-256
//	process_*.go    ending a downloader with what it has started
package bridgeinstall

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"
)

// A Bridge is an installed bridge.
//
// It says where files are. Package bridgechild starts it.
type Bridge struct {
	// Dir holds bin/node and dist/.
	Dir string
	// Version is that of Cursor's SDK inside, which is the package's: "1.1.0"; "" when it can't be read.
	Version string
	// Ours is set when Install has put it there.
	Ours bool
}

// An Installer puts bridges below a folder and finds them there. Install and Remove keep others out while they work, in
// other processes, too.
//
//	Dir/lock            locked while something is changed
//	Dir/partial-123/    an installation that is on, or was killed
//	Dir/1.1.0/          a version that is whole: it came here by a rename
type Installer struct {
	// Dir is the folder for bridges: "bridge" in the state folder. Each version has a folder of its own in it.
	Dir string
	// Out receives what is being done, line by line; nil discards it.
	Out io.Writer

	known map[string]map[string]wheel // in place of wheels, for tests
}

// marker is inside every bridge.
const marker = "dist/bin/cursor-sdk-bridge.js"

// complete reports whether dir holds a bridge. That a file is there says nothing about its
// content; what was installed was checked before.
func complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, filepath.FromSlash(marker)))
	return err == nil
}

// At describes the bridge in dir. It starts nothing. An unreadable manifest leaves the version empty.
func At(dir string) (Bridge, error) {
	if !complete(dir) {
		return Bridge{}, fmt.Errorf("%s holds no bridge: there is no %s in it", dir, marker)
	}
	b := Bridge{Dir: dir}
	var manifest struct {
		SDKVersion string `json:"sdkVersion"`
	}
	if data, err := os.ReadFile(filepath.Join(dir, "manifest.json")); err == nil && json.Unmarshal(data, &manifest) == nil {
		b.Version = manifest.SDKVersion
	}
	return b, nil
}

// Find finds the newest version that was installed, or else the one in the Python environment
// venv ("" for none). ok is false when there is neither. It takes no lock: a version is there
// as a whole or not at all.
//
// A virtual environment's bridge is whatever version its user has installed there; it is not
// checked against the list.
func (i *Installer) Find(venv string) (b Bridge, ok bool) {
	for _, version := range slices.Backward(versions()) {
		if b, err := At(filepath.Join(i.Dir, version)); err == nil {
			b.Ours = true
			return b, true
		}
	}
	if venv == "" {
		return Bridge{}, false
	}
	for _, pattern := range []string{"lib/python*/site-packages", "Lib/site-packages"} {
		found, _ := filepath.Glob(filepath.Join(venv, filepath.FromSlash(pattern), "cursor_sdk", "_vendor", "bridge"))
		for _, dir := range found {
			if b, err := At(dir); err == nil {
				return b, true
			}
		}
	}
	return Bridge{}, false
}

// Install gets a version, unless it is there. ctx ends it; what is half done is undone. What an installation has left that
// was killed is deleted first.
//
//	lock, removePartial    nobody else is at it, and nothing is left of before
//	download, check        the package, with the SHA-256 that is known
//	unpack, complete       the bridge's folder out of it
//	rename                 from here on it is there for Find
//
// A version that isn't in the list of versions.go is refused.
func (i *Installer) Install(ctx context.Context, version string) (b Bridge, err error) {
	target := filepath.Join(i.Dir, version)
	if b, err := At(target); err == nil {
		i.say("version %s is installed already, in %s", version, target)
		b.Ours = true
		return b, nil
	}
	wheel, err := i.wheelFor(version)
	if err != nil {
		return Bridge{}, err
	}
	if err := os.MkdirAll(i.Dir, 0o700); err != nil {
		return Bridge{}, err
	}
	unlock, err := i.lock()
	if err != nil {
		return Bridge{}, err
	}
	defer unlock()
	if err := i.removePartial(); err != nil {
		return Bridge{}, err
	}
	// In the same folder, so that the last step is a rename.
	partial, err := os.MkdirTemp(i.Dir, partialPrefix)
	if err != nil {
		return Bridge{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(partial)) }()
	i.say("getting cursor-sdk %s (about %d MB) ...", version, wheel.size/mb)
	file, err := i.download(ctx, partial, version, wheel.size)
	if err != nil {
		return Bridge{}, err
	}
	if err := check(file, wheel.sha256); err != nil {
		return Bridge{}, err
	}
	i.say("checked: SHA-256 %s", wheel.sha256)
	unpacked := filepath.Join(partial, "bridge")
	size, err := unpack(ctx, file, unpacked)
	if err != nil {
		return Bridge{}, fmt.Errorf("unpacking the bridge: %w", err)
	}
	if !complete(unpacked) {
		return Bridge{}, fmt.Errorf("cursor-sdk %s holds no bridge", version)
	}
	// The target is not there: that was asked at the beginning, and the lock keeps others out.
	if err := os.Rename(unpacked, target); err != nil {
		return Bridge{}, err
	}
	i.say("installed in %s (%d MB)", target, size/mb)
	b, err = At(target)
	b.Ours = true
	return b, err
}

// lockName is a file in the folder for bridges that whoever changes something there holds locked.
const lockName = "lock"

// lock keeps other installers out until unlock is called. It does not wait: whoever comes
// second gets an error. The file stays.
func (i *Installer) lock() (unlock func(), err error) {
	lock := flock.New(filepath.Join(i.Dir, lockName), flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, errors.New("another 'upstream install' or 'upstream remove' is running")
	}
	return func() { lock.Close() }, nil
}

// mb is what sizes are told in.
const mb = 1_000_000

// partialPrefix begins the folders of installations that are on.
const partialPrefix = "partial-"

// removePartial deletes what installations have left that were killed. The lock is held.
func (i *Installer) removePartial() error {
	left, err := filepath.Glob(filepath.Join(i.Dir, partialPrefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// Remove deletes every version that Install has put there, and what interrupted installations
// have left. It returns the versions. A folder that holds no bridge is left alone, and so are
// bridges elsewhere. What was removed before an error is returned with it.
func (i *Installer) Remove() (removed []string, err error) {
	entries, err := os.ReadDir(i.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	unlock, err := i.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := i.removePartial(); err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if !complete(filepath.Join(i.Dir, entry.Name())) {
			continue // not ours
		}
		if err := os.RemoveAll(filepath.Join(i.Dir, entry.Name())); err != nil {
			return removed, err
		}
		removed = append(removed, entry.Name())
	}
	return removed, nil
}

// say writes a line to Out, if there is one.
func (i *Installer) say(format string, args ...any) {
	if i.Out != nil {
		fmt.Fprintf(i.Out, format+"\n", args...)
	}
}

// check compares the SHA-256 of a file. The error names both sums, and says that nothing was installed.
//
// A wrong sum means another file than the one that was tried with this program: a newer upload, a
// proxy's error page, or an attack.
func check(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("what came is not the package that is known: SHA-256 %s instead of %s; nothing was installed", got, want)
	}
	return nil
}

// inWheel is where the bridge lies in the package.
const inWheel = "cursor_sdk/_vendor/bridge/"

// maxUnpacked bounds what is unpacked, in bytes; the bridge has 175 MB.
const maxUnpacked = 1 << 30

// unpack writes the bridge of a wheel into dir, and returns its size in bytes.
//
// A name in the archive that leads out of dir is passed over, and so is everything that is no plain file.
// dir need not exist. What was unpacked before an error stays, in the folder that the caller deletes.
func unpack(ctx context.Context, wheel, dir string) (size int64, err error) {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return 0, err
	}
	defer z.Close()
	for _, f := range z.File {
		// Most of a wheel is Python code, which nobody needs here.
		name, ours := strings.CutPrefix(path.Clean(f.Name), inWheel)
		if !ours || f.FileInfo().IsDir() || !filepath.IsLocal(filepath.FromSlash(name)) || !f.Mode().IsRegular() {
			continue
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		// As announced by the archive; unpackFile writes no more than that.
		if size += int64(f.UncompressedSize64); size > maxUnpacked {
			return 0, errors.New("it is too large")
		}
		if err := unpackFile(f, filepath.Join(dir, filepath.FromSlash(name)), strings.HasPrefix(name, "bin/")); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// unpackFile writes one file of the archive, no more of it than the archive has announced. program says
// that it may be executed. A file that exists already is an error: no archive should name one twice.
func unpackFile(f *zip.File, to string, program bool) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	// A wheel made on Windows has no mode bits, so what is in bin counts as a program, too.
	mode := fs.FileMode(0o644)
	if program || f.Mode()&0o111 != 0 {
		mode = 0o755
	}
	src, err := f.Open()
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, io.LimitReader(src, int64(f.UncompressedSize64)))
	return errors.Join(err, dst.Close())
}
