package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"golang.org/x/crypto/acme"

	"composer-api/internal/certificate"
	"composer-api/internal/config"
	"composer-api/internal/doctor"
)

// The server's own TLS: which certificate, and the second listener that sends browsers there.

// A tlsSetup is how the server speaks TLS.
type tlsSetup struct {
	// config is what the main listener is wrapped with.
	config *tls.Config
	// plain answers what comes to the listener for plain HTTP; it may be nil when there is none.
	plain http.Handler
}

// newTLS is how the server speaks TLS; nil when it doesn't. Files that can't be read are an error now, and an authority that
// can't be reached is one at the first handshake.
func (c *serveCmd) newTLS(p *process, log *slog.Logger) (*tlsSetup, error) {
	switch {
	case !c.TLS.On():
		return nil, nil
	// A file is read again when it changes (package certificate), so a renewed certificate needs no restart.
	case c.TLSCert != "":
		files, err := certificate.NewFiles(c.TLSCert, c.TLSKey, log, nil)
		if err != nil {
			return nil, &hinted{err, "COMPOSER_TLS_CERT is a certificate as PEM, those that vouch for it behind it, and COMPOSER_TLS_KEY its key"}
		}
		return &tlsSetup{certificate.Config(files.Get), http.HandlerFunc(toTLS)}, nil
	}
	// Neither off nor a file: an ACME authority is asked for certificates.
	asked, err := acmeOf(p, &c.TLS)
	if err != nil {
		return nil, err
	}
	if asked.HTTP, err = newHTTPClient(c.CAFile); err != nil {
		return nil, err
	}
	manager, err := asked.New()
	if err != nil {
		return nil, &hinted{err, "choose another folder with --acme-cache or COMPOSER_ACME_CACHE"}
	}
	setup := &tlsSetup{config: certificate.Config(asked.Get(manager, log), acme.ALPNProto)}
	// Only where there is a listener for it: else each attempt would be made a second time in vain, and authorities count those.
	if c.HTTPAddr != "" {
		setup.plain = certificate.Plain(manager, http.HandlerFunc(toTLS))
	}
	return setup, nil
}

// acmeOf is how certificates are asked for, and where they are kept.
func acmeOf(p *process, t *config.TLS) (*certificate.ACME, error) {
	folder := t.ACMECache
	if folder == "" {
		state, err := p.env.StateDir()
		if err != nil {
			return nil, &hinted{err, "choose a folder for certificates with COMPOSER_ACME_CACHE"}
		}
		folder = filepath.Join(state, "acme")
	}
	return &certificate.ACME{Hosts: t.ACMEHosts, Email: t.ACMEEmail, Directory: string(t.ACMEDirectory), Folder: folder}, nil
}

// listenPlain opens the listener for plain HTTP; nil when there is none. The caller closes it.
func (c *serveCmd) listenPlain(ctx context.Context) (net.Listener, error) {
	if c.HTTPAddr == "" {
		return nil, nil
	}
	return listenTCP(ctx, string(c.HTTPAddr), "choose another address with --http-addr or COMPOSER_HTTP_ADDR, or leave it out")
}

// newPlainServer serves what comes to it. The caller closes it.
func newPlainServer(h http.Handler, log *slog.Logger) *http.Server {
	// Nothing here takes longer: a redirect, or an authority's check, both without a body.
	const patience = 10 * time.Second
	return &http.Server{
		Handler: h, ReadTimeout: patience, WriteTimeout: patience, IdleTimeout: patience, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// toTLS sends a browser to the same address over TLS. A program that has sent a key in the clear is told so and not sent on,
// for the key has been read on the way.
func toTLS(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Authorization") != "" {
		http.Error(w, "This address is for https:// only.", http.StatusBadRequest)
		return
	}
	// The name is the client's own: it asked for this host, so it is sent to no other place.
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	// The port is left out, so the browser goes to 443, where https:// is expected. A server elsewhere is reached by its whole URL.
	w.Header().Set("Connection", "close")
	http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusFound)
}

// certificatesOf fills in the certificates that the doctor looks at.
func certificatesOf(p *process, cfg *config.Config, s *doctor.Subject) error {
	if cfg.TLSCert != "" {
		of := doctor.Certificate{Setting: "COMPOSER_TLS_CERT", Read: func(context.Context) (*x509.Certificate, error) {
			read, err := certificate.Read(cfg.TLSCert, cfg.TLSKey)
			if err != nil {
				return nil, err
			}
			return read.Leaf, nil
		}}
		// Other names of the server are those of proxies; this one is told to clients.
		if u, err := url.Parse(string(cfg.PublicURL)); err == nil {
			of.Name = u.Hostname()
		}
		s.Certificates = append(s.Certificates, of)
	}
	for _, host := range cfg.ACMEHosts {
		// Each host has a certificate of its own.
		asked, err := acmeOf(p, &cfg.TLS)
		if err != nil {
			return err
		}
		s.Certificates = append(s.Certificates, doctor.Certificate{Setting: "COMPOSER_ACME_CACHE", Name: host, Asked: true, Read: func(ctx context.Context) (*x509.Certificate, error) {
			// The doctor asks no authority: it looks at what is kept. No certificate yet is no error before the first handshake.
			leaf, err := asked.Kept(ctx, host)
			if errors.Is(err, certificate.ErrNone) {
				return nil, nil
			}
			return leaf, err
		}})
	}
	return nil
}
