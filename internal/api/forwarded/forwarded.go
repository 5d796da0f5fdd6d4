// Package forwarded finds out, behind proxies, who a request is from and under which address its client has reached us.
//
// Proxies say so in headers that a client can write as well, so a header is believed as far as a trusted proxy has
// written it.
//
//	forwarded.go   what a request says of its way, and how much of it is believed
//	reader.go      the same with a warning to the operator
//
// decisions/0029 says why it is so strict.
package forwarded

import (
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// A Hop is what the proxies that are believed say of a request: who it is from, and under which
// address its client has reached them. It is made again for each request and is a plain value.
//
// Without proxies it is the connection's own: the other end of the socket, and the Host header.
type Hop struct {
	Client netip.Addr // invalid when the connection is no IP connection
	Scheme string     // "http" or "https"
	Host   string     // with the port, if it isn't the scheme's own
	Prefix string     // "" or a path that a proxy has cut off, such as "/gateway"

	// unbelieved says that the request came with forwarding headers which nobody that is trusted has written, or which
	// contradict each other.
	unbelieved bool
}

// Origin is the base of the addresses under which the client reaches us. It has no slash at its end.
func (h *Hop) Origin() string { return h.Scheme + "://" + h.Host + h.Prefix }

// readHop finds out who a request comes from. Two kinds of headers are read: X-Forwarded-For and its companions, and
// Forwarded (RFC 7239). They are believed as far as trusted proxies wrote them: from the right end of a list, each
// trusted address vouches for the one before it. Everything further left, the client may have made up.
//
// A proxy that writes one kind passes the other on as the client sent it. So when both are there and name different
// clients, neither is believed.
//
// What it makes of a request:
//
//	no forwarding headers                          the connection's own values
//	headers, but the connection is not trusted     the same, marked as unbelieved
//	two kinds that name different clients          the same
//	else                                           what the headers say, as far as they are believed
//
// An example, with 10.0.0.0/8 trusted, and the connection from 10.0.0.2:
//
//	X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.1
//	                 │        │            └ trusted, so the one before counts
//	                 │        └ not trusted: this is the client
//	                 └ whatever the client has sent
func readHop(r *http.Request, trusted []netip.Prefix) Hop {
	direct := Hop{Client: peer(r), Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		direct.Scheme = "https"
	}
	x, standard := xForwarded(r.Header), forwarded(r.Header)
	if x == nil && standard == nil {
		return direct
	}
	// Such headers come from the client, or from a proxy that is missing in the settings.
	if !contains(trusted, direct.Client) {
		direct.unbelieved = true
		return direct
	}
	var believed Hop
	switch {
	case standard == nil:
		believed = x.follow(direct, trusted)
	case x == nil:
		believed = standard.follow(direct, trusted)
	default:
		believed = x.follow(direct, trusted)
		if believed.Client != standard.follow(direct, trusted).Client {
			direct.unbelieved = true
			return direct
		}
	}
	return believed
}

// A chain is what a request's headers say of its way, in lists whose last entries were added
// last. The lists may be of different lengths, since some proxies replace what others add to.
// An entry that is missing is "", and is passed over like one that makes no sense.
//
// clients may hold "unknown" or an obfuscated name (RFC 7239); these are no addresses and end the
// way back.
type chain struct {
	clients, schemes, hosts, ports []string
	// prefix is what a proxy has cut off the path.
	prefix string
}

// xForwarded reads the headers that most proxies write; nil when there are none.
func xForwarded(h http.Header) *chain {
	c := &chain{
		clients: list(h, "X-Forwarded-For"), schemes: list(h, "X-Forwarded-Proto"), hosts: list(h, "X-Forwarded-Host"), ports: list(h, "X-Forwarded-Port"),
		prefix: strings.Join(list(h, "X-Forwarded-Prefix"), ""), // each proxy adds what it cuts off, the first proxy first
	}
	if c.clients == nil && c.schemes == nil && c.hosts == nil && c.ports == nil && c.prefix == "" {
		return nil
	}
	return c
}

// list reads a header that holds a list, in one line or several.
func list(h http.Header, name string) []string {
	var entries []string
	for _, line := range h[textproto.CanonicalMIMEHeaderKey(name)] {
		for _, entry := range strings.Split(line, ",") {
			entries = append(entries, strings.TrimSpace(entry))
		}
	}
	return entries
}

// forwarded reads the header of RFC 7239; nil when there is none.
//
//	Forwarded: for=192.0.2.43;proto=https;host=gateway.example, for="[2001:db8::1]:4711"
//
// Lines that are no list of parameters give empty entries.
func forwarded(h http.Header) *chain {
	lines := h["Forwarded"]
	if len(lines) == 0 {
		return nil
	}
	c := &chain{}
	for _, element := range splitQuoted(strings.Join(lines, ","), ',') {
		parameters := map[string]string{}
		for _, pair := range splitQuoted(element, ';') {
			name, value, _ := strings.Cut(pair, "=")
			parameters[strings.ToLower(strings.TrimSpace(name))] = unquote(strings.TrimSpace(value))
		}
		// An entry that is missing is there as an empty one: of each proxy there is one of everything.
		c.clients = append(c.clients, parameters["for"])
		c.schemes = append(c.schemes, parameters["proto"])
		c.hosts = append(c.hosts, parameters["host"])
	}
	return c
}

// splitQuoted splits at the separators that are not within quotes.
func splitQuoted(s string, separator byte) []string {
	var parts []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		// The next character is escaped, also if it is a quote.
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unquote takes a value out of its quotes. What is escaped in it is nothing that we take.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// follow goes the way back from direct, whose client is a trusted proxy, as far as the proxies
// are trusted. What makes no sense is passed over. It stops at the first address that isn't
// trusted, which then is the client, and at an entry that is no address, such as "unknown".
func (c *chain) follow(direct Hop, trusted []netip.Prefix) Hop {
	at := direct
	steps := 0
	for _, entry := range slices.Backward(c.clients) {
		// The address that was found last is not a proxy of ours: it is the client.
		if !contains(trusted, at.Client) {
			break
		}
		before, ok := parseClient(entry)
		if !ok {
			break
		}
		at.Client = before
		steps++
	}
	// The proxy that stands next to the client knows best under which address it was reached. It wrote its entry as many
	// steps before the end as there were proxies.
	steps = max(steps, 1)
	if scheme := strings.ToLower(before(c.schemes, steps)); scheme == "http" || scheme == "https" {
		at.Scheme = scheme
	}
	if host, ok := parseHost(before(c.hosts, steps)); ok {
		at.Host = host
	}
	at.Host = withPort(at.Host, before(c.ports, steps), at.Scheme)
	if prefix, ok := parsePrefix(c.prefix); ok {
		at.Prefix = prefix
	}
	return at
}

// before is the entry so many steps before the end, or the first of a shorter list; "" of an empty one.
func before(list []string, steps int) string {
	if len(list) == 0 {
		return ""
	}
	return list[max(len(list)-steps, 0)]
}

// peer is the other end of the connection; the invalid address when that isn't an IP connection.
//
// An IPv4 address that came in an IPv6 socket is unmapped, so that it fits networks such as
// 10.0.0.0/8.
func peer(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap()
}

// parseClient reads a client's address, which some proxies write with a port, and with brackets
// around IPv6.
func parseClient(entry string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(entry); err == nil {
		return withPort.Addr().Unmap(), true
	}
	entry = strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]")
	addr, err := netip.ParseAddr(entry)
	return addr.Unmap(), err == nil && addr.Zone() == ""
}

// maxHost is the longest name that DNS allows, with a port.
const maxHost = 253 + len(":65535")

// parseHost reads a host name or an IP address, with or without a port, in lower case. Anything else could lead the
// user elsewhere than the address looks.
func parseHost(entry string) (host string, ok bool) {
	entry = strings.ToLower(entry)
	name, port, err := net.SplitHostPort(entry)
	if err != nil {
		name, port = strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]"), ""
	} else if !isPort(port) {
		return "", false
	}
	if entry == "" || len(entry) > maxHost {
		return "", false
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		// In an address for clients IPv6 has brackets, and a zone means something on the proxy's
		// machine alone.
		if addr.Zone() != "" || addr.Is6() != strings.HasPrefix(entry, "[") {
			return "", false
		}
		return entry, true
	}
	// Underscores aren't allowed in host names, but Docker's names have them.
	notInNames := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	}
	return entry, name != "" && !strings.HasPrefix(name, ".") && !strings.Contains(name, "..") && !strings.ContainsFunc(name, notInNames)
}

