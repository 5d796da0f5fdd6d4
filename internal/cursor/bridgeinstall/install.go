// Package bridgeinstall gets Cursor's published bridge onto this machine, and finds it there.
//
// The bridge is proprietary: Cursor's licence holds, and nothing of it is part of this program. It is got from PyPI, as
// the package cursor-sdk, by the user's own pip or uv; the SHA-256 of what comes is compared with the list in
// versions.go, and only the bridge's folder is unpacked, into the user's state folder.
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
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A Bridge is an installed bridge.
type Bridge struct {
	// Dir holds bin/node and dist/.
	Dir string
	// Version is that of Cursor's SDK inside, which is the package's: "1.1.0"; "" when it can't be read.
	Version string
	// Ours is set when Install has put it there.
	Ours bool
}

// An Installer puts bridges below a folder and finds them there. Its methods must not be called concurrently, by several
// processes neither, but for Find.
type Installer struct {
	// Dir is the folder for bridges: "bridge" in the state folder. Each version has a folder of its own in it.
	Dir string
	// Out receives what is being done, line by line; nil discards it.
	Out io.Writer
}

// marker is inside every bridge.
const marker = "dist/bin/cursor-sdk-bridge.js"

// complete reports whether dir holds a bridge.
func complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, filepath.FromSlash(marker)))
	return err == nil
}

// At describes the bridge in dir.
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

// Find finds the newest version that was installed, or else the one in the Python environment venv ("" for none). ok is
// false when there is neither.
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

// Install gets a version, unless it is there. ctx ends it; what is half done is undone.
func (i *Installer) Install(ctx context.Context, version string) (Bridge, error) {
	target := filepath.Join(i.Dir, version)
	if b, err := At(target); err == nil {
		i.say("version %s is installed already, in %s", version, target)
		b.Ours = true
		return b, nil
	}
	wheel, err := wheelFor(version, runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return Bridge{}, err
	}
	if err := os.MkdirAll(i.Dir, 0o700); err != nil {
		return Bridge{}, err
	}
	// In the same folder, so that the last step is a rename.
	partial, err := os.MkdirTemp(i.Dir, partialPrefix)
	if err != nil {
		return Bridge{}, err
	}
	defer os.RemoveAll(partial)
	i.say("getting cursor-sdk %s (about %d MB) ...", version, wheel.size>>20)
	file, err := download(ctx, partial, version)
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
	if err := os.Rename(unpacked, target); err != nil {
		return Bridge{}, err
	}
	i.say("installed in %s (%d MB)", target, size>>20)
	b, err := At(target)
	b.Ours = true
	return b, err
}

// partialPrefix begins the folders of installations that are on.
const partialPrefix = "partial-"

// Remove deletes every version that Install has put there, and what interrupted installations have left. It returns the
// versions.
func (i *Installer) Remove() ([]string, error) {
	entries, err := os.ReadDir(i.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var removed []string
	for _, entry := range entries {
		partial := strings.HasPrefix(entry.Name(), partialPrefix)
		if !partial && !complete(filepath.Join(i.Dir, entry.Name())) {
			continue // not ours
		}
		if err := os.RemoveAll(filepath.Join(i.Dir, entry.Name())); err != nil {
			return removed, err
		}
		if !partial {
			removed = append(removed, entry.Name())
		}
	}
	return removed, nil
}

func (i *Installer) say(format string, args ...any) {
	if i.Out != nil {
		fmt.Fprintf(i.Out, format+"\n", args...)
	}
}

// downloaders are the programs that can get a package, the likeliest first.
var downloaders = [][]string{
	{"python3", "-m", "pip"}, {"python", "-m", "pip"}, {"pip3"}, {"pip"}, {"uv", "tool", "run", "pip"},
}

// download gets the package into dir with the first downloader that works here.
func download(ctx context.Context, dir, version string) (file string, err error) {
	var failed error
	for _, argv := range downloaders {
		if exec.CommandContext(ctx, argv[0], append(slices.Clone(argv[1:]), "--version")...).Run() != nil {
			continue
		}
		args := append(slices.Clone(argv[1:]), "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", dir, "cursor-sdk=="+version)
		out, err := exec.CommandContext(ctx, argv[0], args...).CombinedOutput()
		if err == nil {
			return onlyWheel(dir)
		}
		failed = fmt.Errorf("%s could not get cursor-sdk %s: %w: %s", strings.Join(argv, " "), version, err, lastLine(out))
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if failed != nil {
		return "", failed
	}
	return "", errors.New("neither pip nor uv was found, which get Cursor's package")
}

// lastLine is the end of what a program has printed, where it says what went wrong.
func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

func onlyWheel(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "cursor_sdk-*.whl"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%d wheels came instead of one", len(found))
	}
	return found[0], nil
}

// check compares the SHA-256 of a file.
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
func unpack(ctx context.Context, wheel, dir string) (size int64, err error) {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return 0, err
	}
	defer z.Close()
	for _, f := range z.File {
		name, ours := strings.CutPrefix(path.Clean(f.Name), inWheel)
		if !ours || f.FileInfo().IsDir() || !filepath.IsLocal(filepath.FromSlash(name)) || !f.Mode().IsRegular() {
			continue
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if size += int64(f.UncompressedSize64); size > maxUnpacked {
			return 0, errors.New("it is too large")
		}
		if err := unpackFile(f, filepath.Join(dir, filepath.FromSlash(name)), strings.HasPrefix(name, "bin/")); err != nil {
			return 0, err
		}
	}
	return size, nil
}

func unpackFile(f *zip.File, to string, program bool) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
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
