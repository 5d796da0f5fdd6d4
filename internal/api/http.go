package api

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"composer-api/internal/agent"
)

// ReadBody reads the whole body of a request. It must be read to its end before a turn starts: only then does net/http
// notice that the client has left. The caller bounds the body.
func ReadBody(r *http.Request) ([]byte, error) {
	// The length is what the client says, so it only earns a first guess.
	const firstGuess = 1 << 20
	var buf bytes.Buffer
	buf.Grow(int(min(max(r.ContentLength, 0), firstGuess)) + bytes.MinRead)
	_, err := buf.ReadFrom(r.Body)
	return buf.Bytes(), err
}

// SetAccepted sets the response headers that say how a turn is carried out. Streams and whole answers alike have them.
func SetAccepted(h http.Header, a agent.Accepted) {
	h.Set("X-Composer-Upstream", a.Upstream)
	h.Set("X-Composer-Resume", string(a.Resume))
	h.Set("X-Composer-Model", a.Model.String())
}

// SetFinished sets the response headers that are known once a turn is over: what it cost in US dollars (0 is unknown) and
// the further attempts that it took. For a stream, whose headers are out by then, they become trailers.
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

// WriteJSON answers 200 with a whole document, to which it adds a newline. It may append to doc.
func WriteJSON(w http.ResponseWriter, doc []byte) error {
	doc = append(doc, '\n')
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	_, err := w.Write(doc)
	return err
}
