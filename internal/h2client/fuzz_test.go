package h2client_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// FuzzReader lets a server send any bytes while two requests are open. The client must not panic, nor wait for ever, and when
// the server has closed the connection both requests must have ended, with all that came for them within the window.
func FuzzReader(f *testing.F) {
	for _, c := range misbehaviour {
		f.Add(recorded(c.do))
	}
	f.Add(recorded(func(p *peer) {
		p.headers(1, false, ":status=103")
		p.headers(1, false, ":status=200", "content-length=10")
		p.out.WriteDataPadded(1, false, []byte("hello"), make([]byte, 10))
		p.out.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
		p.out.WriteWindowUpdate(1, 10)
		p.out.WriteWindowUpdate(0, 10)
		p.out.WritePing(false, [8]byte{})
		p.headers(1, true, "trailer=x")
		p.out.WriteGoAway(1, http2.ErrCodeNo, nil)
		p.out.WriteRSTStream(1, http2.ErrCodeNo)
	}))
	f.Fuzz(func(t *testing.T, sent []byte) {
		if len(sent) > 64<<10 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, ours)
			w.greeted()
			first, second := w.begin(t, strings.Repeat("x", 100_000)), w.begin(t, "x")
			w.server.conn.Write(sent)
			w.server.conn.Close()
			for _, x := range []*exchange{first, second} {
				if <-x.done; x.err == nil {
					n, _ := io.Copy(io.Discard, x.resp.Body)
					if n > int64(config.StreamWindow) {
						t.Errorf("%d bytes came, the window has %d", n, config.StreamWindow)
					}
				}
			}
			if synctest.Wait(); w.Err() == nil || w.InFlight() != 0 {
				t.Errorf("%v, %d streams", w.Err(), w.InFlight())
			}
		})
	})
}

// recorded is what a server would send that does that.
func recorded(do func(p *peer)) []byte {
	var sent bytes.Buffer
	p := &peer{conn: recorder{Writer: &sent}}
	p.out = http2.NewFramer(&sent, nil)
	p.enc = hpack.NewEncoder(&p.head)
	do(p)
	return sent.Bytes()
}

// A recorder is a connection that keeps what is written.
type recorder struct {
	net.Conn
	io.Writer
}

func (r recorder) Write(p []byte) (int, error) { return r.Writer.Write(p) }
