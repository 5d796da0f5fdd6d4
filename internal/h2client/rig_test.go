package h2client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"composer-api/internal/h2client"
)

// config is what the tests' connections have.
var config = h2client.Config{
	StreamWindow: 256 << 10, PingAfter: 15 * time.Second, PingTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second,
	IdleTimeout: 5 * time.Minute,
}

// ours and theirs are the clients under test.
const (
	ours   = "ours"
	theirs = "net/http's"
)

// newTransport makes a transport of that kind with the same settings.
func newTransport(kind string, dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	t := &http.Transport{DialContext: dial, Protocols: new(http.Protocols), DisableCompression: true}
	t.Protocols.SetUnencryptedHTTP2(true)
	if kind == ours {
		t.TLSClientConfig = &tls.Config{}
		h2client.Install(t, config)
		return t
	}
	t.IdleConnTimeout = config.IdleTimeout
	t.HTTP2 = &http.HTTP2Config{
		SendPingTimeout: config.PingAfter, PingTimeout: config.PingTimeout, WriteByteTimeout: config.WriteTimeout,
		MaxReceiveBufferPerStream: config.StreamWindow,
	}
	return t
}

// both runs a case with both clients, each in a bubble of its own.
func both(t *testing.T, do func(t *testing.T, w *world)) {
	for _, kind := range []string{ours, theirs} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { do(t, newWorld(t, kind)) })
		})
	}
}

// only runs a case with ours.
func only(t *testing.T, do func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) { do(t, newWorld(t, ours)) })
}

// A world is a connection and the server at its other end, which the test plays.
type world struct {
	*http.ClientConn
	kind   string
	server *peer
}

func newWorld(t *testing.T, kind string) *world {
	t.Helper()
	return newWorldOver(t, kind, func(c net.Conn) net.Conn { return c })
}

// newWorldOver makes a world whose client has its connection in another form.
func newWorldOver(t *testing.T, kind string, form func(net.Conn) net.Conn) *world {
	t.Helper()
	near, far := net.Pipe()
	server := newPeer(t, far)
	conn, err := newTransport(kind, func(context.Context, string, string) (net.Conn, error) { return form(near), nil }).
		NewClientConn(t.Context(), "http", "server:80")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{ClientConn: conn, kind: kind, server: server}
	t.Cleanup(func() {
		far.Close()
		conn.Close()
	})
	return w
}

// greeted is a world whose server has sent these settings.
func (w *world) greeted(settings ...http2.Setting) *world {
	w.server.out.WriteSettings(settings...)
	w.server.out.WriteSettingsAck()
	synctest.Wait()
	return w
}

// An exchange is a request that is under way.
type exchange struct {
	body   *body
	cancel context.CancelFunc
	done   chan struct{} // closed when resp or err is there
	resp   *http.Response
	err    error
}

var target = &url.URL{Scheme: "http", Host: "server", Path: "/run"}

// begin sends a request whose body stays open. When it returns, the server has got what there is of it.
func (w *world) begin(t *testing.T, pieces ...string) *exchange {
	t.Helper()
	return w.send(t, nil, pieces...)
}

func (w *world) send(t *testing.T, header http.Header, pieces ...string) *exchange {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	x := &exchange{body: newBody(), cancel: cancel, done: make(chan struct{})}
	t.Cleanup(func() {
		cancel()
		x.body.Close()
		if <-x.done; x.resp != nil {
			x.resp.Body.Close()
		}
	})
	for _, p := range pieces {
		x.body.put(p)
	}
	if header == nil {
		header = http.Header{"X-Test": {"yes"}}
	}
	if err := w.Reserve(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(x.done)
		x.resp, x.err = w.RoundTrip((&http.Request{
			Method: http.MethodPost, URL: target, Header: header, Body: x.body, ContentLength: -1,
		}).WithContext(ctx))
	}()
	synctest.Wait()
	return x
}

// response is the response, which must be there.
func (x *exchange) response(t *testing.T) *http.Response {
	t.Helper()
	synctest.Wait()
	select {
	case <-x.done:
	default:
		t.Fatal("there is no response yet")
	}
	if x.err != nil {
		t.Fatal(x.err)
	}
	return x.resp
}

// failure is the error instead of a response, which must be there.
func (x *exchange) failure(t *testing.T) error {
	t.Helper()
	synctest.Wait()
	select {
	case <-x.done:
	default:
		t.Fatal("the request is still under way")
	}
	if x.err == nil {
		t.Fatal("the request has not failed")
	}
	return x.err
}

