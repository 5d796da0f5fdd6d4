package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"composer-api/internal/agent"
)

// What the surfaces' handlers have in common when they read a request and write an answer.
// Nothing here knows a surface.

// counted is a request body that counts against a bound of the server's memory until it was decoded.
type counted interface {
	// Decoded says that it was decoded, and that its bytes aren't used any more. It may be called more than once.
	Decoded()
}

// Decoded says that the body of r was decoded, for a handler that goes on for long after that.
func Decoded(r *http.Request) {
	if c, ok := r.Body.(counted); ok {
		c.Decoded()
	}
}

// ReadBody reads the whole body of a request. It must be read to its end before a turn starts: net/http
// notices only then that the client has left. The caller bounds the body.
//
// What it takes is little more than the body where the length is known, and twice the body at its end where it isn't. A
// buffer that is copied whenever it is full would take three times as much.
//
// The result belongs to the caller. Errors are those of the body: *agent.Error, for one that is
// too large or that was cut off.
func ReadBody(r *http.Request) ([]byte, error) {
	if r.ContentLength >= 0 {
		return readSized(r.Body, r.ContentLength)
	}
	return ReadAll(r.Body)
}

// ReadAll reads all that comes, of which nobody knows the length, such as a message of a WebSocket. The caller bounds it. Errors are
// those of the reader.
func ReadAll(r io.Reader) ([]byte, error) {
	var pieces [][]byte
	for size := smallestPiece; ; size = min(2*size, largestPiece) {
		piece, err := fill(r, make([]byte, 0, size))
		pieces = append(pieces, piece)
		switch {
		case errors.Is(err, io.EOF) && len(pieces) == 1:
			return piece, nil
		case errors.Is(err, io.EOF):
			return bytes.Join(pieces, nil), nil
		case err != nil:
			return nil, err
		}
	}
}

// The pieces of a body whose length is not known double in size, from the first to the last of these.
const (
	smallestPiece = 4 << 10
	largestPiece  = 1 << 20
	// trusted is the first piece of a body whose length is known.
	trusted = 64 << 10
)

// readSized reads a body of a length that the client has given. Its first piece earns that length trust. net/http sees to
// it that no more comes.
//
// A client can announce megabytes and send nothing, so only trusted is set aside before something has come. A client that has
// sent so much gets room for all that it has announced, which httpd's budget bounds.
func readSized(r io.Reader, size int64) ([]byte, error) {
	// One byte more than comes, so that the end is met before the buffer is full.
	buf, err := fill(r, make([]byte, 0, min(size, trusted)+1))
	if err == nil {
		buf, err = fill(r, append(make([]byte, 0, size+1), buf...))
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return buf, err
}

// fill reads until buf is full or the reader has ended, which is io.EOF.
func fill(r io.Reader, buf []byte) ([]byte, error) {
	for len(buf) < cap(buf) {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// SetAccepted sets the response headers that say how a turn is carried out. Streams and whole answers
// alike have them. The headers are described in the documentation for users; their names never change.
func SetAccepted(h http.Header, a agent.Accepted) {
	h.Set("X-Composer-Upstream", a.Upstream)
	h.Set("X-Composer-Resume", string(a.Resume))
	h.Set("X-Composer-Model", a.Model.String())
	if a.System != "" {
		h.Set("X-Composer-System", string(a.System))
	}
	SetRateLimits(h, a.RateLimits)
}

// SetFinished sets the response headers that are known once a turn is over: what it cost in US dollars (0 is unknown) and
// the further attempts that it took. For a stream, whose headers are out by then, they become trailers.
//
// Trailers need no announcement in the headers when they are set with http.TrailerPrefix. Over HTTP/1.1
// they come after the last chunk; clients that don't read trailers miss nothing but these two facts.
func SetFinished(h http.Header, costUSD float64, d *agent.Done, stream bool) {
	prefix := ""
	if stream {
		prefix = http.TrailerPrefix
	}
	if costUSD > 0 {
		h.Set(prefix+"X-Composer-Cost", strconv.FormatFloat(costUSD, 'f', -1, 64))
	}
	if len(d.Repairs) > 0 {
		repairs := make([]string, len(d.Repairs))
		for i, r := range d.Repairs {
			repairs[i] = string(r)
		}
		h.Set(prefix+"X-Composer-Repair", strings.Join(repairs, ", "))
	}
}

// PrefersHTML reports whether whoever sent r would rather have a page than JSON: a web browser that shows the answer to a
// person. It names text/html; programs name JSON, or take anything.
//
// It is used where a person may have opened the address of an API in a browser.
func PrefersHTML(r *http.Request) bool {
	// The weights of RFC 9110, section 12.5.1, from 0 to 1. What is not named has none.
	html, json := 0.0, 0.0
	for _, line := range r.Header["Accept"] {
		for entry := range strings.SplitSeq(line, ",") {
			mediaType, parameters, err := mime.ParseMediaType(entry)
			if err != nil {
				continue
			}
			weight := 1.0
			if q, err := strconv.ParseFloat(parameters["q"], 64); err == nil {
				weight = q
			}
			switch mediaType {
			case "text/html":
				html = max(html, weight)
			case "application/json", "application/*":
				json = max(json, weight)
			}
		}
	}
	return html > json
}

// WriteJSON answers 200 with a whole document, to which it adds a newline. It may append to doc.
// The length is known, so the answer is not chunked, and a client can tell a part from the whole.
func WriteJSON(w http.ResponseWriter, doc []byte) error {
	doc = append(doc, '\n')
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	_, err := w.Write(doc)
	return err
}
