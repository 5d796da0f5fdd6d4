package httpd

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// What web pages may do. A browser sends requests for any page to any address, so a server
// without keys has to look at where a request comes from. Programs are not concerned.

// checkHost refuses requests whose Host is not a name of this server, when it listens on loopback only.
//
// A web page can make its own name resolve to 127.0.0.1 after it was loaded (DNS rebinding). The browser then
// treats the server's answers as the page's own, and the page could use a keyless server.
func (s *Server) checkHost(next http.Handler) http.Handler {
	if !s.cfg.LocalOnly {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A request without Host is HTTP/1.0, which no browser uses.
		if r.Host != "" && !s.ourHost(r.Host) {
			s.fail(w.(*response), r, agent.Errorf(agent.PermissionDenied,
				"This server listens on its own machine only, and its name is not %q. Ask for 127.0.0.1 or localhost, or add the name to COMPOSER_ALLOWED_HOSTS.", openai.Clip(r.Host)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ourHost reports whether a host, with or without a port, is a name of this machine or one of Config.Hosts.
func (s *Server) ourHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	// "[::1]" is an IPv6 address as a URL has it, "localhost." a name with its root.
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	// Unmap, because ::ffff:127.0.0.1 is the same machine.
	if addr, err := netip.ParseAddr(host); err == nil && addr.Unmap().IsLoopback() {
		return true
	}
	return slices.Contains(s.cfg.Hosts, host) || slices.Contains(s.cfg.Hosts, "*")
}

// checkOrigin refuses requests without a key from web pages of other origins: to a keyless server, and POSTs to
// open routes, such as sign-up. With a key, pages of any origin are allowed: see cors. Programs other than
// browsers send no Origin.
func (s *Server) checkOrigin(r *http.Request, route api.Route) error {
	origin := r.Header.Get("Origin")
	// Let in by Config.Keyless, or by LocalKey.Any, which takes any key for the server's: a page can send one, too.
	// Only a caller who has proved that it can read this user's files, by the token, is more than a
	// page could be.
	lent, proved := s.cfg.Local.lends(bearer(r.Header))
	keyless := !route.Open && (bearer(r.Header) == "" || lent && !proved)
	if origin == "" || !keyless && !(route.Open && r.Method == http.MethodPost) {
		return nil
	}
	// Browsers set Sec-Fetch-Site themselves; a page can't.
	if r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		return nil
	}
	// A page of this very server, in a browser too old for Sec-Fetch-Site, or one of this machine.
	// "null", which sandboxed pages send, has neither scheme nor host.
	if u, err := url.Parse(origin); err == nil && (u.Scheme == "http" || u.Scheme == "https") && (u.Host == r.Host || s.ourHost(u.Host)) {
		return nil
	}
	hint := "Add the page's host to COMPOSER_ALLOWED_HOSTS."
	if keyless {
		hint = "Send a key with the request (in the demo any will do), or add the page's host to COMPOSER_ALLOWED_HOSTS."
	}
	if lent {
		hint = "Send the token that 'composer-api token' prints, or add the page's host to COMPOSER_ALLOWED_HOSTS."
	}
	return agent.Errorf(agent.PermissionDenied, "Without a key, web pages of %q may not use this server. %s", openai.Clip(origin), hint)
}