// text reads the rest of the response.
func (x *exchange) text(t *testing.T) string {
	t.Helper()
	b, err := io.ReadAll(x.response(t).Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A body is a request's body, for both clients.
type body struct {
	mu     sync.Mutex
	filled sync.Cond
	buf    bytes.Buffer
	err    error
	wake   func(urgent bool)
}

func newBody() *body {
	b := &body{}
	b.filled.L = &b.mu
	return b
}

func (b *body) change(urgent bool, do func()) {
	b.mu.Lock()
	do()
	b.filled.Broadcast()
	wake := b.wake
	b.mu.Unlock()
	if wake != nil {
		wake(urgent)
	}
}

func (b *body) put(s string)      { b.change(true, func() { b.buf.WriteString(s) }) }
func (b *body) putLater(s string) { b.change(false, func() { b.buf.WriteString(s) }) }
func (b *body) finish()           { b.change(true, func() { b.err = io.EOF }) }

func (b *body) Close() error {
	b.change(true, func() { b.err = io.ErrClosedPipe; b.buf.Reset() })
	return nil
}

func (b *body) closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Is(b.err, io.ErrClosedPipe)
}

func (b *body) Attach(wake func(urgent bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake = wake
}

func (b *body) Take(p []byte) (n int, more bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = copy(p, b.buf.Next(min(len(p), b.buf.Len())))
	if b.buf.Len() == 0 {
		err = b.err
	}
	return n, b.buf.Len() > 0, err
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.buf.Len() == 0 && b.err == nil {
		b.filled.Wait()
	}
	if b.buf.Len() == 0 {
		return 0, b.err
	}
	return b.buf.Read(p)
}

// A peer is a server that does what a test tells it. It reads all the time; what it has got waits in frames.
type peer struct {
	conn net.Conn
	out  *http2.Framer
	enc  *hpack.Encoder
	head bytes.Buffer

	mu     sync.Mutex
	frames []frame
	err    error // of reading
}

// A frame is what the server has got.
type frame struct {
	kind   http2.FrameType
	id     uint32
	end    bool
	size   int
	data   string
	fields map[string]string
	code   http2.ErrCode
	room   uint32 // of a window update
	ack    bool
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	p := &peer{conn: conn, out: http2.NewFramer(conn, nil)}
	p.enc = hpack.NewEncoder(&p.head)
	go p.read(t)
	return p
}

// read reads what the client sends, and holds it against the protocol as far as the framer does.
func (p *peer) read(t *testing.T) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(p.conn, preface); err != nil || string(preface) != http2.ClientPreface {
		p.ends(err)
		return
	}
	in := http2.NewFramer(nil, p.conn)
	decoder := hpack.NewDecoder(4096, nil)
	in.ReadMetaHeaders = decoder
	for {
		f, err := in.ReadFrame()
		if err != nil {
			p.ends(err)
			return
		}
		h := f.Header()
		got := frame{kind: h.Type, id: h.StreamID, size: int(h.Length)}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			got.end, got.fields = f.StreamEnded(), map[string]string{}
			for _, field := range f.Fields {
				got.fields[field.Name] = field.Value
			}
		case *http2.DataFrame:
			got.end, got.data = f.StreamEnded(), string(f.Data())
		case *http2.RSTStreamFrame:
			got.code = f.ErrCode
		case *http2.WindowUpdateFrame:
			got.room = f.Increment
		case *http2.PingFrame:
			got.ack, got.data = f.IsAck(), string(f.Data[:])
		case *http2.SettingsFrame:
			got.ack = f.IsAck()
		}
		p.mu.Lock()
		p.frames = append(p.frames, got)
		p.mu.Unlock()
	}
}

func (p *peer) ends(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// gone reports whether the client has closed the connection.
func (p *peer) gone() bool {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err != nil
}

// take returns the frames of these kinds that came since it was called last, and forgets the others.
func (p *peer) take(kinds ...http2.FrameType) (found []frame) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.frames {
		for _, kind := range kinds {
			if f.kind == kind {
				found = append(found, f)
			}
		}
	}
	p.frames = nil
	return found
}

// data is the data of a stream that came since take.
func (p *peer) data(id uint32) (text string, end bool) {
	for _, f := range p.take(http2.FrameData) {
		if f.id == id {
			text, end = text+f.data, f.end
		}
	}
	return text, end
}

// resets are the streams that were reset since take, with their codes.
func (p *peer) resets() map[uint32]http2.ErrCode {
	found := map[uint32]http2.ErrCode{}
	for _, f := range p.take(http2.FrameRSTStream) {
		found[f.id] = f.code
	}
	return found
}

// block encodes headers.
func (p *peer) block(fields ...string) []byte {
	p.head.Reset()
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		p.enc.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	return bytes.Clone(p.head.Bytes())
}

// headers sends headers in one frame.
func (p *peer) headers(id uint32, end bool, fields ...string) {
	p.out.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(fields...), EndHeaders: true, EndStream: end})
}

// answer begins a response.
func (p *peer) answer(id uint32) { p.headers(id, false, ":status=200") }

// say sends data.
func (p *peer) say(id uint32, text string) { p.out.WriteData(id, false, []byte(text)) }

// end ends a response.
func (p *peer) end(id uint32) { p.out.WriteData(id, true, nil) }
