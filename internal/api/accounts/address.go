package accounts

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddress is the address of the client, not of the proxies before us. X-Forwarded-For is believed
// only as far as trusted proxies wrote it: from its right end, each trusted address vouches for the one
// to its left. Everything further left, the client may have made up.
//
//	X-Forwarded-For: made-up, client, proxy1      connection from proxy2
//	                          └── the answer, if proxy1 and proxy2 are trusted
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := peer(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !contains(trusted, addr) {
			break
		}
		before, err := parseHop(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		addr = before
	}
	return addr
}

// origin is the scheme and host under which the client has reached us. The X-Forwarded headers count
// only if the connection comes from a trusted proxy.
func origin(r *http.Request, trusted []netip.Prefix) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if contains(trusted, peer(r)) {
		if proto := r.Header.Get("X-Forwarded-Proto"); proto == "https" || proto == "http" {
			scheme = proto
		}
		if forwarded := r.Header.Get("X-Forwarded-Host"); forwarded != "" {
			host = forwarded
		}
	}
	return scheme + "://" + host
}

// peer is the address at the other end of the connection; invalid when that isn't an IP connection.
func peer(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap()
}

// parseHop reads an entry of X-Forwarded-For, which some proxies write with a port.
func parseHop(hop string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap(), nil
	}
	addr, err := netip.ParseAddr(hop)
	return addr.Unmap(), err
}

// contains reports whether the address is in one of the networks.
func contains(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}
