package replicas

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// cursorKey is the key of all clients that bring one of their own.
var cursorKey = "crsr_" + strings.Repeat("0", 60)

// A cluster is replicas on one database, behind nginx.
type cluster struct {
	t         *testing.T
	sim       *harness.Sim
	variables []string
	grace     string   // of each replica, as of newCluster
	addresses []string // of the replicas; a process that takes another's place has its address
	peers     []string // the same, for other replicas
	replicas  []*harness.Gateway
	url       string // of nginx
}

// newCluster starts everything. It is ended with the test. A replica that ends waits for the results of its runs for the time
// grace: for all of it, when a run's client has gone on elsewhere because the replica between them was killed.
func newCluster(t *testing.T, database string, size int, grace string) *cluster {
	t.Helper()
	c := &cluster{t: t, grace: grace, sim: harness.StartSim(t, "--calm"), variables: []string{
		"COMPOSER_DB=" + database, "ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_REPLICA_SECRET=correct horse battery staple",
		"COMPOSER_MAX_REPEATED_CALLS=0", // a run that is begun again makes its first call again
	}}
	for range size {
		c.addresses = append(c.addresses, harness.FreeAddress(t))
		c.peers = append(c.peers, harness.FreeAddress(t))
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
	c.replicas[i] = harness.StartReplica(c.t, c.sim, c.variables, "--addr="+c.addresses[i], "--replica-addr="+c.peers[i], "--grace="+c.grace)
}

// nginxConfig is a round robin. A replica that refuses connections is left out for a second; what one refuses that is about to
// end is sent to the next (docs/deployment.md).
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
			proxy_next_upstream error http_503 non_idempotent;
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

// request sends a request with a key. The caller closes the answer's body.
func (c *cluster) request(ctx context.Context, method, url, key, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+key)
	return http.DefaultClient.Do(req)
}

// ask sends a request and reads the whole answer.
func (c *cluster) ask(method, url, key, body string) (a answer) {
	resp, err := c.request(c.t.Context(), method, url, key, body)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(data), err}
}

// An answer is what came back. With an err the rest says nothing.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// ok reports whether it is what was asked for.
func (a answer) ok() bool { return a.err == nil && a.status == http.StatusOK }

// passes reports whether another try may do better, as SDKs see it.
func (a answer) passes() bool {
	return a.err != nil || a.status >= http.StatusInternalServerError || a.status == http.StatusTooManyRequests
}

// retries is how often a client sends a request again whose answer it did not get, as SDKs do; and pause is how long it waits.
const (
	retries = 20
	pause   = 200 * time.Millisecond
)

// insist asks nginx and tries again as an SDK does.
func (c *cluster) insist(method, path, key, body string) (a answer, tries int) {
	for tries = 1; ; tries++ {
		if a = c.ask(method, c.url+path, key, body); a.ok() || !a.passes() || tries > retries {
			return a, tries
		}
		c.wait(pause)
	}
}

// wait lets time pass, or the test's end come.
func (c *cluster) wait(d time.Duration) {
	select {
	case <-c.t.Context().Done():
	case <-time.After(d):
	}
}
