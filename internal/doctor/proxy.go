package doctor

import (
	"context"
	"time"
)

// proxy looks whether the proxies are there through which the addresses are reached.
func proxy(ctx context.Context, s *Subject, r *report) {
	// By host and port.
	tried := map[string]bool{}
	for _, t := range s.targets() {
		// One proxy serves several addresses, and is tried once.
		if t.proxy == nil || tried[t.proxy.Host] {
			continue
		}
		tried[t.proxy.Host] = true
		began := time.Now()
		// A connection, and no request through it: what the proxy lets out, the next checks find out.
		conn, err := s.Network.dialer().DialContext(ctx, "tcp", t.hostPort())
		if err != nil {
			r.broken("start the proxy, give the right one with 'export HTTPS_PROXY=http://HOST:PORT', or go without it: 'unset HTTPS_PROXY HTTP_PROXY https_proxy http_proxy'",
				"the proxy %s, which is to lead to %s, can't be reached", t.proxy.Host, t.name())
			continue
		}
		conn.Close()
		r.okAfter(began, "%s is reached through the proxy %s", t.name(), t.proxy.Host)
	}
	if len(tried) == 0 {
		r.ok("none is used")
	}
	// This is told even when the proxy works, because the bridge will not use it.
	if s.Bridge.Wanted && s.Bridge.Proxied {
		r.warn("let this machine reach Cursor directly, or put a reverse proxy before Cursor and name it with CURSOR_BACKEND_BASE_URL",
			"Cursor's bridge does not use the proxy of HTTPS_PROXY: it goes to Cursor directly")
	}
}
