package reach

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"composer-api/internal/agent"
)

// A probe of an upstream: one HEAD request of the host's root. What the answer says does not matter,
// only that somebody answers. Package gateway asks for it (Reachable), through each backend's Probe.

// Probe asks the host of target for nothing, and reports whether it answered. It sends no key,
// and not to target's path. setting is the variable that holds the address. Errors are
// *agent.Error. ctx bounds it.
//
// It is what /readyz and the home page ask through a backend: cheap for Cursor, because it needs no
// key and starts no run.
func Probe(ctx context.Context, transport http.RoundTripper, target, setting string) error {
	req, err := Question(ctx, target)
	if err != nil {
		return &agent.Error{Code: agent.NotConfigured, Err: err, Message: fmt.Sprintf("The address of Cursor is not a valid URL. Check %s.", setting)}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return Error(req.URL, setting, err)
	}
	return Answered(req.URL, resp)
}

// Question is the request of a probe of target's host. localagent sends it over a connection of
// its own pool.
func Question(ctx context.Context, target string) (*http.Request, error) {
	// Path, query and password are left out: only the host is of interest.
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	root := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}
	return http.NewRequestWithContext(ctx, http.MethodHead, root.String(), nil)
}

// Answered reads the answer to a probe, and closes it. Any answer will do but one that says that there is nobody behind
// whoever gave it.
//
// 401, 404 or a redirect are fine: Cursor, or a mirror of it, has answered. The statuses below come
// from a proxy or a load balancer that found nobody.
func Answered(target *url.URL, resp *http.Response) error {
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &agent.Error{
			Code: agent.Upstream, Err: errors.New("reach: the probe was answered " + resp.Status),
			Message: fmt.Sprintf("Cursor can't be reached at %s://%s: it is down, and a server before it answers %d.", target.Scheme, target.Host, resp.StatusCode),
		}
	}
	return nil
}
