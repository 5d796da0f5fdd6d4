package bridgeinstall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"composer-api/internal/agent"
)

// Getting the package with a program of the user's: pip knows the user's index, proxy and
// certificates, and we would have to learn all of them.

// downloaders are the programs that can get a package, the likeliest first. uv has no download of its own, and runs pip.
var downloaders = [][]string{
	{"python3", "-m", "pip"}, {"python", "-m", "pip"}, {"pip3"}, {"pip"}, {"uv", "tool", "run", "pip"},
}

// download gets the package, of about so many bytes, into dir with the first downloader that works here.
//
// A downloader that isn't there is passed over; the error is of the last one that was there and failed.
//
// What a downloader that fails has left in dir stays there; the caller deletes the folder.
//
// size is about what comes, in bytes; it is for the progress that is told. What a program has
// printed is part of the error, its last line only, because pip prints pages.
func (i *Installer) download(ctx context.Context, dir, version string, size int64) (file string, err error) {
	var failed error
	for _, argv := range downloaders {
		// Asked for its version first: "python3 -m pip" fails where Python has no pip, which is no
		// failure of the download.
		if out, err := command(ctx, dir, argv, "--version").CombinedOutput(); err != nil {
			if !errors.Is(err, exec.ErrNotFound) {
				failed = fmt.Errorf("%s does not work here: %w: %s", strings.Join(argv, " "), err, lastLine(out))
			}
			continue
		}
		// No code of the package is run, so the version of Python that it asks for doesn't matter.
		cmd := command(ctx, dir, argv, "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
			"--ignore-requires-python", "--dest", dir, "cursor-sdk=="+version)
		stop := i.watch(dir, size)
		out, err := cmd.CombinedOutput()
		stop()
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

// command runs a downloader with further arguments. It puts its temporary files into dir, where they are deleted with the
// rest, and where their growth is seen. The end of ctx ends it and what it has started.
func command(ctx context.Context, dir string, argv []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], append(slices.Clone(argv[1:]), args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "TMP="+dir, "TEMP="+dir)
	const lastWords = 5 * time.Second // after which its output is no longer waited for
	cmd.WaitDelay = lastWords
	endWithChildren(cmd)
	return cmd
}

// watch says from time to time how much of a download of so many bytes is in dir, until stop is
// called. stop waits for the goroutine, so nothing is written to Out after it.
//
// The downloaders draw bars for terminals, so their own output is of no use here.
func (i *Installer) watch(dir string, size int64) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer agent.CatchPanic(func(err *agent.Error) { i.say("  (%v)", err) })
		const every = 300 * time.Millisecond
		// The size of the folder is all that is known of a downloader's progress.
		tick := time.NewTicker(every)
		defer tick.Stop()
		var p progress
		for {
			select {
			case <-tick.C:
				if got, worth := p.next(sizeOf(dir), size); worth {
					i.say("  %d of %d MB", got/mb, size/mb)
				}
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// A progress remembers how far a download was when it was last told.
type progress struct{ told int64 }

// next reports whether so many bytes are worth to be told: a tenth more than the last time, and
// not all. The first tenth is told, too.
func (p *progress) next(got, size int64) (int64, bool) {
	const parts = 10
	if got < p.told+size/parts || got >= size {
		return 0, false
	}
	p.told = got
	return got, true
}

// sizeOf is how many bytes the files below dir have. Files that vanish meanwhile count as they were.
//
// Errors are passed over: it is only for progress.
func sizeOf(dir string) int64 {
	var size int64
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

// lastLine is the end of what a program has printed, where it says what went wrong. It is ""
// for a program that has printed nothing.
func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// onlyWheel is the package that the downloader has put into dir. More than one would mean that
// something else was asked for than was known.
func onlyWheel(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "cursor_sdk-*.whl"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%d wheels came instead of one", len(found))
	}
	return found[0], nil
}
