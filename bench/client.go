package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A client sends requests to one server and checks every word of the answers. It is safe for concurrent use.
type client struct {
	// url is the server's root, without a slash at its end.
	url string
	// http has no time-out: the trial's context bounds each request.
	http *http.Client
}

// newClient makes a client that keeps its connections. The caller closes it.
func newClient(url string) *client {
	return &client{url: url, http: &http.Client{Transport: &http.Transport{
		// A connection a stream: HTTP/1 carries one at a time, and to open them again would be a part of what is measured.
		MaxIdleConnsPerHost: 20_000, DisableCompression: true, DialContext: (&net.Dialer{}).DialContext, ReadBufferSize: 8 << 10,
	}}}
}

// close closes the connections that no request uses.
func (c *client) close() { c.http.CloseIdleConnections() }

// An answer is what one request brought.
type answer struct {
	headers time.Duration // until the response's headers
	first   time.Duration // until the first word; for an answer that isn't streamed, until all of it
	text    []byte        // all of it
	callID  string        // of the tool call at the answer's end; "" when there was none
}

// stream sends a request for a streamed answer and reads it to its end. delays may be nil.
func (c *client) stream(ctx context.Context, req request, delays *delays) (a answer, err error) {
	begin := time.Now()
	resp, err := c.open(ctx, req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a.headers = time.Since(begin)
	// Words are checked while they come, so a lost or doubled one is found however the stream was cut.
	heard := listener{next: req.first, delays: delays}
	in := bufio.NewReaderSize(resp.Body, 16<<10)
	for {
		// The line is valid until the next read, so what is kept of it is copied.
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			if heard.next != req.first+req.words {
				return a, fmt.Errorf("the answer ended after %d words of %d", heard.next-req.first, req.words)
			}
			return a, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull): // a long event has no words of ours
			return a, err
		}
		// By search and not by a JSON decoder: the load must cost this process little.
		if bytes.Contains(line, []byte(`"tool_calls"`)) {
			_, calls, _ := bytes.Cut(line, []byte(`"tool_calls"`))
			if id := valueOf(calls, `"id":"`); id != nil {
				a.callID = string(id)
			}
		}
		piece := textIn(line, req.textKey)
		if len(piece) == 0 {
			continue
		}
		now := time.Now()
		// The first line with text. Events before it, such as the role, say nothing to a person.
		if a.first == 0 {
			a.first = now.Sub(begin)
		}
		a.text = append(a.text, piece...)
		if err := heard.hear(piece, now); err != nil {
			return a, err
		}
	}
}

// textIn is the text of a line that is a chunk of text; nil for any other. Words need no escapes.
func textIn(line []byte, key string) []byte {
	switch {
	case !bytes.HasPrefix(line, []byte("data:")):
		return nil
	case key == `"delta"` && !bytes.Contains(line, []byte(".delta\"")), key == `"text"` && !bytes.Contains(line, []byte("_delta\"")):
		return nil // the Responses and Messages APIs say the whole text again in other events
	}
	return valueOf(line, key+`:"`)
}

// valueOf is what stands between start and the next quotation mark. Some servers write a space behind the colon.
func valueOf(line []byte, start string) []byte {
	_, after, ok := bytes.Cut(line, []byte(start))
	if !ok {
		if _, after, ok = bytes.Cut(line, []byte(start[:len(start)-1]+` "`)); !ok {
			return nil
		}
	}
	value, _, _ := bytes.Cut(after, []byte(`"`))
	return value
}

// whole sends a request for an answer that isn't streamed, and checks it.
func (c *client) whole(ctx context.Context, req request) (a answer, err error) {
	begin := time.Now()
	resp, err := c.open(ctx, req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	var body struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return a, err
	}
	io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	a.first = time.Since(begin)
	heard := listener{}
	for _, choice := range body.Choices {
		if err := heard.hear([]byte(choice.Message.Content), time.Now()); err != nil {
			return a, err
		}
	}
	if heard.next != req.words {
		return a, fmt.Errorf("the answer has %d words of %d", heard.next, req.words)
	}
	return a, nil
}

// open sends a request and returns the response once its headers are there. A status other than 200 is an error.
func (c *client) open(ctx context.Context, req request) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+req.path, bytes.NewReader(req.body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer crsr_bench")
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		// The beginning of the error is enough to see what is wrong.
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, fmt.Errorf("%s: %s", resp.Status, body)
	}
	return resp, nil
}
