package doctor

import (
	"context"
	"crypto/x509"
	"time"
)

// A Certificate is one of the server's own, for clients.
type Certificate struct {
	Setting string // the variable that asks for it
	// Name is a name by which clients reach the server; "" when the settings don't say.
	Name string
	// Asked says that the server asks an authority for it, and renews it by itself.
	Asked bool
	// Read reads the first certificate of the chain; nil, nil says that it will be asked for when the first client comes.
	Read func(context.Context) (*x509.Certificate, error)
}

// renewed is how long before its end a certificate of ours should have been renewed: authorities' are good for 90 days and
// are renewed a month before.
const renewed = 14 * 24 * time.Hour

// certificates looks at the certificates by which the server speaks TLS itself.
func certificates(ctx context.Context, s *Subject, r *report) {
	for _, c := range s.Certificates {
		leaf, err := c.Read(ctx)
		switch {
		case err != nil:
			r.broken("correct "+c.Setting, "the server's certificate can't be read: %v", err)
			continue
		// No fault yet: an ACME certificate is asked for by the first handshake.
		case leaf == nil:
			r.warn("let the authority reach "+c.Name+" at port 443 (or at 80, with COMPOSER_HTTP_ADDR), start the server, and open https://"+c.Name+"/healthz",
				"there is no certificate for %s yet; the server asks for one when the first client comes", c.Name)
			continue
		}
		// Negative once it has ended.
		left := leaf.NotAfter.Sub(s.Network.now())
		switch end := leaf.NotAfter.Format(time.DateOnly); {
		// A certificate that has ended is told as that, and not as one for another name.
		case left <= 0:
			r.broken(c.renew(), "the server's certificate has ended on %s", end)
		case c.Name != "" && leaf.VerifyHostname(c.Name) != nil:
			r.broken("get one for "+c.Name+", or correct COMPOSER_PUBLIC_URL", "the server's certificate is not for %s: clients will refuse it", c.Name)
		case left < renewed:
			r.warn(c.renew(), "the server's certificate ends on %s", end)
		default:
			r.ok("the server's certificate is good until %s", end)
		}
	}
}

// renew is the cure for a certificate at its end.
func (c *Certificate) renew() string {
	if c.Asked {
		return "let the authority reach " + c.Name + " at port 443 (or at 80, with COMPOSER_HTTP_ADDR); the server renews it when the next client comes, and its log says why it can't"
	}
	return "renew it: the server reads the files again by itself"
}
