// Package imagefetch makes the images of a request fit to be sent upstream: it replaces URLs by the images that they
// lead to, and makes large images smaller.
//
// The URLs come from whoever may send a request, and the gateway may stand where that sender can't reach: so only
// public addresses are connected to, at every redirect, and what comes back must be an image. The address is
// checked when the connection is made, not when the name is looked up, so that a name which changes its mind in
// between gains nothing. No proxy is used, because a proxy would do the looking up.
//
//	fetch.go   a request's images, and why one can't be used
//	get.go     getting one from its URL
//	shrink.go  making an image smaller
//	public.go  which addresses are public
package imagefetch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/gate"
)

// Config bounds what a Fetcher does. The zero value is right for everything but tests.
type Config struct {
	// Timeout is for all images of a request together; 0 means 15 s.
	Timeout time.Duration
	// MaxImages is how many different URLs of a request are fetched; 0 means 64. Of more, the first are left out.
	MaxImages int
	// MaxRedirects is how many redirects are followed for one image; 0 means 3.
	MaxRedirects int
	// Concurrent is how many images are fetched at once, over all requests, and PerOwner how many of one owner; 0 means
	// 64 and 8.
	Concurrent, PerOwner int
	// MaxMemory bounds what images take in memory, in bytes, while they are made smaller, over all requests; 0 means
	// 800 MiB. An image that would take more alone can't be used.
	MaxMemory int64

	// Resolver looks names up; nil means the system's. For tests.
	Resolver *net.Resolver
	// Allow says which addresses may be connected to; nil means those that [Public] allows. For tests.
	Allow func(netip.AddrPort) bool
}

// perRequest is how many images of one request are worked on at once.
const perRequest = 4

// A Fetcher prepares images. It may be used concurrently and keeps nothing between requests.
//
// The gates are entered in the order fetching, large, shrinking, and left in the reverse order. Nobody waits for an earlier one
// while in a later one, so they can't deadlock.
//
// Each Fetch has up to perRequest goroutines, which end before it returns.
type Fetcher struct {
	// cfg, dialer and client are set by New and not changed.
	cfg       Config
	dialer    net.Dialer
	client    *http.Client
	fetching  *gate.Gate // images
	large     *gate.Gate // images; who is in is in fetching, too
	shrinking *gate.Gate // bytes; who is in waits for nothing
}

// New makes a Fetcher. It has nothing to close: connections aren't kept.
//
// DisableKeepAlives: the hosts are the clients' choice and seldom the same twice.
func New(cfg Config) *Fetcher {
	cfg.Timeout = cmp.Or(cfg.Timeout, 15*time.Second)
	cfg.MaxImages = cmp.Or(cfg.MaxImages, 64)
	cfg.MaxRedirects = cmp.Or(cfg.MaxRedirects, 3)
	cfg.Concurrent = cmp.Or(cfg.Concurrent, 64)
	cfg.PerOwner = cmp.Or(cfg.PerOwner, 8)
	cfg.MaxMemory = cmp.Or(cfg.MaxMemory, 800<<20)
	if cfg.Allow == nil {
		cfg.Allow = func(a netip.AddrPort) bool { return Public(a.Addr()) }
	}
	f := &Fetcher{
		cfg: cfg, fetching: gate.New(int64(cfg.Concurrent), int64(cfg.PerOwner)),
		large: gate.New(largeAtOnce, largePerOwner), shrinking: gate.New(cfg.MaxMemory, cfg.MaxMemory),
	}
	// Control is called for every address that is tried, the ones of a second record included.
	f.dialer = net.Dialer{Resolver: cfg.Resolver, Control: f.checkAddress}
	f.client = &http.Client{
		// No Proxy: the transport's zero value asks no variable.
		CheckRedirect: f.checkRedirect,
		Transport:     &http.Transport{DialContext: f.dial, DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeader},
	}
	return f
}

