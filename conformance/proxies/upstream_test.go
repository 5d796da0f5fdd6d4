package proxies

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// The gateway's own HTTP/2 client meets servers other than Go's: those of the proxies, which here stand between the gateway and
// the simulator, as a load balancer stands before Cursor's servers, with TLS.

// A way is a proxy before upstream. Its configuration is for TLS at one address, and for plain text at another one, which only
// says that the proxy is ready. The folder has its certificate (cert.pem), the key of that (key.pem), and both in one file
// (both.pem).
type way struct {
	name   string
	config func(listen, ready, upstream, folder string) string
	args   func(config, folder string) []string
}

var ways = []way{
	{
		name: "nginx",
		config: func(listen, ready, upstream, folder string) string {
			temp := ""
			for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				temp += what + "_temp_path " + folder + "/" + what + ";\n"
			}
			return fmt.Sprintf(`
master_process off;
daemon off;
error_log stderr warn;
pid %[5]s/pid;
events {}
http {
	access_log off;
	%[1]s
	server { listen %[2]s; location / { return 200; } }
	server {
		listen %[3]s ssl http2;
		ssl_certificate %[5]s/cert.pem;
		ssl_certificate_key %[5]s/key.pem;
		client_max_body_size 0;
		location / { grpc_pass grpc://%[4]s; }
	}
}
`, temp, ready, listen, upstream, folder)
		},
		args: func(config, folder string) []string { return []string{"-p", folder, "-c", config} },
	},
	{
		name: "haproxy",
		config: func(listen, ready, upstream, folder string) string {
			return fmt.Sprintf(`
defaults
	mode http
	timeout connect 5s
	timeout client 1m
	timeout server 1m
frontend ready
	bind %s
	http-request return status 200
frontend cursor
	bind %s ssl crt %s/both.pem alpn h2,http/1.1
	default_backend cursor
backend cursor
	server one %s proto h2
`, ready, listen, folder, upstream)
		},
		args: func(config, _ string) []string { return []string{"-db", "-f", config} },
	},
	{
		name: "caddy",
		config: func(listen, ready, upstream, folder string) string {
			return fmt.Sprintf(`{
	admin off
	auto_https off
}
http://%[1]s {
	respond 200
}
https://%[2]s {
	tls %[4]s/cert.pem %[4]s/key.pem
	reverse_proxy h2c://%[3]s {
		flush_interval -1
	}
}
`, ready, listen, upstream, folder)
		},
		args: func(config, _ string) []string { return []string{"run", "--adapter", "caddyfile", "--config", config} },
	},
}

// start runs the proxy before the simulator. It returns its URL and the file of its certificate.
func (w *way) start(t *testing.T, sim *harness.Sim) (url, certificate string) {
	t.Helper()
	proxy := harness.Proxy{
		Name: w.name, Args: w.args,
		Config: func(ready, folder string) string {
			listen := harness.FreeAddress(t)
			url, certificate = "https://"+listen, writeCertificate(t, folder)
			return w.config(listen, ready, strings.TrimPrefix(sim.URL, "http://"), folder)
		},
	}
	proxy.Start(t)
	return url, certificate
}

// writeCertificate puts a certificate into a folder, in the three forms that a way wants, and returns its file.
func writeCertificate(t *testing.T, folder string) (file string) {
	t.Helper()
	file, key := harness.Certificate(t, folder)
	var both []byte
	for _, name := range []string{file, key} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, data...)
	}
	if err := os.WriteFile(filepath.Join(folder, "both.pem"), both, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestServersOfOthersBeforeUpstream: a prompt that is larger than a stream's first window, a run that waits for a tool's result
// past its heartbeats, and a client that leaves in the middle of an answer.
func TestServersOfOthersBeforeUpstream(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			harness.Program(t, w.name) // before anything is started
			sim := harness.StartSim(t, "--calm")
			url, certificate := w.start(t, sim)
			gateway := harness.StartReplica(t, sim, []string{"COMPOSER_DB=" + t.TempDir() + "/composer.db", "CURSOR_BACKEND_BASE_URL=" + url, "COMPOSER_CA_FILE=" + certificate})

			sim.Play("turn\nthink Hm.\ncall look {\"at\":\"it\"}\ntext It is {result 1}.")
			question := fmt.Sprintf(`{"role":"user","content":"Look. %s"}`, strings.Repeat("A long prompt. ", 20_000))
			called := answer(t, gateway, question)
			if len(called.ToolCalls) != 1 {
				t.Fatalf("%+v", called)
			}
			sim.Await("a heartbeat of the parked run", func(runs []harness.Run) bool { return runs[0].Calls()[0].Heartbeats > 0 })
			call, err := json.Marshal(called)
			if err != nil {
				t.Fatal(err)
			}
			result := fmt.Sprintf(`{"role":"tool","tool_call_id":%q,"content":"fine"}`, called.ToolCalls[0].ID)
			if said := answer(t, gateway, question, string(call), result); said.Content != "It is fine." {
				t.Errorf("%+v", said)
			}
			if runs := sim.AwaitIdle(); len(runs) != 1 || runs[0].End != "well" || len(runs[0].Prompt) < 300_000 {
				t.Errorf("upstream saw %s", harness.Summary(runs))
			}

			sim.Play("turn\ntext One. \nhold 1m\ntext Two.")
			resp := send(t.Context(), t, gateway.BaseURL()+"/chat/completions", `{"model":"composer-2.5","stream":true,"messages":[{"role":"user","content":"Count."}]}`)
			lines, heard := bufio.NewScanner(resp.Body), false
			for !heard && lines.Scan() {
				heard = strings.Contains(lines.Text(), "One.")
			}
			if !heard {
				t.Errorf("nothing of the second answer came: %v", lines.Err())
			}
			left := time.Now()
			resp.Body.Close()
			sim.AwaitIdle()
			if took := time.Since(left); took > 30*time.Second {
				t.Errorf("upstream heard after %v that the client has left", took)
			}
		})
	}
}

// A message is what the model has answered.
type message struct {
	Role      string `json:"role"`
	Content   string `json:"content"`
	ToolCalls []struct {
		ID       string          `json:"id"`
		Type     string          `json:"type"`
		Function json.RawMessage `json:"function"`
	} `json:"tool_calls,omitempty"`
}

// answer is the model's answer to a conversation, with a tool.
func answer(t *testing.T, gateway *harness.Gateway, messages ...string) message {
	t.Helper()
	resp := send(t.Context(), t, gateway.BaseURL()+"/chat/completions", fmt.Sprintf(
		`{"model":"composer-2.5","messages":[%s],"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]}`, strings.Join(messages, ",")))
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", resp.Status, body, err)
	}
	var completion struct {
		Choices []struct{ Message message }
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&completion); err != nil || len(completion.Choices) != 1 {
		t.Fatalf("%s, %v", body, err)
	}
	return completion.Choices[0].Message
}
