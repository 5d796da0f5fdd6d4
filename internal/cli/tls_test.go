package cli_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"composer-api/internal/certificate/certificatetest"
	"composer-api/internal/cli"
)

// certificateFor makes a certificate of its own for the loopback, good for so long, in two files.
func certificateFor(t *testing.T, good time.Duration) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	cert, key = certificatetest.Write(t, t.TempDir(), &x509.Certificate{
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(good), BasicConstraintsValid: true, IsCA: true,
	})
	data, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		t.Fatal("the certificate can't be read")
	}
	return cert, key, roots
}

// TestTheServerSpeaksTLSItself: HTTP/2 and HTTP/1.1, nothing older than TLS 1.2, and a second address that sends browsers here.
func TestTheServerSpeaksTLSItself(t *testing.T) {
	cert, key, roots := certificateFor(t, 24*time.Hour)
	plain, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	httpAddr := plain.Addr().String()
	plain.Close()
	s := serve(t, []string{"COMPOSER_TLS_CERT=" + cert, "COMPOSER_TLS_KEY=" + key, "COMPOSER_HTTP_ADDR=" + httpAddr}, "--demo")
	if !strings.HasPrefix(s.url, "https://") || !strings.Contains(s.line, "base URL  https://") {
		t.Errorf("it said %s", s.line)
	}
	for version, want := range map[uint16]string{tls.VersionTLS11: "", tls.VersionTLS12: "HTTP/2.0", tls.VersionTLS13: "HTTP/2.0"} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: version, MaxVersion: version}, ForceAttemptHTTP2: true}
		got := ask(t, transport, s.url+"/healthz")
		if got.proto != want || want != "" && got.status != http.StatusOK {
			t.Errorf("%s: %+v, want %s", tls.VersionName(version), got, want)
		}
		transport.CloseIdleConnections()
	}
	old := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}}}
	defer old.CloseIdleConnections()
	if got := ask(t, old, s.url+"/healthz"); got.proto != "HTTP/1.1" || got.status != http.StatusOK {
		t.Errorf("HTTP/1.1: %+v", got)
	}
	browser := &http.Transport{DisableKeepAlives: true}
	if got := ask(t, browser, "http://"+httpAddr+"/docs?x=1"); got.status != http.StatusFound || got.location != "https://127.0.0.1/docs?x=1" {
		t.Errorf("plain HTTP: %+v", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+httpAddr+"/v1/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer crsr_in_the_clear")
	resp, err := browser.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a key in the clear: %s", resp.Status)
	}
}

// An asked is an answer as far as these tests look at it; zero when there was none.
type asked struct {
	status          int
	proto, location string
}

func ask(t *testing.T, by *http.Transport, url string) asked {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := by.RoundTrip(req)
	if err != nil {
		return asked{}
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return asked{resp.StatusCode, resp.Proto, resp.Header.Get("Location")}
}

// TestTheDoctorLooksAtTheCertificate: its end, its names, and files that are no certificate.
func TestTheDoctorLooksAtTheCertificate(t *testing.T) {
	good, goodKey, _ := certificateFor(t, 90*24*time.Hour)
	late, lateKey, _ := certificateFor(t, 24*time.Hour)
	over, overKey, _ := certificateFor(t, -time.Minute)
	kept := t.TempDir() // as an authority's certificates are kept
	if data, err := os.ReadFile(over); err != nil || os.WriteFile(filepath.Join(kept, "gateway.example"), data, 0o600) != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ []string
		want    string
	}{
		"good":       {[]string{"COMPOSER_TLS_CERT=" + good, "COMPOSER_TLS_KEY=" + goodKey, "COMPOSER_PUBLIC_URL=https://localhost:8787"}, "is good until"},
		"ends soon":  {[]string{"COMPOSER_TLS_CERT=" + late, "COMPOSER_TLS_KEY=" + lateKey}, "ends on"},
		"has ended":  {[]string{"COMPOSER_TLS_CERT=" + over, "COMPOSER_TLS_KEY=" + overKey}, "has ended"},
		"other name": {[]string{"COMPOSER_TLS_CERT=" + good, "COMPOSER_TLS_KEY=" + goodKey, "COMPOSER_PUBLIC_URL=https://gateway.example"}, "is not for gateway.example"},
		"no file":    {[]string{"COMPOSER_TLS_CERT=none.pem", "COMPOSER_TLS_KEY=none.pem"}, "none.pem"},
		"asked for":  {[]string{"COMPOSER_ACME_HOSTS=gateway.example", "COMPOSER_ACME_CACHE=" + kept}, "the server renews it when the next client comes"},
		"not yet":    {[]string{"COMPOSER_ACME_HOSTS=gateway.example"}, "no certificate for gateway.example yet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			var out bytes.Buffer
			environ := append(c.environ, "HOME="+t.TempDir(), "CURSOR_API_BASE=http://127.0.0.1:1", "PATH=")
			cli.Main(t.Context(), []string{"doctor"}, environ, strings.NewReader(""), &out, &out)
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("it does not say %q:\n%s", c.want, &out)
			}
		})
	}
}

// TestCommandsFindAServerWithTLS: by the note that it leaves, or by its settings when it doesn't run. Clients are given the
// name of its certificate.
func TestCommandsFindAServerWithTLS(t *testing.T) {
	cert, key := certificatetest.Write(t, t.TempDir(), &x509.Certificate{
		DNSNames: []string{"*.ai.test", "ai.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true, IsCA: true,
	})
	exports, state, home := sim(t, "--calm"), t.TempDir(), t.TempDir()
	secure := []string{"COMPOSER_TLS_CERT=" + cert, "COMPOSER_TLS_KEY=" + key}
	mine := []string{"XDG_STATE_HOME=" + state, "HOME=" + home, "PATH="}
	s := serve(t, append(append([]string{
		"CURSOR_API_KEY=crsr_good", "CURSOR_API_BASE=" + exports["CURSOR_API_BASE"], "CURSOR_BACKEND_BASE_URL=" + exports["CURSOR_BACKEND_BASE_URL"],
		"CURSOR_LOCAL_AGENT_ENDPOINT=" + exports["CURSOR_LOCAL_AGENT_ENDPOINT"],
	}, mine...), secure...))
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	root := "https://ai.test:" + port
	run := func(environ []string, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := cli.Main(t.Context(), args, environ, strings.NewReader(""), &out, &out); code != 0 {
			t.Errorf("%v: code %d", args, code)
		}
		return out.String()
	}
	want := func(said, want string) {
		t.Helper()
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	want(s.line, "base URL  "+root+"/v1")
	want(run(mine, "status"), " on "+root+", up for ")
	// The address that it listens on, without https://, is that of the same server.
	want(run(mine, "status", "--addr", "localhost:"+port), " on "+root+", up for ")
	said := run(mine, "setup", "opencode", "--yes")
	want(said, `"baseURL": "`+root+`/v1"`)
	want(said, `"apiKey": "composer-…"`)
	want(said, "warning: clients will refuse the certificate of "+root) // nobody has signed it
	want(run(mine, "setup", "list"), "set up")

	s.stop()
	<-s.exit
	s.exit = nil
	if _, err := os.Stat(filepath.Join(state, "composer-api", "gateway.json")); err == nil {
		t.Error("the note is still there")
	}
	// The port is that of a server which is to be started.
	said = run(append(append(mine, secure...), "COMPOSER_ADDR=0.0.0.0:1"), "setup", "codex", "--dry-run")
	want(said, "no gateway answers at https://ai.test:1")
	want(said, `base_url = "https://ai.test:1/v1"`)
}
