package httpd

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// The bodies of requests: decompressed, bounded in bytes and in what they hold, and bounded in time.
// What a handler reads is within these limits already.

// openBody checks the headers of a body, and replaces r.Body by one that is decompressed and bounded: in size, in what it holds
// and in time. Read errors of the new body are *agent.Error. A request without a body, and one
// whose method needs none, is left alone. owner is whose request it is. The caller calls release when the request is over.
//
// The checks that need no reading come first, so that what is refused by its headers costs nothing.
func (s *Server) openBody(w *response, r *http.Request, route api.Route, owner string) (release func(), err error) {
	if r.Method != http.MethodPost && r.Method != http.MethodPatch || r.ContentLength == 0 {
		return func() {}, nil // no route reads the body of another method
	}
	switch contentType := r.Header.Get("Content-Type"); {
	case route.Form && isForm(contentType):
	case route.Form:
		return nil, agent.Errorf(agent.UnsupportedMediaType, "This address takes the fields of a web form: 'Content-Type: application/x-www-form-urlencoded'.")
	case contentType == "":
		// A web page can make a browser send such a request to any address without a preflight.
		return nil, agent.Errorf(agent.UnsupportedMediaType, "The request has a body and no content type. Send it with 'Content-Type: application/json'.")
	case !isJSON(contentType):
		return nil, agent.Errorf(agent.UnsupportedMediaType, "The content type %q is not supported. Send JSON with 'Content-Type: application/json'.", openai.Clip(contentType))
	}
	// A client that says so is refused before it is read.
	if r.ContentLength > s.cfg.MaxBody {
		return nil, s.tooLarge()
	}
	within := http.MaxBytesReader(w.ResponseWriter, r.Body, s.cfg.MaxBody)
	plain, err := decompress(within, r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	b := &body{server: s, plain: plain, left: s.cfg.MaxBody, under: within, control: w.control, started: time.Now()}
	if !route.Form {
		b.holds = openai.NewCounter(s.cfg.Bounds)
	}
	if b.compressed = plain != io.Reader(within); b.compressed {
		r.ContentLength = -1 // of the plain body, nobody knows
	}
	// Nothing is taken from the budget yet; Read does so when the body grows.
	b.grant = grant{budget: s.budget, ctx: r.Context(), owner: owner, known: r.ContentLength}
	r.Body = b
	return b.grant.release, nil
}

// isJSON reports whether a content type is JSON: application/json, or anything that ends in +json. What follows the type is not
// looked at, because clients and proxies send it twice, or without a value. A web page can't get past the browser's question
// (CORS) with that: none of these types is one that it may send unasked.
func isJSON(contentType string) bool {
	mediaType := contentType
	if end := strings.IndexAny(contentType, ";,"); end >= 0 {
		mediaType = contentType[:end]
	}
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// isForm reports whether a content type is that of a web form without files.
func isForm(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/x-www-form-urlencoded"
}

// decompress returns a reader of the decompressed body, which reads nothing yet. The bound on the decompressed size is body's, and so
// is the time that a client may take.
func decompress(r io.Reader, encoding string) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return r, nil
	case "gzip", "x-gzip":
		return &opened{under: r, open: func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }}, nil
	case "deflate":
		return &opened{under: r, open: inflate}, nil
	case "zstd":
		// With concurrency 1 there is no goroutine, so nothing to close. The window bounds how much memory
		// a small body can make us use.
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
	}
	return nil, agent.Errorf(agent.UnsupportedMediaType, "The content encoding %q is not supported. Send the body as it is, or with gzip, deflate or zstd.", openai.Clip(encoding))
}

// opened is a decompressor that is made with the first read: making one reads the head of what is compressed, and waits for it.
type opened struct {
	under io.Reader // compressed
	open  func(io.Reader) (io.Reader, error)
	plain io.Reader // nil before the first read
}

// Read implements io.Reader. It is not called again after an error.
func (o *opened) Read(p []byte) (int, error) {
	if o.plain == nil {
		plain, err := o.open(o.under)
		if err != nil {
			return 0, err
		}
		o.plain = plain
	}
	return o.plain.Read(p)
}

// maxZstdWindow is the window that RFC 8878 asks every decoder to support, in bytes.
const maxZstdWindow = 8 << 20

// inflate reads "deflate" as RFC 9110 defines it, with a zlib header, and also the raw form that some
// clients send.
func inflate(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(2)
	if err != nil {
		return nil, err
	}
	// A zlib header names method 8 and is a multiple of 31 (RFC 1950).
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(buffered)
	}
	return flate.NewReader(buffered), nil
}

