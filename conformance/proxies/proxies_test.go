// Package proxies runs the gateway behind real proxies, with the configurations of docs/deployment.md.
//
// A proxy that isn't installed is skipped; scripts/deployment.sh installs them.
package proxies

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// A kind is a proxy, and how its configuration in the documentation becomes one for a test: on a free port of the
// loopback, in plain HTTP, before the test's gateway.
type kind struct {
	name   string
	fence  string // of its configuration in docs/deployment.md
	change func(config, listen, gateway, folder string) string
	// args run it in the foreground.
	args func(config, folder string) []string
}

const documentedGateway = "127.0.0.1:8787"

var kinds = []kind{
	{
		name: "nginx", fence: "nginx",
		change: func(config, listen, gateway, folder string) string {
			config = regexp.MustCompile(`(?m)^ *ssl_certificate.*\n`).ReplaceAllString(config, "")
			config = strings.Replace(config, "listen 443 ssl;", "listen "+listen+";", 1)
			config = strings.Replace(config, documentedGateway, gateway, 1)
			user := ""
			if os.Getuid() == 0 {
				user = "user root;\n" // its workers write into the test's folder
			}
			temp := ""
			for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				temp += what + "_temp_path " + filepath.Join(folder, what) + ";\n"
			}
			return user + "error_log stderr warn;\npid " + filepath.Join(folder, "pid") + ";\nevents {}\nhttp {\naccess_log off;\n" + temp + config + "\n}\n"
		},
		args: func(config, folder string) []string { return []string{"-p", folder, "-c", config, "-g", "daemon off;"} },
	},
	{
		name: "caddy", fence: "caddyfile",
		change: func(config, listen, gateway, _ string) string {
			config = strings.Replace(config, "gateway.example {", "http://"+listen+" {", 1)
			return "{\n\tadmin off\n\tauto_https off\n}\n" + strings.Replace(config, documentedGateway, gateway, 1)
		},
		args: func(config, _ string) []string { return []string{"run", "--adapter", "caddyfile", "--config", config} },
	},
	{
		name: "haproxy", fence: "haproxy",
		change: func(config, listen, gateway, _ string) string {
			config = regexp.MustCompile(`(?m)^( *bind) .*$`).ReplaceAllString(config, "$1 "+listen)
			return strings.Replace(config, documentedGateway, gateway, 1)
		},
		args: func(config, _ string) []string { return []string{"-db", "-f", config} },
	},
}

// documented is the configuration that the documentation gives.
func documented(t *testing.T, fence string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```"+fence+"\n")
	config, _, closed := strings.Cut(rest, "\n```")
	if !found || !closed || !strings.Contains(config, documentedGateway) {
		t.Fatalf("docs/deployment.md has no configuration of %s", fence)
	}
	return config + "\n"
}

// start runs a proxy before the gateway and returns its URL.
func (k *kind) start(t *testing.T, gateway *harness.Gateway) string {
	t.Helper()
	proxy := harness.Proxy{
		Name: k.name, Args: k.args, Ready: "/readyz",
		Config: func(listen, folder string) string {
			return k.change(documented(t, k.fence), listen, strings.TrimPrefix(gateway.URL, "http://"), folder)
		},
	}
	return proxy.Start(t)
}

// forEach runs test behind each proxy.
func forEach(t *testing.T, script string, test func(t *testing.T, sim *harness.Sim, url string)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			harness.Program(t, k.name) // before anything is started
			sim := harness.StartSim(t, "--calm")
			sim.Play(script)
			gateway := harness.StartReplica(t, sim, []string{
				"COMPOSER_DB=" + t.TempDir() + "/composer.db", "ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_TRUSTED_PROXIES=127.0.0.1", "COMPOSER_SIGNUP_LIMIT=2",
			})
			test(t, sim, k.start(t, gateway))
		})
	}
}

// send posts JSON with further headers, in lines of "Name: value".
func send(ctx context.Context, t *testing.T, url, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+harness.Key)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	// Without DisableCompression the transport would hide that an answer was compressed.
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func chat(prompt, members string) string {
	quoted, _ := json.Marshal(prompt)
	return `{"model":"composer-2.5",` + members + `"messages":[{"role":"user","content":` + string(quoted) + `}]}`
}

// TestAStreamComesWordByWord reads the beginning of an answer that has no end: a proxy that collects would never give
// it. When the client leaves, upstream hears of it.
func TestAStreamComesWordByWord(t *testing.T) {
	forEach(t, "turn always\ntext It begins.\nhold", func(t *testing.T, sim *harness.Sim, url string) {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		resp := send(ctx, t, url+"/v1/chat/completions", chat("Talk.", `"stream":true,`), "Accept-Encoding: gzip, br, zstd")
		if encoding := resp.Header.Get("Content-Encoding"); encoding != "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
			t.Errorf("the stream is %s, encoded with %q", resp.Header.Get("Content-Type"), encoding)
		}
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() && !strings.Contains(lines.Text(), "It begins.") {
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		leave()
		runs := sim.Await("the reset", func(runs []harness.Run) bool { return len(runs) == 1 && runs[0].End != "" })
		if runs[0].End != "left" {
			t.Errorf("the run ended %q", runs[0].End)
		}
	})
}

func TestLargePromptsPass(t *testing.T) {
	forEach(t, "turn always\ntext {chars} characters.", func(t *testing.T, _ *harness.Sim, url string) {
		const size = 30 << 20
		resp := send(t.Context(), t, url+"/v1/chat/completions", chat(strings.Repeat("prompt, ", size/8), ""))
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), fmt.Sprint(size)) {
			t.Errorf("status %d, %v: %.300s", resp.StatusCode, err, answer)
		}
	})
}

// TestWhoTheClientIs: the addresses that sign-up tells are those of the proxy, and what a client makes up about itself
// counts for nothing.
func TestWhoTheClientIs(t *testing.T) {
	forEach(t, "turn always\ntext Well.", func(t *testing.T, _ *harness.Sim, url string) {
		for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
			resp := send(t.Context(), t, url+"/api/signup", `{"cursorApiKey":"crsr_conformance-of-proxies-000000000000000001"}`,
				fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i), fmt.Sprintf("Forwarded: for=198.51.100.%d;host=evil.example;proto=https", i),
				"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 99", "X-Forwarded-Prefix: /evil")
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != want {
				t.Fatalf("sign-up %d: status %d, want %d: %s", i+1, resp.StatusCode, want, body)
			}
			var up struct {
				Account   struct{ ID string }
				Endpoints struct{ BaseURL, AccountBaseURL string }
			}
			if err := json.Unmarshal(body, &up); want == http.StatusOK && (err != nil || up.Endpoints.BaseURL != url+"/v1" || up.Endpoints.AccountBaseURL != url+"/u/"+up.Account.ID+"/v1") {
				t.Errorf("the endpoints are %+v, want those at %s", up.Endpoints, url)
			}
		}
	})
}

func TestWebSocketsPass(t *testing.T) {
	forEach(t, "turn always\ntext Well.", func(t *testing.T, _ *harness.Sim, url string) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Minute))
		// The key is RFC 6455's example.
		fmt.Fprintf(conn, "GET /v1/responses HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			strings.TrimPrefix(url, "http://"), harness.Key)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Fatalf("%v, %v", resp, err)
		}
	})
}
