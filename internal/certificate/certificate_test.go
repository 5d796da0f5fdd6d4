package certificate_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"composer-api/internal/certificate"
	"composer-api/internal/certificate/certificatetest"
)

var began = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// write makes a certificate for a name, in two files that were changed at a time.
func write(t *testing.T, folder, name string, at time.Time) (cert, key string) {
	t.Helper()
	cert, key = certificatetest.Write(t, folder, &x509.Certificate{DNSNames: []string{name}, NotBefore: began, NotAfter: began.AddDate(1, 0, 0)})
	if err := errors.Join(os.Chtimes(cert, at, at), os.Chtimes(key, at, at)); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func put(t *testing.T, name string, data []byte, at time.Time) {
	t.Helper()
	if err := errors.Join(os.WriteFile(name, data, 0o600), os.Chtimes(name, at, at)); err != nil {
		t.Fatal(err)
	}
}

// A renewal takes effect without a restart, one that can't be used leaves the certificate before, and says so once.
func TestFilesAreReadAgain(t *testing.T) {
	folder, now := t.TempDir(), began
	var log bytes.Buffer
	cert, key := write(t, folder, "one.test", began)
	files, err := certificate.NewFiles(cert, key, slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	serves := func(want string) {
		t.Helper()
		got, err := files.Get(&tls.ClientHelloInfo{})
		if err != nil || got.Leaf.DNSNames[0] != want {
			t.Errorf("%v, %v; want %s", got.Leaf.DNSNames, err, want)
		}
	}
	serves("one.test")
	write(t, folder, "two.test", began.Add(time.Minute))
	serves("one.test") // the files are looked at once a second
	now = now.Add(time.Second)
	serves("two.test")

	// The certificate has come and the key hasn't yet, as when a program writes one after the other.
	old, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, folder, "three.test", began.Add(2*time.Minute))
	whole, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, key, old, began.Add(time.Minute))
	log.Reset()
	for range 3 {
		now = now.Add(time.Second)
		serves("two.test")
	}
	if said := log.String(); strings.Count(said, "can't be used") != 1 || strings.Contains(said, "BEGIN") {
		t.Errorf("the log says %s", said)
	}
	put(t, key, whole, began.Add(3*time.Minute))
	now = now.Add(time.Second)
	serves("three.test")
	// Away for a moment, and back.
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	serves("three.test")
}

func TestFilesThatAreWrongAreNamed(t *testing.T) {
	folder := t.TempDir()
	cert, key := write(t, folder, "one.test", began)
	for _, c := range [][3]string{{filepath.Join(folder, "none.pem"), key, "none.pem"}, {cert, filepath.Join(folder, "none.pem"), "key: "}, {key, cert, "cert.pem"}, {cert, cert, "cert.pem"}} {
		if _, err := certificate.NewFiles(c[0], c[1], slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%v", err)
		}
	}
}

func TestNothingIsKeptForANewName(t *testing.T) {
	acme := &certificate.ACME{Folder: t.TempDir()}
	if _, err := acme.Kept(t.Context(), "new.test"); !errors.Is(err, certificate.ErrNone) {
		t.Error(err)
	}
}

// nowhere is a network without a way to the authority.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no way") }

// Without a certificate nobody can connect, so the operator has to hear why: once, and not of what strangers ask for.
func TestACertificateThatCanNotBeHadIsTold(t *testing.T) {
	var said bytes.Buffer
	a := &certificate.ACME{Hosts: []string{"gateway.example"}, Directory: "https://authority.example/dir", Folder: t.TempDir(), HTTP: &http.Client{Transport: nowhere{}}}
	manager, err := a.New()
	if err != nil {
		t.Fatal(err)
	}
	get := a.Get(manager, slog.New(slog.NewTextHandler(&said, nil)))
	ask := func(name string) {
		t.Helper()
		if _, err := get(&tls.ClientHelloInfo{ServerName: name}); err == nil {
			t.Errorf("there is a certificate for %s", name)
		}
	}
	ask("stranger.example")
	if said.Len() > 0 {
		t.Errorf("of a stranger: %s", &said)
	}
	ask("gateway.example")
	ask("Gateway.Example.")
	if got := said.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "gateway.example") || !strings.Contains(got, "no way") {
		t.Errorf("it said %q", got)
	}
}

// The authority's question is found by its name, whatever port stands behind it; everything else is not for the manager.
func TestTheAuthoritysQuestionByHTTP(t *testing.T) {
	a := &certificate.ACME{Hosts: []string{"gateway.example"}, Folder: t.TempDir()}
	manager, err := a.New()
	if err != nil {
		t.Fatal(err)
	}
	rest := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the rest, of "+r.Host) })
	h := certificate.Plain(manager, rest)
	for url, want := range map[string]int{
		"http://gateway.example/.well-known/acme-challenge/x":    http.StatusNotFound, // nobody has asked for a certificate
		"http://gateway.example:80/.well-known/acme-challenge/x": http.StatusNotFound,
		"http://other.example/.well-known/acme-challenge/x":      http.StatusForbidden,
		"http://gateway.example:80/":                             http.StatusOK,
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))
		if rec.Code != want || want == http.StatusOK && rec.Body.String() != "the rest, of gateway.example:80" {
			t.Errorf("%s: status %d, want %d: %s", url, rec.Code, want, rec.Body)
		}
	}
}

// A certificate that has ended is served, and said when the server starts: clients alone would notice else.
func TestACertificateThatHasEndedIsWarnedOf(t *testing.T) {
	cert, key := write(t, t.TempDir(), "one.test", began)
	for year, warned := range map[int]bool{0: false, 2: true} {
		var log bytes.Buffer
		_, err := certificate.NewFiles(cert, key, slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return began.AddDate(year, 0, 0) })
		if err != nil || strings.Contains(log.String(), "the certificate has ended") != warned {
			t.Errorf("after %d years: %v, %q", year, err, &log)
		}
	}
}
