package bridgeserver

import (
	"net/url"
	"strings"
)

// upstreams are where requests may go: the configured upstream, and those on the allow-list. Both are
// compared as normalised URLs, see resolve. It is immutable.
type upstreams struct {
	base, endpoint string // configured; what a request leaves out
	// allowed has bases and whole endpoints.
	allowed map[string]bool
}

// newUpstreams reads the configuration. An entry of the list is either the whole URL of an endpoint, or a
// base under which the configured endpoint may be reached; both readings of it are allowed. What isn't a
// URL allows nothing.
func newUpstreams(base, endpoint string, allow []string) *upstreams {
	u := &upstreams{base: base, endpoint: endpoint, allowed: map[string]bool{}}
	add := func(target string, ok bool) {
		if ok {
			u.allowed[target] = true
		}
	}
	// What is configured is allowed always.
	add(resolve(base, endpoint))
	for _, entry := range allow {
		add(resolve("", entry))
		if !strings.Contains(endpoint, "://") {
			add(resolve(entry, endpoint))
		}
	}
	return u
}

// target is the URL to go to for a request, or the failure: errNotConfigured when there is none, and
// errNotAllowed when it is not among the allowed ones.
func (u *upstreams) target(base, endpoint string) (string, *failure) {
	if base == "" {
		base = u.base
	}
	if endpoint == "" {
		endpoint = u.endpoint
	}
	target, ok := resolve(base, endpoint)
	switch {
	case !ok:
		return "", &errNotConfigured
	// A client could otherwise have this server send its user's token anywhere.
	case !u.allowed[target]:
		return "", &errNotAllowed
	}
	return target, nil
}

// resolve makes one URL of a base and an endpoint, which may be a whole URL. URLs that mean the same get
// the same spelling. What could be read in two ways (user information, fragments, dot segments,
// backslashes) is refused: the allow-list would see one host or path and the transport another.
func resolve(base, endpoint string) (string, bool) {
	target := endpoint
	if !strings.Contains(endpoint, "://") {
		if base == "" || endpoint == "" {
			return "", false
		}
		// One slash between the two, however they are written.
		target = strings.TrimRight(base, "/") + "/" + strings.TrimLeft(endpoint, "/")
	}
	parsed, err := url.Parse(target)
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.Fragment != "" {
		return "", false
	}
	if parsed.Scheme != "http" && parsed.Scheme != "https" {
		return "", false
	}
	for segment := range strings.SplitSeq(parsed.Path, "/") {
		if segment == "." || segment == ".." || strings.Contains(segment, `\`) {
			return "", false
		}
	}
	parsed.Host = strings.ToLower(parsed.Host)
	return parsed.String(), true
}
