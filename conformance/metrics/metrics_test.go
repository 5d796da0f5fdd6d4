// Package metrics holds what deploy/ says about metrics against a gateway that runs: Prometheus's own parsers read both.
package metrics

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v2"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// A query is one that a dashboard or an alert asks.
type query struct{ where, expr string }

// queries are all that deploy/ holds.
func queries(t *testing.T) []query {
	t.Helper()
	deploy := filepath.Join("..", "..", "deploy")
	var all []query

	data, err := os.ReadFile(filepath.Join(deploy, "grafana", "composer-api.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, query{"panel " + p.Title, strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")})
		}
	}

	data, err = os.ReadFile(filepath.Join(deploy, "prometheus", "composer-api.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &rules); err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all = append(all, query{"alert " + r.Alert, r.Expr})
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Labels["severity"] == "" {
				t.Errorf("alert %s doesn't say what to do", r.Alert)
			}
		}
	}
	return all
}

var metricsLine = regexp.MustCompile(`http://\S+/metrics`)

// start runs a gateway with an operator's listener, and returns the address of its metrics.
func start(t *testing.T) (*harness.Gateway, string) {
	t.Helper()
	sim := harness.StartSim(t, "--calm")
	g := harness.StartReplica(t, sim, []string{"COMPOSER_DB=" + t.TempDir() + "/composer.db", "COMPOSER_METRICS_ADDR=127.0.0.1:0"})
	address := metricsLine.FindString(g.Output())
	if address == "" {
		t.Fatalf("it doesn't say where its metrics are:\n%s", g.Output())
	}
	return g, address
}

// ask sends one turn.
func ask(t *testing.T, g *harness.Gateway) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.BaseURL()+"/chat/completions",
		strings.NewReader(`{"model":"composer-2.5","messages":[{"role":"user","content":"hello"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer crsr_metrics")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
}

// scrape reads the names of the metrics as Prometheus does, and counts their exemplars.
func scrape(t *testing.T, address string) (names map[string]bool, exemplars int) {
	t.Helper()
	names = map[string]bool{}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	p, err := textparse.New(body, resp.Header.Get("Content-Type"), "", false, false, false, labels.NewSymbolTable())
	if err != nil {
		t.Fatal(err)
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return names, exemplars
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var series labels.Labels
		p.Labels(&series)
		names[series.Get(labels.MetricName)] = true
		if p.Exemplar(new(exemplar.Exemplar)) {
			exemplars++
		}
	}
}

// absent are metrics that only some gateways have: for a backend that isn't configured here, and what Prometheus makes itself.
var absent = []string{"composer_bridge_children", "up"}

func TestEveryQueryNamesMetricsThatExist(t *testing.T) {
	g, address := start(t)
	ask(t, g)
	there, exemplars := scrape(t, address)
	if exemplars == 0 {
		t.Error("no exemplar was found")
	}
	for _, name := range absent {
		there[name] = true
	}
	// What appears once it has happened.
	for _, name := range []string{"composer_cost_dollars_total"} {
		there[name] = true
	}
	all := queries(t)
	if len(all) < 30 {
		t.Errorf("only %d queries were found", len(all))
	}
	for _, q := range all {
		expr, err := parser.ParseExpr(q.expr)
		if err != nil {
			t.Errorf("%s: %v", q.where, err)
			continue
		}
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			if v, ok := n.(*parser.VectorSelector); ok && !there[v.Name] {
				t.Errorf("%s: there is no metric %s", q.where, v.Name)
			}
			return nil
		})
	}
}
