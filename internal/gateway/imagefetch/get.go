package imagefetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"

	"composer-api/internal/agent"
)

// Getting one file from a URL that a client has chosen: which answers are taken, which addresses are connected to, and how much is read.

// How many fetched images above agent.MaxImageBytes are read at once, in all and of one owner. Each may take
// agent.MaxOriginalBytes, so without this bound the 64 that are fetched at once could take 64 times as much memory.
const (
	largeAtOnce   = 8
	largePerOwner = 2
)

// maxHeader bounds the header of an answer, in bytes. net/http's own bound is 10 MB, and 64 hosts may answer at once.
const maxHeader = 64 << 10

// types are the image types that models accept, as http.DetectContentType names them.
var types = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

// get fetches the file at a URL. Only a status of 200 will do. The request has no cookies and no credentials.
//
// The error is a refusal, errBusy, ctx's, or one of the network without the URL.
func (f *Fetcher) get(ctx context.Context, owner, rawURL string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, &refusal{"it is not a valid URL"}
	}
	req.Header.Set("Accept", "image/png, image/jpeg, image/webp, image/gif")
	req.Header.Set("User-Agent", "composer-api")
	resp, err := f.client.Do(req)
	if err != nil {
		var named *url.Error
		if errors.As(err, &named) {
			err = named.Err // without the URL, which may hold the client's secrets and is nothing for logs
		}
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, &refusal{fmt.Sprintf("its server answered %d", resp.StatusCode)}
	// A server that says less than it sends is stopped by read.
	case resp.ContentLength > agent.MaxOriginalBytes:
		return nil, errTooLarge
	}
	return f.read(ctx, owner, resp.Body)
}

// read reads a file. More than agent.MaxImageBytes of it are read only by so many at once. The
// type is found out from the first bytes, before anybody waits for a place to read the rest.
func (f *Fetcher) read(ctx context.Context, owner string, body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, agent.MaxImageBytes+1))
	if err != nil || len(data) <= agent.MaxImageBytes {
		return data, err
	}
	if !types[http.DetectContentType(data)] {
		return nil, errOtherType // without reading on
	}
	leave, err := f.large.Enter(ctx, owner, 1)
	if err != nil {
		return nil, errBusy
	}
	defer leave()
	rest, err := io.ReadAll(io.LimitReader(body, int64(agent.MaxOriginalBytes+1-len(data))))
	if err != nil {
		return nil, err
	}
	if len(data)+len(rest) > agent.MaxOriginalBytes {
		return nil, errTooLarge
	}
	return append(data, rest...), nil
}

// checkRedirect bounds the redirects and where they lead. The address is checked by dial, as for the first request. via are the
// requests so far.
func (f *Fetcher) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return errScheme
	case len(via) > f.cfg.MaxRedirects:
		return errRedirected
	}
	return nil
}

// dial connects to a host and port. An address is refused before it is tried, because one that this machine has no
// route to would fail for another reason.
func (f *Fetcher) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if a, err := netip.ParseAddrPort(address); err == nil && !f.cfg.Allow(a) {
		return nil, errNotPublic
	}
	return f.dialer.DialContext(ctx, network, address)
}

// checkAddress is called by the dialer with the address that is about to be connected to, whatever name it came from. This is
// the check that counts: dial sees names, too, and lets them pass.
func (f *Fetcher) checkAddress(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !f.cfg.Allow(a) {
		return errNotPublic
	}
	return nil
}
