package reach

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"

	"composer-api/internal/agent"
)

// Intercepted is the error for a complete answer that Cursor has not given, but something on the way to it: a proxy, a firewall, the
// page on which a network wants a login. nil for all others, among them pages of a load balancer before Cursor (a 502), after which a
// retry helps. Without it, a firewall's 403 would be told as a fault of the user's key.
//
//	the answer                          is
//	a redirect                          of a login page, or of a server that has moved
//	407, 511                            what asks for a login
//	401, 403, 451 with a page (HTML)    of what lets nothing pass
//
// resp's body is not read. The code is NotConfigured, because only the operator can help, and it says nothing of the key.
func Intercepted(target *url.URL, setting string, resp *http.Response) *agent.Error {
	var why string
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch status := resp.StatusCode; {
	case status == http.StatusProxyAuthRequired:
		why = "a proxy on the way asks for a login; put its name and password into HTTPS_PROXY"
	case status == http.StatusNetworkAuthenticationRequired:
		why = "the network here asks for a login first; open a page in a browser"
	case status >= 300 && status < 400:
		why = "the answer is a redirect" + elsewhere(target, resp) + "; check " + setting + ", and whether the network here asks for a login"
	case kind == "text/html" && (status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusUnavailableForLegalReasons):
		why = fmt.Sprintf("the answer is a web page with status %d, as a proxy or a firewall gives; let requests to this host pass", status)
	default:
		return nil
	}
	return &agent.Error{
		Code: agent.NotConfigured, Err: errors.New("reach: intercepted with " + resp.Status),
		Message: fmt.Sprintf("Cursor can't be reached at %s://%s: %s.", target.Scheme, target.Host, why),
	}
}

// elsewhere names where a redirect leads to: the host alone, because the rest may hold secrets. "" when that is not known.
func elsewhere(target *url.URL, resp *http.Response) string {
	to, err := target.Parse(resp.Header.Get("Location"))
	if err != nil || to.Host == "" || to.Scheme == target.Scheme && to.Host == target.Host {
		return ""
	}
	return " to " + to.Scheme + "://" + to.Host
}
