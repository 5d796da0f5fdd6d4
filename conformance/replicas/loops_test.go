package replicas

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// Three replicas behind nginx, which sends each request to the next one, and clients in the middle of tool loops while
// replicas are killed and started again.

// loopsVariable is how many tool loops run at once; the default is what every test run can bear.
const loopsVariable = "COMPOSER_TEST_LOOPS"

// A cluster is replicas on one database, behind nginx.
type cluster struct {
	t         *testing.T
	sim       *harness.Sim
	variables []string
	addresses []string // of the replicas; those of replaced ones stay
	replicas  []*harness.Gateway
	url       string // of nginx
}

// newCluster starts everything. It is ended with the test.
func newCluster(t *testing.T, database string, size int) *cluster {
	t.Helper()
	c := &cluster{t: t, sim: harness.StartSim(t, "--calm"), variables: []string{
		"COMPOSER_DB=" + database, "ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_REPLICA_SECRET=correct horse battery staple",
	}}
	for range size {
		c.addresses = append(c.addresses, harness.FreeAddress(t))
		c.replicas = append(c.replicas, nil)
	}
	for i := range size {
		c.start(i)
	}
	c.url = c.startNginx()
	return c
}

// start starts the replica with a number.
func (c *cluster) start(i int) {
	c.replicas[i] = harness.StartReplica(c.t, c.sim, c.variables, "--addr="+c.addresses[i], "--replica-addr=127.0.0.1:0")
}

// nginxConfig is a round robin. A replica that refuses connections is left out for a second.
const nginxConfig = `%sdaemon off;
error_log stderr crit;
pid %[2]s/pid;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/fastcgi; uwsgi_temp_path %[2]s/uwsgi; scgi_temp_path %[2]s/scgi;
	upstream composer { %[3]s }
	server {
		listen %[4]s;
		location / {
			proxy_pass http://composer;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host localhost;
			proxy_read_timeout 5m;
		}
	}
}
`

// startNginx runs nginx before all replicas and returns its URL.
func (c *cluster) startNginx() string {
	c.t.Helper()
	user, servers := "", ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	for _, address := range c.addresses {
		servers += "server " + address + " max_fails=1 fail_timeout=1s; "
	}
	proxy := harness.Proxy{
		Name: "nginx", Ready: "/healthz",
		Config: func(listen, folder string) string { return fmt.Sprintf(nginxConfig, user, folder, servers, listen) },
		Args:   func(config, folder string) []string { return []string{"-p", folder, "-c", config} },
	}
	return proxy.Start(c.t)
}

// ask posts a body.
func (c *cluster) ask(url, body string) (status int, header http.Header, answer []byte, err error) {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer crsr_"+strings.Repeat("0", 60))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, answer, err
}

// retries is how often a client sends a request again whose answer it did not get, as SDKs do; and pause is how long it waits.
const (
	retries = 20
	pause   = 200 * time.Millisecond
)

// complete asks for a completion and tries again as an SDK does.
func (c *cluster) complete(body string) (answer []byte, resume string, err error) {
	for try := 0; ; try++ {
		status, header, answer, err := c.ask(c.url+"/v1/chat/completions", body)
		switch {
		case err == nil && status == http.StatusOK:
			return answer, header.Get("X-Composer-Resume"), nil
		case try == retries || err == nil && status < 500 && status != http.StatusTooManyRequests:
			return nil, "", fmt.Errorf("status %d, %v: %s", status, err, answer)
		}
		select {
		case <-c.t.Context().Done():
		case <-time.After(pause):
		}
	}
}

// What a completion says, as far as a loop needs it.
type completion struct {
	Choices []struct {
		Message struct {
			Content   string            `json:"content"`
			ToolCalls []json.RawMessage `json:"tool_calls"`
		} `json:"message"`
	} `json:"choices"`
}

// calls is how many tool calls the model makes in a loop, one after the other.
const calls = 4

