package h2client_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
)

// What a server must not do, and what becomes of it: the stream ends, or the whole connection, or it doesn't matter. Streams 1
// and 3 are open, and 3 has its response. net/http's client forgives more of it, and is not held against this table.
var misbehaviour = []struct {
	name string
	do   func(p *peer)
	// ends is "stream" for stream 3, "connection", or "nothing".
	ends string
}{
	{"data on a stream that was never opened", func(p *peer) { p.say(5, "x") }, "connection"},
	{"data on a stream of the server's", func(p *peer) { p.say(2, "x") }, "connection"},
	{"headers on a stream that was never opened", func(p *peer) { p.headers(5, false, ":status=200") }, "connection"},
	{"a reset of a stream that was never opened", func(p *peer) { p.out.WriteRSTStream(5, http2.ErrCodeCancel) }, "connection"},
	{"room on a stream that was never opened", func(p *peer) { p.out.WriteWindowUpdate(5, 1) }, "connection"},
	{"data after the end", func(p *peer) { p.end(3); p.say(3, "x") }, "stream"},
	{"headers after the end", func(p *peer) { p.end(3); p.headers(3, true, "x=y") }, "stream"},
	{"headers amid the response", func(p *peer) { p.headers(3, false, "x=y") }, "stream"},
	{"trailers with a status", func(p *peer) { p.headers(3, true, ":status=200") }, "stream"},
	{"a header with a capital letter", func(p *peer) { p.headers(3, true, "X=y") }, "stream"},
	{"no room at all", func(p *peer) { p.raw("\x00\x00\x04\x08\x00\x00\x00\x00\x03\x00\x00\x00\x00") }, "stream"},
	{"too much room", func(p *peer) { p.out.WriteWindowUpdate(3, 1<<31-1) }, "stream"},
	{"too much room for all", func(p *peer) { p.out.WriteWindowUpdate(0, 1<<31-1) }, "connection"},
	{"too much room by settings", func(p *peer) {
		p.out.WriteWindowUpdate(3, 1<<31-1-65535)
		p.out.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	}, "connection"},
	{"a window that is too large", func(p *peer) { p.raw("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff") }, "connection"},
	{"more than the window allows", func(p *peer) {
		for range 1 + config.StreamWindow/(16<<10) {
			p.say(3, string(make([]byte, 16<<10)))
		}
	}, "connection"},
	{"a frame that is too large", func(p *peer) { p.say(3, string(make([]byte, 16<<10+1))) }, "connection"},
	{"padding longer than the frame", func(p *peer) { p.raw("\x00\x00\x02\x00\x08\x00\x00\x00\x03\x09x") }, "connection"},
	{"a push", func(p *peer) {
		p.out.WritePushPromise(http2.PushPromiseParam{StreamID: 3, PromiseID: 2, BlockFragment: p.block(":method=GET"), EndHeaders: true})
	}, "connection"},
	{"a wish to be pushed to", func(p *peer) { p.out.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 1}) }, "connection"},
	{"headers that don't end", func(p *peer) {
		p.out.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: p.block("a=b")})
		p.say(3, "x")
	}, "connection"},
	{"headers that can't be decoded", func(p *peer) { p.raw("\x00\x00\x01\x01\x05\x00\x00\x00\x03\xff") }, "connection"},
	{"HTTP/1.1", func(p *peer) { p.raw("HTTP/1.1 400 Bad Request\r\n\r\n") }, "connection"},
	{"a frame of a new kind", func(p *peer) { p.raw("\x00\x00\x01\xee\x00\x00\x00\x00\x03x") }, "nothing"},
	{"a setting of a new kind", func(p *peer) { p.raw("\x00\x00\x06\x04\x00\x00\x00\x00\x00\xee\xee\x00\x00\x00\x01") }, "nothing"},
	{"priorities", func(p *peer) { p.out.WritePriority(3, http2.PriorityParam{StreamDep: 1}) }, "nothing"},
}

func TestServersThatMisbehave(t *testing.T) {
	for _, c := range misbehaviour {
		t.Run(c.name, func(t *testing.T) {
			only(t, func(t *testing.T, w *world) {
				w.greeted()
				w.begin(t)
				x := w.begin(t)
				w.server.answer(3)
				resp := x.response(t)
				go c.do(w.server) // a client that closes the connection doesn't read it to its end
				synctest.Wait()
				switch {
				case c.ends == "connection":
					if w.Err() == nil || !w.server.gone() {
						t.Fatalf("the connection goes on: %v", w.Err())
					}
					if _, err := io.ReadAll(resp.Body); err == nil {
						t.Error("the response is whole")
					}
					return
				case w.Err() != nil:
					t.Fatal(w.Err())
				case c.ends == "stream":
					if _, reset := w.server.resets()[3]; !reset || w.InFlight() != 1 {
						t.Errorf("reset: %v, %d streams", reset, w.InFlight())
					}
				case c.ends == "nothing":
					w.server.say(3, "hello")
					w.server.end(3)
					if b, err := io.ReadAll(resp.Body); string(b) != "hello" || err != nil {
						t.Errorf("%q, %v", b, err)
					}
				}
				// The other stream has noticed nothing.
				w.server.answer(1)
				w.server.end(1)
				if more := w.begin(t); w.Err() != nil || more == nil {
					t.Error(w.Err())
				}
			})
		})
	}
}

// Responses that make no sense end their stream before there is a response.
func TestResponsesThatMakeNoSense(t *testing.T) {
	for name, do := range map[string]func(p *peer){
		"data before the headers": func(p *peer) { p.say(1, "x") },
		"no status":               func(p *peer) { p.headers(1, true, "x=y") },
		"a status that is none":   func(p *peer) { p.headers(1, true, ":status=ok") },
		"two statuses":            func(p *peer) { p.headers(1, true, ":status=200", ":status=200") },
		"a request":               func(p *peer) { p.headers(1, true, ":status=200", ":path=/") },
		"an informational end":    func(p *peer) { p.headers(1, true, ":status=103") },
		"informational ones without end": func(p *peer) {
			for range 30 {
				p.headers(1, false, ":status=103", "x="+string(make([]byte, 1)))
			}
		},
		"too many headers": func(p *peer) {
			fields := []string{":status=200"}
			for range 300 { // 1 KiB each, and few bytes once the table has them
				fields = append(fields, "long="+strings.Repeat("x", 1000))
			}
			p.headers(1, true, fields...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			only(t, func(t *testing.T, w *world) {
				w.greeted()
				x := w.begin(t)
				go do(w.server)
				if err := x.failure(t); w.Err() != nil || !x.body.closed() {
					t.Errorf("%v; connection: %v, body closed: %v", err, w.Err(), x.body.closed())
				}
				if got := w.server.resets(); got[1] != http2.ErrCodeProtocol {
					t.Errorf("resets: %v", got)
				}
			})
		})
	}
}

func (p *peer) raw(bytes string) { io.WriteString(p.conn, bytes) }
