package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"time"
)

// dns looks the names of the addresses up. Behind a proxy the proxy does so.
func dns(ctx context.Context, s *Subject, r *report) {
	for _, t := range s.targets() {
		host := t.url.Hostname()
		// An address of numbers.
		if _, err := netip.ParseAddr(host); err == nil {
			r.ok("%s needs none", t.name())
			continue
		}
		if t.proxy != nil {
			r.ok("%s is looked up by the proxy", host)
			continue
		}
		began := time.Now()
		// Both IPv4 and IPv6. Two of them are shown.
		addrs, err := s.Network.resolver().LookupHost(ctx, host)
		var failed *net.DNSError
		switch {
		case err == nil:
			r.okAfter(began, "%s is %s", host, strings.Join(addrs[:min(len(addrs), 2)], ", "))
		// The name server has answered, so the name is wrong, and not the network.
		case errors.As(err, &failed) && failed.IsNotFound:
			r.broken("correct "+t.Setting+", or remove it for the default; '"+lookUp(host)+"' has to print an address",
				"there is no host of the name %s, says the name server", host)
		default:
			r.broken("see that this machine has a name server that answers: '"+lookUp(host)+"' has to print an address; where names are looked up by a proxy only, 'export HTTPS_PROXY=http://HOST:PORT'",
				"the name %s can't be looked up: the name server does not answer, or refuses to", host)
		}
	}
}

// lookUp is a command that looks a name up as this machine's programs do.
func lookUp(host string) string {
	if runtime.GOOS == "linux" {
		return "getent hosts " + host
	}
	return "nslookup " + host
}