// A body is a request body within its limits of size, time and memory, and of what it holds. It is read by one goroutine.
//
//	bound             against
//	left              a body that is too large once it is decompressed
//	holds             a small body that holds millions of values
//	grant             many large bodies at once
//	the deadlines     a client that sends slowly, or not at all
type body struct {
	// server has the limits and the budget.
	server     *Server
	plain      io.Reader // decompressed
	compressed bool      // before plain
	// What it holds is counted while it comes: a few kilobytes that were compressed can hold millions of things, and what is
	// refused need not be read to its end. Nil for a body that is no JSON.
	holds *openai.Counter
	grant grant // of the server's memory for bodies
	left  int64 // bytes that may still be read
	// under is what Close closes: the body as it came, compressed or not.
	under io.Closer
	// control sets the deadline for reading.
	control *http.ResponseController
	started time.Time // when reading could begin
	read    int64     // decompressed bytes so far
}

const (
	// bodyTimeout ends connections that begin a body and then send nothing. It is also the time that a body has before
	// its rate counts.
	bodyTimeout = 30 * time.Second
	// minBodyRate is how many bytes a second a body must bring after that: a client that sends a byte now and then
	// would hold its turn for ever.
	minBodyRate = 16 << 10
	// maxBodyTime bounds the whole body, however large it is.
	maxBodyTime = 5 * time.Minute
)

// deadline is when the next bytes must have come: within bodyTimeout from now, and early enough that the body
// as a whole keeps to minBodyRate and maxBodyTime.
func (b *body) deadline(now time.Time) time.Time {
	whole := min(bodyTimeout+time.Duration(b.read/minBodyRate)*time.Second, maxBodyTime)
	if next := now.Add(bodyTimeout); next.Before(b.started.Add(whole)) {
		return next
	}
	return b.started.Add(whole)
}

// Read implements io.Reader. It sets the connection's read deadline before each read, and removes it after the
// last: net/http then keeps reading, to notice when the client leaves.
func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.server.tooLarge()
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than allowed, to see whether there is more
	}
	before := time.Now()
	if err := b.grant.cover(b.read + 1); err != nil {
		return 0, err
	}
	if room := b.grant.room(b.read); room > 0 {
		p = p[:min(int64(len(p)), room)]
	}
	now := time.Now()
	b.started = b.started.Add(now.Sub(before)) // waiting for the grant isn't the client's fault
	b.control.SetReadDeadline(b.deadline(now))
	// It may be fewer bytes than came in: a decompressor holds some.
	n, err := b.plain.Read(p)
	if err != nil {
		// From here on a read waits for the client to leave, which may take as long as the answer does.
		b.control.SetReadDeadline(time.Time{})
	}
	b.read += int64(n)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.server.tooLarge()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.server.bodyError(err, b.compressed)
	}
	if b.holds != nil {
		if tooMany := b.holds.Add(p[:n]); tooMany != nil {
			return n, tooMany
		}
	}
	return n, err
}

// Decoded is for api.Decoded.
func (b *body) Decoded() { b.grant.release() }

// Close implements io.Closer.
func (b *body) Close() error { return b.under.Close() }

// tooLarge is the error for a body over Config.MaxBody.
func (s *Server) tooLarge() *agent.Error {
	return agent.Errorf(agent.TooLarge, "The request body is larger than %d MB. Send less at once, for example smaller images.", s.cfg.MaxBody>>20)
}

// bodyError is the *agent.Error for a body that could not be read. compressed says that it was, so that a
// failure is most likely the decompressor's.
func (s *Server) bodyError(err error, compressed bool) error {
	var ours *agent.Error
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &limit):
		return s.tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &agent.Error{Code: agent.InvalidJSON, Message: fmt.Sprintf("The request body came too slowly: nothing for %v, or less than %d KB a second. Send it again.", bodyTimeout, minBodyRate>>10), Err: err}
	case compressed:
		return &agent.Error{Code: agent.InvalidJSON, Message: "The request body can't be decompressed. Send it as it is, or compressed with gzip, deflate or zstd.", Err: err}
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) {
		return &agent.Error{Code: agent.InvalidJSON, Message: "The request body can't be read. Check how it is sent: its length, or its chunks.", Err: err}
	}
	// The connection broke, so nobody will read this.
	return &agent.Error{Code: agent.Canceled, Message: "The request body ended early.", Err: err}
}