// loop is one client: it answers each call with a text of its own, until the model is done. It counts how each of its
// requests went on.
func (c *cluster) loop(n int, resumed func(how string)) error {
	script := ""
	for i := range calls {
		script += fmt.Sprintf("sim: call look {\\\"at\\\":%d}\\n", i)
	}
	messages := fmt.Sprintf(`{"role":"user","content":"loop %d\n%ssim: text done {results}"}`, n, script)
	const tools = `"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]`
	var last string
	for step := range 20 * calls { // a run that is begun again makes its calls again
		answer, how, err := c.complete(`{"model":"composer-2.5","messages":[` + messages + `],` + tools + `}`)
		if err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
		resumed(how)
		var said completion
		if err := json.Unmarshal(answer, &said); err != nil || len(said.Choices) != 1 {
			return fmt.Errorf("step %d: %v: %s", step, err, answer)
		}
		message := said.Choices[0].Message
		if len(message.ToolCalls) == 0 {
			if !strings.Contains(message.Content, "done") || !strings.Contains(message.Content, last) {
				return fmt.Errorf("it ended with %q, and the last result was %q", message.Content, last)
			}
			return nil
		}
		var made []string
		var results []string
		for _, call := range message.ToolCalls {
			var id struct{ ID string }
			if err := json.Unmarshal(call, &id); err != nil {
				return err
			}
			last = fmt.Sprintf("result %d of loop %d", step, n)
			made = append(made, string(call))
			results = append(results, fmt.Sprintf(`{"role":"tool","tool_call_id":%q,"content":%q}`, id.ID, last))
		}
		messages += fmt.Sprintf(`,{"role":"assistant","content":%q,"tool_calls":[%s]},%s`, message.Content, strings.Join(made, ","), strings.Join(results, ","))
	}
	return fmt.Errorf("it did not end")
}

// TestToolLoopsOnThreeReplicas: with all replicas alive each loop is one upstream run, although nginx sends each request
// to another replica. With replicas that are killed, every loop still ends with the right answer.
func TestToolLoopsOnThreeReplicas(t *testing.T) {
	database := os.Getenv("COMPOSER_TEST_POSTGRES")
	if database == "" {
		t.Skip("no PostgreSQL; hint: scripts/postgres.sh with go test ./...")
	}
	loops := 30
	if n, err := strconv.Atoi(os.Getenv(loopsVariable)); err == nil {
		loops = n
	}
	c := newCluster(t, database, 3)
	var mu sync.Mutex // protects what follows
	how := map[string]int{}
	kill := make(chan struct{}, 1) // it is time for the next one
	resumed := func(resume string) {
		mu.Lock()
		defer mu.Unlock()
		if how[resume]++; resume == "parked" && how[resume]%loops == loops/2 {
			select {
			case kill <- struct{}{}:
			default: // one is on its way
			}
		}
	}
	run := func(from int) {
		var wg sync.WaitGroup
		for n := range loops {
			wg.Go(func() {
				if err := c.loop(from+n, resumed); err != nil {
					t.Errorf("loop %d: %v", from+n, err)
				}
			})
		}
		wg.Wait()
	}

	run(0)
	runs := len(c.sim.Runs())
	t.Logf("%d loops of %d calls each: %d upstream runs, requests went on as %v", loops, calls, runs, how)
	// A database that does not answer within two seconds, on a machine that is very busy, makes a loop begin again.
	if few := loops / 10; how["parked"] < loops*calls-few || runs > loops+few {
		t.Errorf("that are more runs than loops")
	}

	clear(how)
	select {
	case <-kill: // of the loops before
	default:
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(loops)
	}()
	// A replica is killed whenever as many results have found their run as there are loops: each time in the middle of all.
	kills := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-kill:
			i := kills % len(c.replicas)
			c.replicas[i].Kill()
			c.start(i)
			kills++
		}
	}
	if kills == 0 {
		t.Error("no replica was killed")
	}
	t.Logf("%d loops of %d calls each while replicas were killed %d times: requests went on as %v", loops, calls, kills, how)
	if v := c.sim.Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
}
