// Package certificate has the server's TLS certificate: from files, which are read again when they change, or from a
// certificate authority that speaks ACME.
//
//	files   every handshake looks whether they have changed, once a second at most; what can't be read leaves the old one
//	ACME    golang.org/x/crypto/acme/autocert: asked for at the first handshake, kept in a folder, renewed before its end
//
// Neither starts a goroutine of its own. Config is for a listener, before the HTTP server.
package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Config is what clients are spoken to with: at least TLS 1.2, which the oldest supported systems know, and HTTP/2.
func Config(of func(*tls.ClientHelloInfo) (*tls.Certificate, error), more ...string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: of, NextProtos: append([]string{"h2", "http/1.1"}, more...)}
}

// Files is a certificate and its key in two PEM files. It is safe for concurrent use.
type Files struct {
	// cert and key are the paths of the files.
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	mu     sync.Mutex // protects what follows
	loaded *tls.Certificate
	of     [2]stamp // what the files were like when they were last read, whatever came of it
	// looked is when the files were last looked at.
	looked time.Time
}

// A stamp tells whether a file is another one than before.
type stamp struct {
	// Both are as the file system says. A file that is written again with the same size in the same moment is missed.
	size    int64
	changed time.Time
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// NewFiles reads the files. log is told of changes; now nil means time.Now. An error says which file is wrong, and holds
// nothing of the key.
func NewFiles(cert, key string, log *slog.Logger, now func() time.Time) (*Files, error) {
	if now == nil {
		now = time.Now
	}
	f := &Files{cert: cert, key: key, log: log, now: now}
	loaded, err := Read(cert, key)
	if err != nil {
		return nil, err
	}
	f.loaded, f.of, f.looked = loaded, f.stamps(), now()
	f.warnOfEnd()
	return f, nil
}

// warnOfEnd warns of a certificate that has ended. It is used all the same: the next one may come at any time, and a server that
// ends helps nobody.
func (f *Files) warnOfEnd() {
	if end := f.loaded.Leaf.NotAfter; end.Before(f.now()) {
		f.log.Warn("the certificate has ended: clients refuse it until it is renewed", "file", f.cert, "end", end)
	}
}

// Get is for tls.Config.GetCertificate. It never fails.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if now.Sub(f.looked) < lookEvery {
		return f.loaded, nil
	}
	f.looked = now
	// A file that is being written looks different again afterwards, and is read again then.
	if of := f.stamps(); of != f.of {
		f.of = of
		loaded, err := Read(f.cert, f.key)
		if err != nil {
			f.log.Warn("the new certificate can't be used; the one before stays", "err", err)
			return f.loaded, nil
		}
		f.loaded = loaded
		f.log.Info("the certificate was read again", "until", loaded.Leaf.NotAfter)
		f.warnOfEnd()
	}
	return f.loaded, nil
}

// stamps are those of both files; a file that isn't there has none. os.Stat follows links, which renewals change.
func (f *Files) stamps() (of [2]stamp) {
	for i, name := range []string{f.cert, f.key} {
		if info, err := os.Stat(name); err == nil {
			of[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return of
}

// Read reads a certificate, with those that vouch for it behind it, and its key.
func Read(cert, key string) (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(cert)
	if err != nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(key)
	if err != nil {
		return nil, fmt.Errorf("the certificate's key: %w", err)
	}
	// It also finds a key that is not the certificate's.
	loaded, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s and the key %s: %w", cert, key, err)
	}
	return &loaded, nil
}

// ACME is how certificates are asked for.
type ACME struct {
	// Hosts are the names that certificates are for; others are refused.
	Hosts []string
	// Email is what the authority may write to; may be empty.
	Email string
	// Directory is the authority's address; "" is Let's Encrypt.
	Directory string
	// Folder is where account and certificates are kept.
	Folder string
	// HTTP asks the authority; nil means http.DefaultClient.
	HTTP *http.Client
}

// New makes a manager of certificates. The authority is asked at the first handshake for each name. It checks the name by a
// handshake on port 443 (tls-alpn-01) or, where Plain is served there, by a request on port 80 (http-01).
func (a *ACME) New() (*autocert.Manager, error) {
	// For this user alone: the keys of the certificates lie in it.
	if err := os.MkdirAll(a.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("the folder for certificates: %w", err)
	}
	return &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(a.Folder), HostPolicy: autocert.HostWhitelist(a.Hosts...), Email: a.Email,
		Client: &acme.Client{DirectoryURL: a.Directory, HTTPClient: a.HTTP},
	}, nil
}

// Plain answers the authority's questions by HTTP (http-01), and gives everything else to rest. Whoever calls it serves what it
// returns at port 80 of all hosts: the manager counts on it.
func Plain(m *autocert.Manager, rest http.Handler) http.Handler {
	questions := m.HTTPHandler(rest)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The manager compares the name with those that it has certificates for, and a port is no part of a name.
		if name, _, err := net.SplitHostPort(r.Host); err == nil && strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
			r = r.Clone(r.Context())
			r.Host = name
		}
		questions.ServeHTTP(w, r)
	})
}

// tellEvery is how often a failure is told, at most: the manager remembers one for a minute, and each client meets it.
const tellEvery = time.Minute

// Get is GetCertificate of a manager that New has made, and tells log why there is none. What strangers ask for isn't told.
func (a *ACME) Get(m *autocert.Manager, log *slog.Logger) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	var mu sync.Mutex
	var told time.Time
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		// It waits for the authority, without mu, so the handshakes for other names go on.
		loaded, err := m.GetCertificate(hello)
		if err == nil || !slices.Contains(a.Hosts, strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))) {
			return loaded, err
		}
		mu.Lock()
		defer mu.Unlock()
		if time.Since(told) >= tellEvery {
			told = time.Now()
			log.Error("no certificate could be had, so clients can't connect", "for", hello.ServerName, "err", err)
		}
		return nil, err
	}
}

// ErrNone: there is no certificate for the name yet.
var ErrNone = errors.New("there is no certificate yet")

// Kept reads what New's manager keeps for a name, for whoever looks from outside.
func (a *ACME) Kept(ctx context.Context, host string) (*x509.Certificate, error) {
	// By its own cache, so that names of files are its business.
	data, err := autocert.DirCache(a.Folder).Get(ctx, host)
	if errors.Is(err, autocert.ErrCacheMiss) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	return leaf(data)
}

// leaf is the first certificate in a PEM file that may begin with a key.
func leaf(data []byte) (*x509.Certificate, error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errors.New("the file holds no certificate")
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
}
