package cursorsim

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"
)

// Listeners are where a Sim is served. Serve closes them, unless it fails before it serves. At
// least one should be set: without any, Serve just waits for ctx.
type Listeners struct {
	// Plain takes HTTP/1.1 and HTTP/2 with prior knowledge; nil for none.
	Plain net.Listener
	// TLS takes HTTP/1.1 and HTTP/2 by ALPN, with a certificate made for 127.0.0.1, ::1 and localhost; nil for none.
	TLS net.Listener
	// CAFile is where the certificate of the authority that signed it is written, in PEM; "" for nowhere.
	CAFile string
}

// Serve serves until ctx ends, and then closes listeners and connections, streams in progress
// included. It returns nil when ctx ended it, and otherwise the error of the listener that failed
// first. It has closed everything and ended its goroutines when it returns.
func (s *Sim) Serve(ctx context.Context, l Listeners) error {
	server := s.server()
	defer server.Close()
	// Room for both, so that neither goroutine waits for a reader that has left.
	failed := make(chan error, 2)
	serving := 0
	if l.TLS != nil {
		// Before anything listens: a certificate that can't be written is an error of the start.
		certificate, ca, err := newCertificate()
		if err != nil {
			return err
		}
		if l.CAFile != "" {
			// Readable by all: it is public, and another user's gateway may be under test.
			if err := os.WriteFile(l.CAFile, ca, 0o644); err != nil {
				return err
			}
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		serving++
		go func() { failed <- server.ServeTLS(l.TLS, "", "") }()
	}
	if l.Plain != nil {
		serving++
		go func() { failed <- server.Serve(l.Plain) }()
	}
	var err error
	select {
	case err = <-failed:
		serving--
	case <-ctx.Done():
	}
	server.Close()
	// Each goroutine sends once, so this waits for the ends of all.
	for range serving {
		<-failed
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// server makes an HTTP server for the Sim that speaks HTTP/1.1 and HTTP/2, with and without
// TLS. The caller serves and closes it. It knows nothing of listeners and certificates.
func (s *Sim) server() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	// ReadHeaderTimeout bounds only the header. There is no ReadTimeout: the body of a stream stays open
	// as long as the run.
	return &http.Server{
		Handler: s, Protocols: protocols, ReadHeaderTimeout: 30 * time.Second,
		HTTP2: &http.HTTP2Config{
			// As many streams a connection as most servers allow, so that clients learn to open another one.
			MaxConcurrentStreams: 100,
			// HTTP/2's default, which most servers leave as it is. Go would take larger frames, so that clients would never
			// have to cut a long prompt.
			MaxReadFrameSize: 16 << 10,
		},
	}
}

// newCertificate makes an authority and a server certificate of it, valid for a week. The authority's
// key is forgotten, so nothing else can ever be signed with it. ca is what a client has to trust, in
// PEM.
//
// The certificate is made new in each process, so that there is no private key in the repository.
func newCertificate() (server tls.Certificate, ca []byte, err error) {
	now := time.Now()
	authority := &x509.Certificate{
		// An hour back: the clock of a client may be a little behind.
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Composer API simulator"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 7),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	// P-256, which every TLS client takes.
	caKey, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		return server, nil, err
	}
	caDER, err1 := x509.CreateCertificate(rand.Reader, authority, authority, &caKey.PublicKey, caKey)
	der, err2 := x509.CreateCertificate(rand.Reader, leaf, authority, &key.PublicKey, caKey)
	if err := errors.Join(err1, err2); err != nil {
		return server, nil, err
	}
	server = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return server, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), nil
}
