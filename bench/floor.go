package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json"
	"google.golang.org/protobuf/encoding/protowire"

	"composer-api/internal/cursor/connectwire"
)

// A floor does what any translator from OpenAI's API to the local-agent protocol must do, and nothing else: no keys, no limits, no
// errors, no tools, no memory. What it costs is the cost of net/http, of the kernel, and of one pass over the data.
type floor struct {
	// upstream and hold are the flags of the process; client keeps its connections.
	upstream string // URL of the local-agent endpoint
	client   *http.Client
	hold     bool // keep the request's body open, as the protocol wants: the client of a run has more to say
}

// serveFloor serves until ctx ends.
func serveFloor(ctx context.Context, address, upstream string, hold bool) error {
	// HTTP/2 without TLS: the mock speaks it, and the gateway is measured with the same.
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	f := &floor{upstream: upstream + agentPath, client: &http.Client{Transport: transport}, hold: hold}
	return serveUntil(ctx, &http.Server{Handler: f}, address)
}

// ServeHTTP answers one chat completion.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Stream   bool `json:"stream"`
		Messages []struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		} `json:"messages"`
	}
	// Read at once, because the length is known: the load always says it.
	body := make([]byte, max(0, r.ContentLength))
	_, err := io.ReadFull(r.Body, body)
	if err == nil {
		_, _ = r.Body.Read(make([]byte, 1)) // its end, without which net/http doesn't notice a client that leaves
		err = json.Unmarshal(body, &req)
	}
	if err != nil {
		errorf(w, "%v", err)
		return
	}
	// The prompt is encoded into one buffer, with room for the envelope's header before it, so the text is copied once.
	out := make([]byte, connectwire.HeaderLen, len(body)+1024)
	out = protowire.AppendTag(out, 1, protowire.BytesType)
	// The length stands before the message, so the size is added up first. 4 bytes are the colon, the blank and two line breaks.
	size := 0
	for _, m := range req.Messages {
		size += len(m.Role) + len(m.Content) + 4
	}
	out = protowire.AppendVarint(out, uint64(size))
	for _, m := range req.Messages {
		out = fmt.Appendf(out, "%s: ", m.Role)
		out = append(out, m.Content...)
		out = append(out, "\n\n"...)
	}
	// Behind the message, because its length is known only now.
	connectwire.PutHeader(out, 0, len(out)-connectwire.HeaderLen)
	var first io.ReadCloser = io.NopCloser(bytes.NewReader(out))
	if f.hold {
		first = &heldBody{Reader: bytes.NewReader(out), done: make(chan struct{})}
	}
	up, err := http.NewRequestWithContext(r.Context(), http.MethodPost, f.upstream, first)
	if err != nil {
		errorf(w, "%v", err)
		return
	}
	up.Header.Set("Content-Type", connectwire.ContentType)
	resp, err := f.client.Do(up)
	if err != nil {
		first.Close()
		errorf(w, "%v", err)
		return
	}
	defer resp.Body.Close()
	defer first.Close()
	// While a request's body is open, net/http doesn't look at its context (seen with Go 1.26).
	stop := context.AfterFunc(r.Context(), func() { first.Close() })
	defer stop()
	if req.Stream {
		f.stream(w, resp.Body)
	} else {
		f.whole(w, resp.Body)
	}
}

// stream writes a chunk for each piece of text, and flushes when nothing more has arrived.
func (f *floor) stream(w http.ResponseWriter, body io.Reader) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	flush()
	in := bufio.NewReaderSize(body, 4<<10)
	var buf, chunk []byte
	for {
		message, err := readEnvelope(in, buf[:0])
		if err != nil {
			io.WriteString(w, chunkEnd)
			return
		}
		if text := textOf(message); text != nil {
			chunk = append(append(append(chunk[:0], chunkHead...), text...), chunkTail...)
			w.Write(chunk)
		}
		// Less than a header is left, so the next read would wait: what is written so far must not wait with it.
		if in.Buffered() < connectwire.HeaderLen {
			flush()
		}
		buf = message
	}
}

// whole writes the answer when all of it is there.
func (f *floor) whole(w http.ResponseWriter, body io.Reader) {
	in := bufio.NewReaderSize(body, 4<<10)
	var buf, text []byte
	for {
		message, err := readEnvelope(in, buf[:0])
		if err != nil {
			break
		}
		text = append(text, textOf(message)...)
		buf = message
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, wholeAnswer, text, 0)
}

// textOf is the text of interaction_update.text_delta; nil for any other message. All three are field 1.
func textOf(b []byte) []byte {
	// The mock writes these three alone, so nothing before or behind them has to be skipped.
	for range 3 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || number != 1 || kind != protowire.BytesType {
			return nil
		}
		b, n = protowire.ConsumeBytes(b[n:])
		if n < 0 {
			return nil
		}
	}
	return b
}

// A heldBody is a request's body that stays open behind its bytes until it is closed.
type heldBody struct {
	*bytes.Reader
	once sync.Once
	done chan struct{}
}

// Read implements io.Reader. Behind the bytes it waits for Close.
func (b *heldBody) Read(p []byte) (int, error) {
	if n, err := b.Reader.Read(p); err == nil {
		return n, nil
	}
	<-b.done
	return 0, io.EOF
}

// Close ends the body. net/http and the handler both call it, on goroutines of their own.
func (b *heldBody) Close() error {
	b.once.Do(func() { close(b.done) })
	return nil
}
