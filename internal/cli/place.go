package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"composer-api/internal/certificate"
	"composer-api/internal/config"
	"composer-api/internal/running"
)

// Where a gateway is: what serve tells of itself, and how the other commands find it.

// gatewayFlags say where the gateway is that is asked, or that clients are set up for.
//
// No command that has them starts a gateway: it asks the one that runs there, if there is one.
type gatewayFlags struct {
	Addr config.Root `var:"COMPOSER_ADDR" placeholder:"ADDRESS" help:"Where the gateway is: HOST:PORT, or a whole URL such as https://ai.example/composer (default: where yours runs, or else 127.0.0.1:8787)."`
}

// A place is where a gateway is, and how this machine gets there.
// It is looked for again by each command, and by 'status --watch' for each question: a gateway may be started again meanwhile.
type place struct {
	root string // what clients' base URLs begin with, without /v1
	// here says that it is on this machine, so that the local token means something to it.
	here bool
	// note is what a gateway that runs here has told of itself; zero for one that doesn't, or that is elsewhere.
	note running.Gateway
}

// place finds the gateway that is meant. The first of these that fits counts:
//
//  1. the one that runs here, if its address was given or none was
//  2. the address that was given, if it isn't that of the settings
//  3. the one that serve would start with the settings that are here
func (f *gatewayFlags) place(ctx context.Context, p *process) place {
	// A note may be left over from a crash, so it counts only while somebody listens at its address.
	if dir, err := p.env.StateDir(); err == nil {
		if note, err := running.Read(dir); err == nil && f.means(&note) && note.Listens(ctx) {
			return place{root: note.Root, here: true, note: note}
		}
	}
	// Settings that can't be used are serve's to complain of.
	if cfg, err := settingsOfServe(p); err == nil && (f.Addr == "" || f.Addr == config.RootOf(cfg.Addr)) {
		root := clientRoot(cfg, string(cfg.Addr))
		return place{root: string(root), here: cfg.TLS.On() || root.Local()}
	}
	root := f.Addr
	if root == "" {
		root = "http://127.0.0.1:8787" // serve's own default
	}
	return place{root: string(root), here: root.Local()}
}

// means reports whether the address that was given leads to the gateway of the note. Without an address any gateway is meant. Of
// a loopback address the port alone counts: 127.0.0.1 and localhost are the same machine.
func (f *gatewayFlags) means(note *running.Gateway) bool {
	if f.Addr == "" || string(f.Addr) == note.Root {
		return true
	}
	given, err := url.Parse(string(f.Addr))
	if err != nil {
		return false
	}
	// By host and port alone: the scheme and a path don't change which process is meant.
	if given.Host == note.Address {
		return true
	}
	_, port, _ := net.SplitHostPort(note.Address)
	return config.Root("http://"+note.Address).Local() && f.Addr.Local() && given.Port() == port
}

// settingsOfServe are the settings that serve would have here, without flags. Only --addr is unknown: serve may have been given
// one.
func settingsOfServe(p *process) (*config.Config, error) {
	parser, cfg, err := serveParser(p.env)
	if err != nil {
		return nil, err
	}
	_, err = parser.Parse([]string{"serve"})
	return cfg, err
}

// serveParser is a parser of serve's flags alone, with the variables of env, so that its rules and defaults are serve's own. What
// it parses is in the Config.
func serveParser(env *config.Env) (*kong.Kong, *config.Config, error) {
	var line struct {
		Serve serveCmd `cmd:""`
	}
	parser, err := kong.New(&line, kong.Name("composer-api"), kong.NoDefaultHelp(), config.Durations(), kong.Resolvers(env))
	return parser, &line.Serve.Config, err
}

// client is an HTTP client for requests to the gateway. caFile names authorities besides the system's; a gateway that runs here
// is asked at its own address, and trusted by the certificate that lies in its file.
func (pl *place) client(caFile string) (*http.Client, error) {
	client, err := newHTTPClient(caFile)
	if err != nil || pl.note == (running.Gateway{}) {
		return client, err
	}
	// Whatever name the URL has, the connection goes to the address in the note. The certificate is still checked against the name.
	transport := client.Transport.(*http.Transport)
	transport.Proxy = nil // it is this machine
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, pl.note.Address)
	}
	// A certificate that can't be read is no error here: the handshake will say more than the file does.
	if pem, err := os.ReadFile(pl.note.Certificate); err == nil {
		roots := transport.TLSClientConfig.RootCAs
		if roots == nil {
			if roots, err = x509.SystemCertPool(); err != nil {
				roots = x509.NewCertPool()
			}
		}
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig.RootCAs = roots
	}
	return client, nil
}