// Fetch gets the bytes of every image in messages that is known by URL only, and makes every image smaller that has more
// than agent.MaxImageBytes. Images with the same URL are fetched once. owner is whose they are.
//
// An image that can't be had, for whatever reason, gets a Fault. The only error is the end of ctx, an *agent.Error with
// code Canceled.
func (f *Fetcher) Fetch(ctx context.Context, owner string, messages []agent.Message) error {
	wanted := f.wanted(messages)
	if len(wanted) == 0 {
		return nil
	}
	parent := ctx
	// One time for all of them, because the client waits for all of them.
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	// All of the work is queued first, so that the workers need no further signal to end.
	todo := make(chan []*agent.Image, len(wanted))
	for _, same := range wanted {
		todo <- same
	}
	close(todo)
	var wg sync.WaitGroup
	for range min(perRequest, len(wanted)) {
		wg.Go(func() {
			for same := range todo {
				f.prepareAll(ctx, owner, same)
			}
		})
	}
	wg.Wait()
	// Our own time-out is no error here: the images that were too slow have their Fault.
	if parent.Err() != nil {
		return &agent.Error{Code: agent.Canceled, Err: parent.Err()}
	}
	return nil
}

// wanted lists the images that there is something to do about; those in a group have the same URL. An image that came as data
// is a group of its own. Of too many URLs the first get a Fault: what the user sent last matters most.
//
//	an image with                       is
//	a Fault                             left as it is: it was looked at before
//	data, and a URL or Original         done: fetched, or made smaller, by an earlier call
//	data alone                          to be checked, and made smaller if it is large
//	a URL alone                         to be fetched
func (f *Fetcher) wanted(messages []agent.Message) [][]*agent.Image {
	var groups [][]*agent.Image
	var urls []string // in order
	index := map[string]int{}
	for i := range messages {
		for _, p := range messages[i].Parts {
			image := p.Image
			switch {
			case image == nil, image.Fault != nil, len(image.Data) > 0 && (image.URL != "" || image.Original != nil):
				// No image, or one that is done with.
			case len(image.Data) > 0:
				groups = append(groups, []*agent.Image{image})
			default:
				at, ok := index[image.URL]
				if !ok {
					at = len(groups)
					index[image.URL] = at
					urls = append(urls, image.URL)
					groups = append(groups, nil)
				}
				groups[at] = append(groups[at], image)
			}
		}
	}
	for len(urls) > f.cfg.MaxImages {
		at := index[urls[0]]
		for _, image := range groups[at] {
			image.Fault = agent.ParamError(agent.InvalidValue, image.Param,
				"The request has more than %d image URLs. Send the images as data URLs or leave some out.", f.cfg.MaxImages)
		}
		// An empty group stays in the list; prepareAll passes it over.
		groups[at], urls = nil, urls[1:]
	}
	return groups
}

// prepareAll does what is to be done about images that are the same, once, and gives all of them the result. They share the
// bytes; each has its own place in the request, and so its own Fault. A panic, of which decoders of images have had their
// share, is the fault of the image.
//
// Only one goroutine has this group of images, so they are changed without a lock.
func (f *Fetcher) prepareAll(ctx context.Context, owner string, same []*agent.Image) {
	if len(same) == 0 {
		return
	}
	first := same[0]
	defer func() {
		for _, image := range same[1:] {
			param := image.Param
			// All fields but the place, so that whatever a later step adds is shared, too.
			*image = *first
			image.Param = param
			if first.Fault != nil {
				own := *first.Fault
				own.Param = param
				image.Fault = &own
			}
		}
	}()
	defer agent.CatchPanic(func(err *agent.Error) { first.Data, first.Fault = nil, err })
	if err := f.prepare(ctx, owner, first); err != nil {
		first.Data, first.Fault = nil, fault(ctx, first, err)
	}
}

