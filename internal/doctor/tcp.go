package doctor

import (
	"context"
	"time"
)

// tcp connects to each address. What goes through a proxy was connected to already.
func tcp(ctx context.Context, s *Subject, r *report) {
	for _, t := range s.targets() {
		if t.proxy != nil {
			r.ok("%s is the proxy's to connect to", t.name())
			continue
		}
		// A connection and no TLS: that is the next check's, so that a firewall is told from a certificate.
		began := time.Now()
		conn, err := s.Network.dialer().DialContext(ctx, "tcp", t.hostPort())
		if err != nil {
			r.broken("see that a firewall lets connections to "+t.hostPort()+" out, and that "+t.Setting+" is right", "%s", t.failure(err))
			continue
		}
		conn.Close()
		r.okAfter(began, "%s is connected to", t.name())
	}
}
