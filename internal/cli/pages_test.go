package cli_test

import (
	"bytes"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"composer-api/internal/cli"
)

// A browser keeps cookies and follows redirects.
type browser struct {
	http.Client
	url string
}

func newBrowser(t *testing.T, s *server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{http.Client{Jar: jar}, s.url}
}

func (b *browser) open(t *testing.T, method, path string, fields url.Values) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(fields.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.url)
	}
	resp, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, bodyOf(t, resp)
}

func TestAPersonUsesThePages(t *testing.T) {
	s, dir := simulated(t)
	b := newBrowser(t, s)
	if status, page := b.open(t, "GET", "/", nil); status != 200 || !strings.Contains(page, "Up, and ready") || !strings.Contains(page, s.url+"/v1") {
		t.Errorf("home: %d %s", status, page)
	}
	if status, page := b.open(t, "POST", "/check", url.Values{"key": {hostedCursorKey}}); status != 200 || !strings.Contains(page, "This key works") || strings.Contains(page, hostedCursorKey) {
		t.Errorf("check: %d %s", status, page)
	}
	status, page := b.open(t, "POST", "/keys/signup", url.Values{"key": {hostedCursorKey}})
	i := strings.Index(page, "cmp_")
	if status != 200 || i < 0 {
		t.Fatalf("sign-up: %d %s", status, page)
	}
	key := page[i : i+len("cmp_")+43]
	if status, body := s.postTo(t, "/v1/chat/completions", key, question); status != 200 {
		t.Errorf("a turn with the new key: %d %s", status, body)
	}
	if status, page := b.open(t, "GET", "/usage?days=1", nil); status != 200 || !strings.Contains(page, "POST /v1/chat/completions") {
		t.Errorf("usage: %d %s", status, page)
	}

	var stdout, stderr bytes.Buffer
	environ := []string{"COMPOSER_DB=" + filepath.Join(dir, "composer.db"), "HOME=" + dir}
	if code := cli.Main(t.Context(), []string{"admin", "token"}, environ, strings.NewReader(""), &stdout, &stderr); code != 0 || !strings.HasPrefix(stdout.String(), "cmpadmin_") || strings.Count(stdout.String(), "\n") != 1 {
		t.Fatalf("admin token: %d %q %s", code, stdout.String(), stderr.String())
	}
	token := strings.TrimSpace(stdout.String())
	if status, body := s.postTo(t, "/v1/chat/completions", directCursorKey, strings.Replace(question, "composer-2.5", "no-such-model", 1)); status != 404 {
		t.Errorf("a turn of a model that there is not: %d %s", status, body)
	}
	status, page = b.open(t, "POST", "/admin/login", url.Values{"token": {token}})
	for _, want := range []string{"Turns under way", "Parked runs", "Turns today", "acct_", "COMPOSER_KEY_MAX_COST", "404 model_not_found"} {
		if !strings.Contains(page, want) {
			t.Errorf("admin: %d, and no %q in %s", status, want, page)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "composer.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if data, err := os.ReadFile(file); err != nil || bytes.Contains(data, []byte(token)) || bytes.Contains(data, []byte(key)) {
			t.Errorf("%s holds a secret, or can't be read: %v", file, err)
		}
	}
}

func TestTheDemosPagesSayThatItIsOne(t *testing.T) {
	s := serve(t, nil, "--demo")
	b := newBrowser(t, s)
	if status, page := b.open(t, "GET", "/", nil); status != 200 || !strings.Contains(page, "The demo is up") || !strings.Contains(page, "composer-api upstream install") {
		t.Errorf("home: %d %s", status, page)
	}
	for path, want := range map[string]string{"/keys": "The demo makes no keys", "/usage": "Hosted keys are off in the demo", "/admin": "The demo keeps nothing"} {
		if status, page := b.open(t, "GET", path, nil); status != 200 || !strings.Contains(page, want) {
			t.Errorf("%s: %d %s", path, status, page)
		}
	}
}
