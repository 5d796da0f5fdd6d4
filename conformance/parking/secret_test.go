package parking

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

// TestAKeyReachesNeitherTheDatabaseNorTheLog sends every kind of traffic with a key of the user's own, and looks for the
// key in whatever the gateway wrote. What was said must not be there either, unless the client asked to have it stored.
func TestAKeyReachesNeitherTheDatabaseNorTheLog(t *testing.T) {
	t.Parallel()
	const key, said = "crsr_conformance_secret_4711", "A sentence nobody else may read."
	sim := harness.StartSim(t)
	sim.Play("turn when tools\ncall look {}\ntext {result 1}\nturn always\ntext Well.")
	folder := t.TempDir()
	gateway := harness.StartGatewayOn(t, sim, filepath.Join(folder, "composer.db"), "--log=debug")

	c := newChat(t, gateway).user(said)
	c.key = key
	asked := c.send()
	c.result(asked.Calls[0].ID, said).send()
	c.user("And then? " + said).send()
	wrong := c.fork()
	wrong.key = "crsr_bad_" + key
	wrong.try()
	post(t, gateway.BaseURL()+"/responses", key, `{"model":"composer-2.5","store":false,"input":"`+said+`"}`)
	post(t, gateway.BaseURL()+"/responses", key, `{"model":"composer-2.5","input":"This may be stored."}`)
	post(t, gateway.BaseURL()+"/responses", key, `{"model":"composer-2.5","input":"`+said+`","previous_response_id":"resp_unknown"}`)
	gateway.Kill() // so that the write-ahead log is still there

	written := filesBelow(t, folder)
	written["the log"] = []byte(gateway.Output())
	holds := func(text string) (names []string) {
		for name, data := range written {
			if bytes.Contains(data, []byte(text)) {
				names = append(names, name)
			}
		}
		return names
	}
	for _, secret := range []string{key, said} {
		if names := holds(secret); names != nil {
			t.Errorf("%q is in %s", secret, names)
		}
	}
	if holds("This may be stored.") == nil {
		t.Error("what may be stored isn't found either, so the search proves nothing")
	}
}

func post(t *testing.T, url, key, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// filesBelow reads every file, of which there must be one at least.
func filesBelow(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		found[entry.Name()], err = os.ReadFile(name)
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("%d files (%v)", len(found), err)
	}
	return found
}
