package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
)

// A lab starts servers. What they write goes below dir.
type lab struct {
	self    string // this program, which is also the mock, the floor and the proxy
	gateway string // composer-api
	// dir has a folder for each server, and is removed at the end of the run.
	dir     string
	started int // for names of folders
}

// The servers' names, as the table has them.
const (
	nameDirect = "direct"
	nameOurs   = "composer-api"
	nameFloor  = "floor"
	nameHeld   = "floor, held open" // whose request body stays open; see floor.hold
	nameProxy  = "Go proxy"
	nameNginx  = "nginx"
)

// mock starts an upstream, which is also the server that is called "direct".
func (l *lab) mock(ctx context.Context, frame int) (*server, error) {
	return l.mockAt(ctx, "", frame)
}

// mockAt is mock at an address; "" is any.
func (l *lab) mockAt(ctx context.Context, address string, frame int) (*server, error) {
	return l.own(ctx, nameDirect, address, "mock", "-frame", strconv.Itoa(frame))
}

// own starts this program as one of its servers.
func (l *lab) own(ctx context.Context, name, address, what string, args ...string) (s *server, err error) {
	// Another process may take the address before the server does; then it ends, and the bench with it.
	if address == "" {
		if address, err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	return launch{
		name: name, url: "http://" + address, ready: "/",
		args: append([]string{l.self, what, "-address", address}, args...),
	}.start(ctx)
}

// behind starts the server of that name before an upstream.
func (l *lab) behind(ctx context.Context, name string, upstream *server) (*server, error) {
	switch name {
	case nameFloor:
		return l.own(ctx, name, "", "floor", "-upstream", upstream.url)
	case nameHeld:
		return l.own(ctx, name, "", "floor", "-upstream", upstream.url, "-hold")
	case nameProxy:
		return l.own(ctx, name, "", "proxy", "-upstream", upstream.url)
	case nameNginx:
		return l.nginx(ctx, upstream)
	}
	s, _, err := l.ours(ctx, upstream)
	return s, err
}

// ours starts the gateway with a fresh database. operator is the address of its metrics.
func (l *lab) ours(ctx context.Context, upstream *server) (s *server, operator string, err error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, "", err
	}
	if operator, err = freeAddress(ctx); err != nil {
		return nil, "", err
	}
	dir, err := l.folder()
	if err != nil {
		return nil, "", err
	}
	s, err = launch{
		name: nameOurs, url: "http://" + address, ready: "/healthz", args: []string{l.gateway, "serve"},
		env: []string{
			// A log line a request would be measured, too. The state folder is empty, so nothing of an earlier run counts.
			"COMPOSER_ADDR=" + address, "COMPOSER_METRICS_ADDR=" + operator, "COMPOSER_LOG=warn",
			"COMPOSER_DB=" + filepath.Join(dir, "bench.db"), "HOME=" + dir, "XDG_STATE_HOME=" + dir,
			"CURSOR_API_BASE=" + upstream.url, "CURSOR_BACKEND_BASE_URL=" + upstream.url,
			"CURSOR_LOCAL_AGENT_ENDPOINT=" + agentPath, "COMPOSER_UPSTREAM=localagent",
		},
	}.start(ctx)
	return s, operator, err
}

// folder makes a folder for one server.
func (l *lab) folder() (string, error) {
	l.started++
	dir := filepath.Join(l.dir, strconv.Itoa(l.started))
	return dir, os.Mkdir(dir, 0o700)
}

// gauge reads one number of the gateway's metrics.
func gauge(ctx context.Context, operator, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+operator+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(body) {
		// A gauge without labels is a line: its name, a space, its value.
		if value, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			return strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
		}
	}
	return 0, fmt.Errorf("the metrics have no %s", name)
}
