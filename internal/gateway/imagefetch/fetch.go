// Package imagefetch replaces the image URLs of a request by the images.
//
// The URLs come from whoever may send a request, and the gateway may stand where that sender can't reach: so only
// public addresses are connected to, at every redirect, and what comes back must be a small image. The address is
// checked when the connection is made, not when the name is looked up, so that a name which changes its mind in
// between gains nothing. No proxy is used, because a proxy would do the looking up.
package imagefetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	"composer-api/internal/agent"
)

// Config bounds what a Fetcher does. The zero value is right for everything but tests.
type Config struct {
	// Timeout is for all images of a request together; 0 means 15 s.
	Timeout time.Duration
	// MaxImages is how many different URLs a request may have; 0 means 64.
	MaxImages int
	// MaxRedirects is how many redirects are followed for one image; 0 means 3.
	MaxRedirects int
	// Concurrent is how many images are fetched at once, over all requests; 0 means 32.
	Concurrent int

	// Resolver looks names up; nil means the system's. For tests.
	Resolver *net.Resolver
	// Allow says which addresses may be connected to; nil means those that [Public] allows. For tests.
	Allow func(netip.AddrPort) bool
}

// perRequest is how many images of one request are fetched at once.
const perRequest = 4

// A Fetcher fetches images. It may be used concurrently and keeps nothing between requests.
type Fetcher struct {
	cfg    Config
	dialer net.Dialer
	client *http.Client
	slots  chan struct{}
}

// New makes a Fetcher.
func New(cfg Config) *Fetcher {
	cfg.Timeout = cmp.Or(cfg.Timeout, 15*time.Second)
	cfg.MaxImages = cmp.Or(cfg.MaxImages, 64)
	cfg.MaxRedirects = cmp.Or(cfg.MaxRedirects, 3)
	cfg.Concurrent = cmp.Or(cfg.Concurrent, 32)
	if cfg.Allow == nil {
		cfg.Allow = func(a netip.AddrPort) bool { return Public(a.Addr()) }
	}
	f := &Fetcher{cfg: cfg, slots: make(chan struct{}, cfg.Concurrent)}
	f.dialer = net.Dialer{Resolver: cfg.Resolver, Control: f.checkAddress}
	f.client = &http.Client{
		CheckRedirect: f.checkRedirect,
		Transport:     &http.Transport{DialContext: f.dial, DisableKeepAlives: true, ForceAttemptHTTP2: true},
	}
	return f
}

// Fetch gets the bytes of every image in req that is known by URL only. Images with the same URL are fetched once.
//
// Errors are *agent.Error: InvalidValue with the image's Param when an image can't be had, for whatever reason;
// Canceled when ctx ended.
func (f *Fetcher) Fetch(ctx context.Context, req *agent.Request) error {
	wanted, err := f.wanted(req)
	if err != nil || len(wanted) == 0 {
		return err
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()

	todo := make(chan []*agent.Image, len(wanted))
	for _, same := range wanted {
		todo <- same
	}
	close(todo)
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	for range min(perRequest, len(wanted)) {
		wg.Go(func() {
			for same := range todo {
				if err := f.fetch(ctx, same); err != nil {
					once.Do(func() { first = err })
					cancel()
					return
				}
			}
		})
	}
	wg.Wait()
	if parent.Err() != nil {
		return &agent.Error{Code: agent.Canceled, Err: parent.Err()}
	}
	return first
}

// wanted lists the images to fetch; those in a group have the same URL.
func (f *Fetcher) wanted(req *agent.Request) ([][]*agent.Image, error) {
	var groups [][]*agent.Image
	index := map[string]int{}
	for i := range req.Messages {
		for _, p := range req.Messages[i].Parts {
			image := p.Image
			if image == nil || image.URL == "" || len(image.Data) > 0 {
				continue
			}
			if at, ok := index[image.URL]; ok {
				groups[at] = append(groups[at], image)
				continue
			}
			if len(groups) == f.cfg.MaxImages {
				return nil, agent.ParamError(agent.InvalidValue, image.Param,
					"The request has more than %d image URLs. Send the images as data URLs or leave some out.", f.cfg.MaxImages)
			}
			index[image.URL] = len(groups)
			groups = append(groups, []*agent.Image{image})
		}
	}
	return groups, nil
}

// fetch gets one URL and gives its bytes to all images that have it.
func (f *Fetcher) fetch(ctx context.Context, same []*agent.Image) error {
	mime, data, err := f.get(ctx, same[0].URL)
	if err != nil {
		return &agent.Error{
			Code: agent.InvalidValue, Param: same[0].Param, Err: err,
			Message: fmt.Sprintf("The image at the given URL can't be used: %s. Send it as a data URL, or send another.", reason(ctx, err)),
		}
	}
	for _, image := range same {
		image.MIME, image.Data = mime, data
	}
	return nil
}

// reason is what the client is told of err: nothing of the network that we stand in.
func reason(ctx context.Context, err error) string {
	var why *refusal
	var timeout net.Error
	switch {
	case errors.As(err, &why):
		return why.reason
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return "it takes too long"
	}
	return "it can't be reached"
}

// types are the image types that models take, as http.DetectContentType names them.
var types = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

func (f *Fetcher) get(ctx context.Context, rawURL string) (mime string, data []byte, err error) {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return "", nil, &refusal{"it is not a valid URL"}
	}
	req.Header.Set("Accept", "image/png, image/jpeg, image/webp, image/gif")
	req.Header.Set("User-Agent", "composer-api")
	resp, err := f.client.Do(req)
	if err != nil {
		var named *url.Error
		if errors.As(err, &named) {
			err = named.Err // without the URL, which may hold the client's secrets and is nothing for logs
		}
		return "", nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", nil, &refusal{fmt.Sprintf("its server answered %d", resp.StatusCode)}
	}
	if resp.ContentLength > agent.MaxImageBytes {
		return "", nil, errTooLarge
	}
	data, err = io.ReadAll(io.LimitReader(resp.Body, agent.MaxImageBytes+1))
	if err != nil {
		return "", nil, err
	}
	if len(data) > agent.MaxImageBytes {
		return "", nil, errTooLarge
	}
	// What the bytes are counts, not what the server says they are.
	if mime = http.DetectContentType(data); !types[mime] {
		return "", nil, &refusal{"it is not a PNG, JPEG, GIF or WebP image"}
	}
	return mime, data, nil
}

// A refusal is a reason that the client may know.
type refusal struct{ reason string }

func (r *refusal) Error() string { return "imagefetch: " + r.reason }

var (
	errTooLarge   = &refusal{"it is larger than 1 MB"}
	errNotPublic  = &refusal{"its address is not public"}
	errRedirected = &refusal{"it redirects too often"}
	errScheme     = &refusal{"it redirects to something that is no web address"}
)

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

// checkAddress is called with the address that is about to be connected to, whatever name it came from.
func (f *Fetcher) checkAddress(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !f.cfg.Allow(a) {
		return errNotPublic
	}
	return nil
}
