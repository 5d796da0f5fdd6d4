package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// patience is the most that a program may take for one thing. An emulated one needs some seconds to start.
const patience = time.Minute

// tryProgram runs a program of this system: what it says of its version, a request to its demo, and whether it would upgrade
// from the very release that it is of. A program for another processor is run by an emulator, where there is one.
func tryProgram(d *dist, p platform, program []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	// A folder of its own is the working directory and the home, so no .env and no database of the machine plays a part.
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, p.program())
	if err := os.WriteFile(file, program, 0o755); err != nil {
		return err
	}
	// line is how the program is started, with an emulator before it if it needs one.
	line := []string{file}
	if p.arch != runtime.GOARCH {
		emulator := emulatorFor(p)
		if emulator == "" {
			fmt.Printf("%s/%s: not run: there is no emulator (Debian's package qemu-user)\n", p.os, p.arch)
			return nil
		}
		line = []string{emulator, file}
	}
	run := func(args ...string) (string, error) {
		// The slice has no room to grow into, so each append makes a new one.
		out, err := command(ctx, dir, append(line[:len(line):len(line)], args...)).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
		return string(out), nil
	}
	// The version and the commit come from the linker; a build without them shows here.
	version, err := run("version")
	if err != nil || !strings.HasPrefix(version, "composer-api v"+d.version+" (commit ") || !strings.HasSuffix(version, p.os+"/"+p.arch+")\n") {
		return fmt.Errorf("its version is %q: %w", version, err)
	}
	// A request through all of it, for which the demo needs no network.
	if err := demo(ctx, dir, line); err != nil {
		return err
	}
	if len(line) == 1 { // one is enough: it is the same code
		releases, stop, err := serveReleases(ctx, d)
		if err != nil {
			return err
		}
		defer stop()
		said, err := run("upgrade", "--check", "--releases="+releases)
		if err != nil || !strings.Contains(said, "the newest release is v"+d.version) {
			return fmt.Errorf("upgrade --check: %q: %w", said, err)
		}
	}
	fmt.Printf("%s/%s: runs, and its demo answers\n", p.os, p.arch)
	return nil
}

// emulatorFor is a program that runs those of another processor; "" when there is none.
func emulatorFor(p platform) string {
	// The other emulator of user programs, for amd64 on arm64, is not needed: releases are made on amd64.
	if p.os != "linux" || p.arch != "arm64" {
		return ""
	}
	for _, name := range []string{"qemu-aarch64", "qemu-aarch64-static"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	return ""
}

// command is a line that is run in dir, with nothing of this process's variables but PATH.
func command(ctx context.Context, dir string, line []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	return cmd
}

// address is how the server says where it listens.
var address = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// demo starts the demo, asks it something, and ends it in order.
func demo(ctx context.Context, dir string, line []string) (err error) {
	cmd := command(ctx, dir, append(line[:len(line):len(line)], "serve", "--demo", "--addr=127.0.0.1:0"))
	said, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		// A program that does not end well after Ctrl-C fails the check, too.
		err = errors.Join(err, cmd.Process.Signal(os.Interrupt), cmd.Wait())
	}()
	// With room, so that the goroutine never waits for somebody who has left.
	found := make(chan string, 1)
	go func() {
		defer close(found)
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			if url := address.FindString(lines.Text()); url != "" {
				found <- url
				break
			}
		}
		_, _ = io.Copy(io.Discard, said) // it would wait for a reader
	}()
	// It ends when the program has said its address, or has ended: then its standard error does.
	url, ok := <-found
	if !ok {
		return errors.New("the demo ended, or did not say where it listens")
	}
	// The prompt is a script for the demo, which answers with its text.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(`{"model":"composer-2.5","messages":[{"role":"user","content":"sim: text It works."}]}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer demo")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "It works.") {
		return fmt.Errorf("the demo answered %s: %s: %w", resp.Status, body, err)
	}
	return nil
}

// serveReleases serves the dist at the addresses of a release, until stop.
func serveReleases(ctx context.Context, d *dist) (url string, stop func(), err error) {
	var config net.ListenConfig
	// Port 0: the system chooses one that is free.
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Whatever the release in the path: there is this one only.
		http.ServeFile(w, r, d.path(path.Base(r.URL.Path)))
	})}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), func() { _ = server.Close() }, nil
}