// prepare does what is to be done about one image. The error is a refusal, errBusy, ctx's, or
// of the network. The place in fetching is kept until the image is also made smaller: this
// bounds the bytes that are in memory.
func (f *Fetcher) prepare(ctx context.Context, owner string, image *agent.Image) error {
	if len(image.Data) > 0 {
		return f.fit(ctx, owner, image)
	}
	// An error is the end of ctx: of the client, or of Timeout.
	leave, err := f.fetching.Enter(ctx, owner, 1)
	if err != nil {
		return errBusy
	}
	defer leave()
	if image.Data, err = f.get(ctx, owner, image.URL); err != nil {
		return err
	}
	// What the bytes are counts, not what the server says they are.
	if image.MIME = http.DetectContentType(image.Data); !types[image.MIME] {
		return errOtherType
	}
	return f.fit(ctx, owner, image)
}

// fit checks that an image can be read, and makes it smaller if it is too large. The header says what decoding would take,
// before anything is decoded: a small file can hold a huge image.
//
// image is changed only at the end, when everything has gone well.
func (f *Fetcher) fit(ctx context.Context, owner string, image *agent.Image) error {
	h, err := readHeader(image.Data)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	// Small enough to be sent as it is. That it can be read is known from its header.
	if len(image.Data) <= agent.MaxImageBytes {
		return nil
	}
	switch {
	case int64(h.width)*int64(h.height) > maxPixels:
		return errTooManyPixels
	case h.memory > f.cfg.MaxMemory:
		return errTooMuchMemory
	}
	leave, err := f.shrinking.Enter(ctx, owner, h.memory)
	if err != nil {
		return errBusy
	}
	defer leave()
	mime, smaller, err := shrink(image.Data, h, upstreamTakes)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	// The gateway compares conversations by what the client sent, so it must know the image by its
	// first bytes.
	original := sha256.Sum256(image.Data)
	image.MIME, image.Data, image.Original = mime, smaller, original[:]
	return nil
}

// fault is what the client is told of an image that can't be used because of err.
func fault(ctx context.Context, image *agent.Image, err error) *agent.Error {
	e := &agent.Error{Code: agent.InvalidValue, Param: image.Param, Err: err}
	if errors.Is(err, errBusy) {
		e.Code, e.RetryAfter = agent.Overloaded, time.Second
		e.Message = "The server has more images to fetch than it may at once. Please try again shortly."
		return e
	}
	what, cure := "The image", "Send another"
	if image.URL != "" {
		what, cure = "The image at the given URL", "Send it as a data URL, or send another"
	}
	e.Message = fmt.Sprintf("%s can't be used: %s. %s.", what, reason(ctx, err), cure)
	return e
}

// reason is what the client is told of err: nothing of the network that we stand in, which addresses and errors of
// connections would tell.
func reason(ctx context.Context, err error) string {
	var why *refusal
	var timeout net.Error
	switch {
	case errors.As(err, &why):
		return why.reason
	// A deadline of ctx comes back in several guises, by the step that it has ended.
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return "it takes too long"
	}
	return "it can't be reached"
}

// A refusal is a reason that may be told to the client. It completes the sentence "The image can't be used: …".
type refusal struct{ reason string }

// Error implements error; it is for logs.
func (r *refusal) Error() string { return "imagefetch: " + r.reason }

var (
	// Why an image can't be used, for the client's user. No address is in it: a server's own may be a secret.
	errTooLarge      = &refusal{"it is larger than 20 MB"}
	errTooManyPixels = &refusal{"it has more than 50 megapixels"}
	errTooMuchMemory = &refusal{"it has more pixels than this server can take"}
	errUnreadable    = &refusal{"it can't be read as PNG, JPEG, GIF or WebP"}
	errOtherType     = &refusal{"it is not a PNG, JPEG, GIF or WebP image"}
	errNotPublic     = &refusal{"its address is not public"}
	errRedirected    = &refusal{"it redirects too often"}
	errScheme        = &refusal{"it redirects to something that is no web address"}

	// errBusy says that no turn came before the time was up. The client may try again.
	errBusy = errors.New("imagefetch: no turn came in time")
)
