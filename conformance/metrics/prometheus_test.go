package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// A prometheus is a real server that scrapes a gateway each second, configured as deploy/prometheus says.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus starts one for the metrics at an address. It ends with the test, which is skipped where there is none.
func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no Prometheus; hint: scripts/deployment.sh installs Debian's")
	}
	folder, listen := t.TempDir(), harness.FreeAddress(t)
	deploy, err := filepath.Abs(filepath.Join("..", "..", "deploy", "prometheus"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(deploy, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		"15s", "1s", "127.0.0.1:9787", target, "composer-api.rules.yml", filepath.Join(deploy, "composer-api.rules.yml"),
	).Replace(string(config))
	if err := os.WriteFile(filepath.Join(folder, "prometheus.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+filepath.Join(folder, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(folder, "data"),
		"--web.listen-address="+listen, "--enable-feature=exemplar-storage", "--log.level=warn")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("prometheus said:\n%s", said)
		}
	})
	p := &prometheus{t, "http://" + listen}
	p.await("that Prometheus is ready", func() bool {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// await waits for something, which a busy machine may take long for.
func (p *prometheus) await(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatal("a minute was too short for ", what)
		}
	}
}

// get asks Prometheus's API and reads the data of the answer.
func (p *prometheus) get(into any, path string, query url.Values) {
	p.t.Helper()
	resp, err := http.Get(p.url + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s, %v: %s", resp.Status, err, body)
	}
	if err := json.Unmarshal(body, &struct{ Data any }{into}); err != nil {
		p.t.Fatalf("%v in %s", err, body)
	}
}

// has reports whether a query returns a number.
func (p *prometheus) has(expr string) bool {
	p.t.Helper()
	var data struct {
		Result []struct{ Value [2]any }
	}
	p.get(&data, "query", url.Values{"query": {expr}})
	for _, series := range data.Result {
		if series.Value[1] != "NaN" {
			return true
		}
	}
	return false
}

// loads are what clients ask until ctx ends, so that there is something in each panel.
func loads(ctx context.Context, t *testing.T, g *harness.Gateway) *sync.WaitGroup {
	var clients sync.WaitGroup
	clients.Go(func() {
		for ctx.Err() == nil {
			answer := complete(ctx, t, g, `{"role":"user","content":"look\nsim: say one two three\nsim: call look {}\nsim: text Done.\nsim: usage input=100 output=10 cache_read=5"}`)
			var said struct {
				Choices []struct {
					Message json.RawMessage
				}
			}
			var called struct {
				ToolCalls []struct{ ID string } `json:"tool_calls"`
			}
			if json.Unmarshal(answer, &said) == nil && len(said.Choices) == 1 && json.Unmarshal(said.Choices[0].Message, &called) == nil && len(called.ToolCalls) == 1 {
				complete(ctx, t, g, `{"role":"user","content":"look\nsim: say one two three\nsim: call look {}\nsim: text Done.\nsim: usage input=100 output=10 cache_read=5"},`+
					string(said.Choices[0].Message)+`,{"role":"tool","tool_call_id":"`+called.ToolCalls[0].ID+`","content":"a file"}`)
			}
		}
	})
	return &clients
}

// complete sends a chat completion with these messages.
func complete(ctx context.Context, t *testing.T, g *harness.Gateway, messages string) []byte {
	body := fmt.Sprintf(`{"model":"composer-2.5","messages":[%s],"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]}`, messages)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.BaseURL()+"/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return nil
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer crsr_metrics")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if ctx.Err() == nil && (err != nil || resp.StatusCode != http.StatusOK) {
		t.Errorf("%s, %v: %s", resp.Status, err, answer)
	}
	return answer
}

func TestPrometheusScrapesAGateway(t *testing.T) {
	g, address := start(t)
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	p := startPrometheus(t, target.Host)
	ctx, stop := context.WithCancel(t.Context())
	clients := loads(ctx, t, g)
	t.Cleanup(clients.Wait)
	t.Cleanup(stop)

	t.Run("each query of the dashboard returns data", func(t *testing.T) {
		for _, q := range queries(t) {
			if !strings.HasPrefix(q.where, "panel ") || strings.Contains(q.expr, "composer_bridge_children") { // there is no bridge here
				continue
			}
			expr := strings.ReplaceAll(q.expr, "[1m]", "[5s]") // what Grafana takes for $__rate_interval at this pace
			p.await(q.where+": "+expr, func() bool { return p.has(expr) })
		}
	})
	t.Run("the alerts are loaded, and can be evaluated", func(t *testing.T) {
		var data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		p.await("the evaluation of the alerts", func() bool {
			p.get(&data, "rules", nil)
			for _, group := range data.Groups {
				for _, rule := range group.Rules {
					if rule.Health == "unknown" {
						return false
					}
				}
			}
			return len(data.Groups) > 0
		})
		rules := data.Groups[0].Rules
		if len(rules) < 8 {
			t.Errorf("only %d alerts are loaded", len(rules))
		}
		for _, rule := range rules {
			if rule.Health != "ok" {
				t.Errorf("the alert %s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
		}
	})
	t.Run("exemplars name requests", func(t *testing.T) {
		p.await("an exemplar", func() bool {
			var series []struct {
				Exemplars []struct{ Labels map[string]string }
			}
			p.get(&series, "query_exemplars", url.Values{
				"query": {"composer_time_to_first_token_seconds_bucket"}, "start": {fmt.Sprint(time.Now().Add(-time.Hour).Unix())}, "end": {fmt.Sprint(time.Now().Add(time.Hour).Unix())},
			})
			for _, s := range series {
				for _, e := range s.Exemplars {
					if strings.HasPrefix(e.Labels["request_id"], "req_") {
						return true
					}
				}
			}
			return false
		})
	})
}
