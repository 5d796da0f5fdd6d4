package reach

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// A proxyRefusal is the error of a connection that a proxy has not made.
type proxyRefusal struct{ status int }

// Error implements error.
func (r *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy answers CONNECT with %d", r.status)
}

// reason is the sentence for people, as that of the function reason.
func (r *proxyRefusal) reason() string {
	switch r.status {
	case http.StatusProxyAuthRequired:
		return "the proxy asks for a login; put its name and password into HTTPS_PROXY, as in http://name:password@proxy:3128"
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		return fmt.Sprintf("the proxy does not let connections to this host pass (%d); ask who runs it, or check HTTPS_PROXY", r.status)
	}
	return fmt.Sprintf("the proxy could not connect to this host (%d)", r.status)
}

// Connected is the OnProxyConnectResponse of transports. Without it, the status of a proxy that refuses is lost: net/http's error
// has no type, and is the words of the status.
func Connected(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyRefusal{resp.StatusCode}
}
