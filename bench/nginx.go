package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// errNoNginx says how nginx gets into the table.
var errNoNginx = errors.New("nginx is not installed; it is left out. hint: apt-get install nginx-light")

// nginxConfig is a configuration that passes bytes on at once, with one process, so that its CPU time is that of one process.
const nginxConfig = `
daemon off; master_process off; pid %[1]s/pid; error_log stderr warn;
worker_rlimit_nofile 65536;
events { worker_connections 30000; }
http {
	access_log off; client_max_body_size 64m; client_body_buffer_size 8m;
	client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	keepalive_requests 1000000;
	upstream mock { server %[3]s; keepalive 10000; keepalive_requests 1000000; }
	server {
		listen %[2]s backlog=4096;
		location / {
			proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection "";
			proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 10m;
		}
	}
}
`

// findNginx is nginx's path.
func findNginx() (string, error) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoNginx
}

// nginx starts nginx before an upstream.
func (l *lab) nginx(ctx context.Context, upstream *server) (*server, error) {
	path, err := findNginx()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := l.folder()
	if err != nil {
		return nil, err
	}
	// Everything that nginx writes lies in this folder, so it needs no rights of root.
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, dir, address, strings.TrimPrefix(upstream.url, "http://"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return launch{
		name: nameNginx, url: "http://" + address, ready: "/",
		args: []string{path, "-p", dir, "-c", config},
	}.start(ctx)
}
