package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"time"
)

// soon is how long before its end a certificate is told of.
const soon = 7 * 24 * time.Hour

// secured asks each address for an answer, over TLS where the address has it, as the gateway does.
func secured(ctx context.Context, s *Subject, r *report) {
	for _, t := range s.targets() {
		// With the gateway's authorities and clock, and both HTTP/1.1 and HTTP/2: which one it is comes later.
		began := time.Now()
		resp, err := ask(ctx, s.Network.transport(&tls.Config{RootCAs: s.Network.Roots, Time: s.Network.Now}, nil), &t)
		var invalid x509.CertificateInvalidError
		switch {
		// Clock and certificate disagree, and only a person can tell which is wrong. The clock was
		// compared before.
		case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
			r.broken("look at the clock ('date'); if it is right, whoever runs "+t.name()+" has to renew the certificate",
				"the certificate of %s has ended, or is not good yet, by this machine's clock", t.name())
			continue
		case err != nil:
			r.broken(cureOf(&t), "%s", t.failure(err))
			continue
		}
		// An http:// address. It is fine on the loopback, where nobody is on the way.
		if resp.TLS == nil {
			if addr, err := netip.ParseAddr(t.url.Hostname()); t.url.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
				r.warn("write https:// in "+t.Setting, "%s is asked without TLS: whoever is on the way can read the key", t.name())
				continue
			}
			r.okAfter(began, "%s answers, without TLS, on this machine", t.name())
			continue
		}
		// The first is the server's own. A proxy that opens TLS shows its own here, which may end
		// sooner.
		end := resp.TLS.PeerCertificates[0].NotAfter
		if left := end.Sub(s.Network.now()); left < soon {
			r.warn("whoever runs "+t.name()+" has to renew the certificate", "the certificate of %s ends on %s", t.name(), end.Format(time.DateOnly))
			continue
		}
		r.okAfter(began, "%s answers, %s", t.name(), tls.VersionName(resp.TLS.Version))
	}
}

// cureOf is what to do about an address that does not answer as it should.
func cureOf(t *target) string {
	if t.proxy != nil {
		return "see that the proxy " + t.proxy.Host + " lets connections to " + t.url.Host + " out"
	}
	return "correct " + t.Setting + ", or name the certificate authority with COMPOSER_CA_FILE if it is your own"
}
