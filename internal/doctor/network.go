package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"composer-api/internal/cursor/reach"
)

// What the checks of the network share. Each makes connections of its own, without a key, and closes them.

// A target is an Address that was read.
type target struct {
	Address
	// url is Address.URL, parsed.
	url   *url.URL
	proxy *url.URL // nil for none
}

// name is the address as people see it: without a path and a password.
func (t *target) name() string { return t.url.Scheme + "://" + t.url.Host }

// hostPort is where a connection goes to: the target, or its proxy.
func (t *target) hostPort() string {
	u := t.url
	if t.proxy != nil {
		u = t.proxy
	}
	// The ports that a URL need not name. With socks5h the proxy resolves names; its own port is
	// the same.
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]))
}

// failure is the error of a connection in words for people.
func (t *target) failure(err error) string {
	return sentence(reach.Error(t.url, t.Setting, err).Message)
}

// sentence is a message of another package as the text of a finding, which has no full stop.
func sentence(message string) string { return strings.TrimSuffix(message, ".") }

// targets are the subject's addresses, each host once. Those that can't be read are none: settings has said so.
func (s *Subject) targets() []target {
	var all []target
	for _, a := range s.Addresses {
		u, err := url.Parse(a.URL)
		if err != nil {
			continue
		}
		if i := slices.IndexFunc(all, func(t target) bool { return t.url.Scheme == u.Scheme && t.url.Host == u.Host }); i >= 0 {
			// One host may serve two endpoints; if either needs HTTP/2, it is looked for.
			all[i].HTTP2 = all[i].HTTP2 || a.HTTP2
			continue
		}
		t := target{Address: a, url: u}
		// A proxy variable that can't be read is a finding of its own.
		t.proxy, _ = s.Network.proxyFor(u)
		all = append(all, t)
	}
	return all
}

// proxyFor is the proxy for an address; nil for none.
func (n *Network) proxyFor(u *url.URL) (*url.URL, error) {
	// The variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY, as the gateway's own clients read them.
	find := n.Proxy
	if find == nil {
		find = http.ProxyFromEnvironment
	}
	return find(&http.Request{URL: u})
}

// Tests have a resolver, a clock and a proxy of their own; nil means this machine's.
func (n *Network) resolver() *net.Resolver { return cmp.Or(n.Resolver, net.DefaultResolver) }

// now is the time by which certificates and tokens are judged.
func (n *Network) now() time.Time {
	if n.Now != nil {
		return n.Now()
	}
	return time.Now()
}

// dialer has no time-out of its own: the check's context ends it.
func (n *Network) dialer() *net.Dialer { return &net.Dialer{Resolver: n.resolver()} }

// transport makes one for a few requests; the caller closes its idle connections. protocols nil means both HTTP/1 and HTTP/2.
func (n *Network) transport(config *tls.Config, protocols *http.Protocols) *http.Transport {
	if protocols == nil {
		protocols = new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
	}
	proxy := n.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	return &http.Transport{Proxy: proxy, OnProxyConnectResponse: reach.Connected, DialContext: n.dialer().DialContext, TLSClientConfig: config, Protocols: protocols}
}

// ask makes one HEAD request of the root of the target's host, and returns the answer, whose body is closed.
func ask(ctx context.Context, transport *http.Transport, t *target) (*http.Response, error) {
	defer transport.CloseIdleConnections()
	// The caller's context bounds the request: the transport has no time-outs of its own.
	req, err := reach.Question(ctx, t.URL)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	// Only that there was an answer counts, and its headers.
	resp.Body.Close()
	return resp, nil
}
