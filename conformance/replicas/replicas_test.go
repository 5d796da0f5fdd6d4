// Package replicas runs several gateway processes on one PostgreSQL.
package replicas

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// A signedUp is what a sign-up answers.
type signedUp struct {
	Account struct{ ID string }
	APIKey  string
}

// post sends a request and returns the status and the body of the answer.
func post(t *testing.T, url, key, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-Affinity", "one session")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(answer)
}

// signUp signs up, and tries again while the gateway says that its database takes too long: fifty at once may, on a
// machine that is busy.
func signUp(t *testing.T, gateway *harness.Gateway, cursorKey string) (up signedUp) {
	t.Helper()
	var status int
	var body string
	for try := 0; try < 100 && (try == 0 || status == http.StatusServiceUnavailable); try++ {
		status, body = post(t, gateway.URL+"/api/signup", "", `{"cursorApiKey":"`+cursorKey+`"}`)
	}
	if err := json.Unmarshal([]byte(body), &up); err != nil || status != http.StatusOK || up.APIKey == "" {
		t.Errorf("sign-up: status %d: %s", status, body)
	}
	return up
}

const (
	hello = `{"model":"composer-2.5","messages":[{"role":"user","content":"hello"}]}`
	// A conversation whose first turn only one replica has seen.
	begin = `{"model":"composer-2.5","messages":[{"role":"user","content":"begin"}]}`
	goOn  = `{"model":"composer-2.5","messages":[{"role":"user","content":"begin"},{"role":"assistant","content":"Well."},{"role":"user","content":"go on"}]}`
)

// TestTwoProcessesOnOnePostgreSQLAreOneService: a key made by one works on the other, a session goes on there, fifty
// sign-ups of one user at once leave one account, and a key that is revoked is revoked everywhere.
func TestTwoProcessesOnOnePostgreSQLAreOneService(t *testing.T) {
	database := os.Getenv("COMPOSER_TEST_POSTGRES")
	if database == "" {
		if os.Getenv("COMPOSER_TEST_REQUIRE_POSTGRES") != "" {
			t.Fatal("COMPOSER_TEST_POSTGRES is not set; hint: scripts/postgres.sh with go test ./...")
		}
		t.Skip("no PostgreSQL; hint: scripts/postgres.sh with go test ./...")
	}
	sim := harness.StartSim(t, "--calm")
	sim.Play("turn always\ntext Well.")
	variables := []string{"COMPOSER_DB=" + database, "ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_SIGNUP_LIMIT=0"}
	gateways := []*harness.Gateway{harness.StartReplica(t, sim, variables), harness.StartReplica(t, sim, variables)}

	cursorKey := "crsr_" + rand.Text() // another user for each run, because the database may be older
	users := make([]signedUp, 50)
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() { users[i] = signUp(t, gateways[i%2], cursorKey) })
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	account := users[0].Account.ID
	for _, u := range users {
		if u.Account.ID != account {
			t.Errorf("accounts %s and %s for one user", account, u.Account.ID)
		}
		for _, g := range gateways {
			if status, body := post(t, g.URL+"/u/"+account+"/v1/chat/completions", u.APIKey, hello); status != http.StatusOK {
				t.Fatalf("status %d: %s", status, body)
			}
		}
	}
	if listed := harness.Operate(t, variables, "accounts", "list"); strings.Count(listed, account) != 1 {
		t.Errorf("the account is not listed once:\n%s", listed)
	}

	before := len(sim.Runs())
	for i, body := range []string{begin, goOn} {
		if status, answer := post(t, gateways[i].URL+"/opencodev2/v1/chat/completions", users[0].APIKey, body); status != http.StatusOK {
			t.Fatalf("status %d: %s", status, answer)
		}
	}
	if runs := sim.Runs()[before:]; len(runs) != 2 || runs[0].ConversationID != runs[1].ConversationID {
		t.Errorf("the session did not go on on the other replica: %s", harness.Summary(runs))
	}

	last := signUp(t, gateways[0], cursorKey)
	newest := strings.Fields(strings.SplitN(harness.Operate(t, variables, "keys", "list", "--account", account), "\n", 3)[1])[0]
	harness.Operate(t, variables, "keys", "revoke", newest)
	for i, g := range gateways {
		if status, body := post(t, g.BaseURL()+"/chat/completions", last.APIKey, hello); status != http.StatusUnauthorized {
			t.Errorf("replica %d takes a revoked key: status %d: %s", i, status, body)
		}
		if status, body := post(t, g.BaseURL()+"/chat/completions", users[1].APIKey, hello); status != http.StatusOK {
			t.Errorf("replica %d no longer takes a good one: status %d: %s", i, status, body)
		}
	}
	if v := sim.Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
}
