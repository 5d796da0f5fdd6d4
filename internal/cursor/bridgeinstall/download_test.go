//go:build unix

package bridgeinstall

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// pretend puts a downloader of the given name on PATH, alone: a shell script that carries out body when it is told to
// download. body finds the destination in $dest.
func pretend(t *testing.T, name, body string) {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\nPATH=/usr/bin:/bin\ncase \"$*\" in *--version*) $version exit 0;; esac\n" +
		"while [ $# -gt 0 ]; do [ \"$1\" = --dest ] && dest=$2; shift; done\n" + body + "\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

// newInstaller makes an Installer that knows one version, whose package is file.
func newInstaller(t *testing.T, file string) (*Installer, *bytes.Buffer) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	out := new(bytes.Buffer)
	return &Installer{
		Dir: filepath.Join(t.TempDir(), "bridge"), Out: out,
		known: map[string]map[string]wheel{"9.0.0": {runtime.GOOS + "/" + runtime.GOARCH: {hex.EncodeToString(sum[:]), int64(len(data))}}},
	}, out
}

func TestInstallWithWhateverDownloaderIsThere(t *testing.T) {
	file := writeWheel(t, map[string]string{inWheel + marker: "js", inWheel + "manifest.json": `{"sdkVersion":"9.0.0"}`})
	for _, name := range []string{"python3", "python", "pip3", "pip", "uv"} {
		t.Run(name, func(t *testing.T) {
			pretend(t, name, fmt.Sprintf("cp %q \"$dest\"/cursor_sdk-9.0.0-py3-none-any.whl", file))
			i, out := newInstaller(t, file)
			b, err := i.Install(t.Context(), "9.0.0")
			if err != nil || b.Version != "9.0.0" || !b.Ours {
				t.Errorf("%+v, %v", b, err)
			}
			if left := list(t, i.Dir); left != "9.0.0 lock" {
				t.Errorf("the folder holds %s", left)
			}
			if !strings.Contains(out.String(), "checked: SHA-256") {
				t.Errorf("it said %q", out)
			}
		})
	}
}

// One downloader may be too old, or not work; the next is tried. What the last one said is in the error.
func TestADownloaderThatFailsIsNotTheEnd(t *testing.T) {
	file := writeWheel(t, map[string]string{inWheel + marker: "js"})
	i, _ := newInstaller(t, file)
	pretend(t, "python3", "echo no such option; exit 2")
	if _, err := i.Install(t.Context(), "9.0.0"); err == nil || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("got %v", err)
	}
	first := os.Getenv("PATH")
	pretend(t, "uv", fmt.Sprintf("cp %q \"$dest\"/cursor_sdk-9.0.0-py3-none-any.whl", file))
	t.Setenv("PATH", first+":"+os.Getenv("PATH"))
	if _, err := i.Install(t.Context(), "9.0.0"); err != nil {
		t.Error(err)
	}
	pretend(t, "python3", "exit 9")
	t.Setenv("version", "eval echo No module named pip; exit 1;")
	third, _ := newInstaller(t, file)
	if _, err := third.Install(t.Context(), "9.0.0"); err == nil || !strings.Contains(err.Error(), "does not work here") || !strings.Contains(err.Error(), "No module named pip") {
		t.Errorf("without pip: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	other, _ := newInstaller(t, file)
	if _, err := other.Install(t.Context(), "9.0.0"); err == nil || !strings.Contains(err.Error(), "neither pip nor uv") {
		t.Errorf("without any: %v", err)
	}
}

func TestAPackageWithAnotherSHA256InstallsNothing(t *testing.T) {
	i, _ := newInstaller(t, writeWheel(t, map[string]string{inWheel + marker: "js"}))
	other := writeWheel(t, map[string]string{inWheel + marker: "evil"})
	pretend(t, "python3", fmt.Sprintf("cp %q \"$dest\"/cursor_sdk-9.0.0-py3-none-any.whl", other))
	if _, err := i.Install(t.Context(), "9.0.0"); err == nil || !strings.Contains(err.Error(), "nothing was installed") {
		t.Errorf("got %v", err)
	}
	if left := list(t, i.Dir); left != "lock" {
		t.Errorf("the folder holds %s", left)
	}
	if _, ok := i.Find(""); ok {
		t.Error("something is found")
	}
}

// An installation that is interrupted leaves nothing, and no downloader that goes on, nor what that has started.
func TestAnInterruptedInstallationLeavesNothing(t *testing.T) {
	i, _ := newInstaller(t, writeWheel(t, map[string]string{inWheel + marker: "js"}))
	fifo := filepath.Join(t.TempDir(), "begun")
	pretend(t, "uv", fmt.Sprintf("echo x > \"$dest\"/half; sh -c 'echo $$ > %q; while :; do sleep 60; done'", fifo))
	ctx, interrupt := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := i.Install(ctx, "9.0.0")
		failed <- err
	}()
	pid := awaitFile(t, fifo)
	if !strings.Contains(list(t, i.Dir), partialPrefix) {
		t.Errorf("while it is on, the folder holds %s", list(t, i.Dir))
	}
	if _, err := i.Install(t.Context(), "9.0.0"); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("a second one at once: %v", err)
	}
	interrupt()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := list(t, i.Dir); left != "lock" {
		t.Errorf("the folder holds %s", left)
	}
	gone(t, pid)
}

// A killed installation can't clean up; the next one does.
func TestWhatAKilledInstallationHasLeftIsDeleted(t *testing.T) {
	file := writeWheel(t, map[string]string{inWheel + marker: "js"})
	i, _ := newInstaller(t, file)
	pretend(t, "python3", fmt.Sprintf("cp %q \"$dest\"/cursor_sdk-9.0.0-py3-none-any.whl", file))
	if err := os.MkdirAll(filepath.Join(i.Dir, partialPrefix+"1", "bridge"), 0o700); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(i.Dir, lockName)) // of a living one
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := i.Install(t.Context(), "9.0.0"); err == nil || !strings.Contains(list(t, i.Dir), partialPrefix) {
		t.Errorf("%v; the folder of a living one: %s", err, list(t, i.Dir))
	}
	if _, err := i.Remove(); err == nil {
		t.Error("a living one is removed")
	}
	lock.Close()
	if _, err := i.Install(t.Context(), "9.0.0"); err != nil {
		t.Error(err)
	}
	if left := list(t, i.Dir); left != "9.0.0 lock" {
		t.Errorf("the folder holds %s", left)
	}
}

func TestProgressIsToldInTenths(t *testing.T) {
	var p progress
	var told []int64
	for got := int64(0); got <= 100; got += 3 {
		if n, worth := p.next(got, 100); worth {
			told = append(told, n)
		}
	}
	if len(told) < 7 || len(told) > 10 {
		t.Errorf("told at %v", told)
	}
}

// awaitFile waits for a file with a process id.
func awaitFile(t *testing.T, name string) (pid int) {
	t.Helper()
	for range 2000 {
		text, err := os.ReadFile(name)
		if err == nil && strings.HasSuffix(string(text), "\n") {
			if pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
				return pid
			}
		}
		time.Sleep(5 * time.Millisecond) // another process: there is nothing to wait on
	}
	t.Fatal("the downloader has not begun")
	return 0
}

// gone waits for the end of a process. One that nobody has fetched the end of counts.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 2000 {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // on Linux
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("process %d still runs", pid)
}