// isPort reports whether s is a port, from 1 to 65535.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// ownPort is the usual port of a scheme: an address without a port means it.
var ownPort = map[string]string{"http": "80", "https": "443"}

// withPort is host with the port that a proxy names in a header of its own. The usual port of the scheme is left out. A port
// in the host itself counts more than that of the header.
//
//	host            port   scheme   result
//	example.com     8443   https    example.com:8443
//	example.com     443    https    example.com
//	example.com:81  8443   https    example.com:81
//	[2001:db8::1]   8443   https    [2001:db8::1]:8443
func withPort(host, port, scheme string) string {
	_, inHost, err := net.SplitHostPort(host)
	switch {
	case err == nil && inHost == ownPort[scheme]:
		return strings.TrimSuffix(host, ":"+inHost)
	case err == nil, !isPort(port), port == ownPort[scheme]:
		return host
	}
	name := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return net.JoinHostPort(name, port)
}

// parsePrefix reads a path of plain segments. Segments of dots alone are refused, because
// clients would resolve them. No prefix is fine.
//
// It becomes part of links, so nothing is taken that a browser would read in another way.
func parsePrefix(s string) (prefix string, ok bool) {
	s = strings.TrimRight(s, "/")
	if s == "" {
		return "", true
	}
	if len(s) > 200 || s[0] != '/' {
		return "", false
	}
	for segment := range strings.SplitSeq(s[1:], "/") {
		plain := !strings.ContainsFunc(segment, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.~", r))
		})
		if !plain || strings.Trim(segment, ".") == "" { // an empty segment, too
			return "", false
		}
	}
	return s, true
}

// contains reports whether one of the networks has the address; the invalid address is in none.
func contains(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}