// warnOfCertificate tells the person that clients will refuse the certificate of a gateway that runs here, if they will.
func (pl *place) warnOfCertificate(ctx context.Context, p *process, caFile string) error {
	u, err := url.Parse(pl.root)
	if err != nil || u.Scheme != "https" || pl.note.Address == "" {
		return nil
	}
	// With the authorities that the person has named, but without the gateway's own file, which client trusts: clients have not got it.
	roots, err := rootCAs(caFile)
	if err != nil {
		return err
	}
	// A warning is not worth a longer wait.
	const patience = 5 * time.Second
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: &tls.Config{RootCAs: roots, ServerName: u.Hostname()}}
	conn, err := dialer.DialContext(ctx, "tcp", pl.note.Address)
	if err == nil {
		return conn.Close()
	}
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) {
		fmt.Fprintf(p.stderr, "composer-api: warning: clients will refuse the certificate of %s: %v\nhint: name the file of its authority, with NODE_EXTRA_CA_CERTS=FILE for clients on Node and SSL_CERT_FILE=FILE for most others\n", pl.root, refused.Err)
	}
	return nil
}

// clientRoot is what the base URLs of clients begin with, for a server that listens on addr (HOST:PORT): with TLS of its own
// https:// and a name of its certificate, as far as one is known.
func clientRoot(cfg *config.Config, addr string) config.Root {
	plain := config.RootOf(config.Address(addr))
	if !cfg.TLS.On() {
		return plain
	}
	host := strings.TrimPrefix(string(plain), "http://")
	// Without a known name the address stays. Clients will then refuse the certificate, and warnOfCertificate says so.
	name, port := certifiedName(cfg), ""
	if _, p, err := net.SplitHostPort(host); err == nil {
		port = p
	}
	if name != "" {
		if host = name; port != "443" {
			host = net.JoinHostPort(name, port)
		}
	}
	return config.Root("https://" + host)
}

// certifiedName is a name that the server's certificate is for: the first of those in the settings, that of the public URL before
// the others, or else the first in the certificate's file. "" when none is known.
func certifiedName(cfg *config.Config) string {
	var names []string
	if u, err := url.Parse(string(cfg.PublicURL)); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}
	var leaf *x509.Certificate
	if cfg.TLSCert != "" {
		read, err := certificate.Read(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return "" // serve says what is wrong with it
		}
		leaf = read.Leaf
	}
	// With a file, a name counts only if the certificate in it is for that name. With ACME all names are taken at their word.
	names = append(append(names, cfg.ACMEHosts...), cfg.Hosts...)
	if leaf != nil {
		names = append(names, leaf.DNSNames...)
	}
	for _, name := range names {
		if !strings.Contains(name, "*") && (leaf == nil || leaf.VerifyHostname(name) == nil) {
			return name
		}
	}
	return ""
}

// hostNames are the names that the server may be asked by, beside those of this machine: those of the settings, and the one of
// its certificate that clients are told. A web page elsewhere can't use that one by DNS rebinding: it has no such certificate.
func hostNames(cfg *config.Config) []string {
	names := cfg.Names()
	if name := certifiedName(cfg); cfg.TLS.On() && name != "" {
		names = append(names, strings.ToLower(name))
	}
	return names
}

// leaveNote tells the other commands of this user where the server runs, until forget. Without a state folder nobody is told.
func (c *serveCmd) leaveNote(p *process, addr net.Addr, warn func(error)) (forget func()) {
	dir, err := p.env.StateDir()
	if err != nil || c.Demo {
		return func() {}
	}
	// The demo leaves no note: it would lead 'setup' to write a demo's address into clients.
	note := running.Gateway{Root: string(clientRoot(&c.Config, addr.String())), Address: reachedAt(addr)}
	if c.TLSCert != "" {
		// The commands are run in other folders.
		if note.Certificate, err = filepath.Abs(c.TLSCert); err != nil {
			note.Certificate = c.TLSCert
		}
	}
	// Serving goes on without the note; the other commands then use the settings.
	if err := running.Write(dir, note); err != nil {
		warn(err)
		return func() {}
	}
	return func() {
		if err := running.Remove(dir, note); err != nil && !errors.Is(err, os.ErrNotExist) {
			warn(err)
		}
	}
}
