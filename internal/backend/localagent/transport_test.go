package localagent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/sim/cursorsim"
)

// A connection that has its share of streams gets company before it is full: the third stream does not wait for it.
func TestAConnectionIsOpenedForEachShareOfStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		r := newRig(t, "turn always\nhold", cursorsim.Config{}, func(c *Config) {
			dial := c.Transport.Dial
			c.Transport.Spread = 2
			c.Transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dials.Add(1)
				return dial(ctx, network, address)
			}
		})
		for i, want := range []int32{1, 1, 2, 2, 2, 3} {
			r.start(t, backendtest.Request("hello"))
			synctest.Wait()
			if n := dials.Load(); n != want {
				t.Errorf("%d connections for %d streams, want %d", n, i+1, want)
			}
		}
	})
}

// closing is a connection that tells when it is closed.
type closing struct {
	net.Conn
	closed *atomic.Bool
}

func (c closing) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

func TestAConnectionThatComesAfterCloseIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Bool
		goOn := make(chan struct{})
		r := newRig(t, "turn always\nhold", cursorsim.Config{}, func(c *Config) {
			dial := c.Transport.Dial
			c.Transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				<-goOn
				conn, err := dial(ctx, network, address)
				return closing{conn, &closed}, err
			}
		})
		failed := make(chan error)
		go func() {
			_, err := r.Start(t.Context(), backendtest.Request("hello"))
			failed <- err
		}()
		synctest.Wait()
		r.Close()
		close(goOn)
		err := <-failed
		synctest.Wait()
		r.pool.mu.Lock()
		defer r.pool.mu.Unlock()
		if err == nil || !closed.Load() || len(r.pool.conns) != 0 {
			t.Errorf("%v; closed %v, %d connections kept", err, closed.Load(), len(r.pool.conns))
		}
	})
}

// leaveAtOnce is a server that goes away when the first request comes, and has not looked at it.
func leaveAtOnce(conn net.Conn) {
	defer conn.Close()
	io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
	framer := http2.NewFramer(conn, conn)
	framer.WriteSettings()
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			return
		}
		if f.Header().Type == http2.FrameHeaders {
			framer.WriteGoAway(0, http2.ErrCodeNo, nil)
		}
	}
}

// Servers restart, and a run that comes just then is no failure: nothing of it has happened yet.
func TestARunThatMeetsAServerOnItsWayOutGoesElsewhereAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		r := newRig(t, "turn always\ntext ok", cursorsim.Config{}, func(c *Config) {
			dial := c.Transport.Dial
			c.Transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials++; dials > 1 {
					return dial(ctx, network, address)
				}
				near, far := net.Pipe()
				go leaveAtOnce(far)
				return near, nil
			}
		})
		begin := time.Now()
		turn := collect(t, r.start(t, backendtest.Request("hello")))
		if took := time.Since(begin); turn.Text != "ok" || dials != 2 || took != 0 {
			t.Errorf("%q over %d connections, after %v", turn.Text, dials, took)
		}
		r.noViolations(t)
	})
}

// What speaks TLS and has never heard of HTTP/2 is no upstream, and says so.
func TestAnEndpointThatSpeaksHTTP1Alone(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		out := http.NewResponseController(w)
		out.EnableFullDuplex() // else it would wait for the end of the request
		io.WriteString(w, "hello")
		out.Flush()
	}))
	server.StartTLS()
	defer server.Close()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain := &http.Server{Handler: server.Config.Handler}
	go plain.Serve(tls.NewListener(listener, &tls.Config{Certificates: server.TLS.Certificates})) // no ALPN
	defer plain.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	b, err := New(Config{
		Endpoint:  "https://" + listener.Addr().String() + "/run",
		Auth:      authFor(t, serve(t, cursorsim.New(cursorsim.Config{}))),
		Transport: TransportConfig{RootCAs: roots},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Start(t.Context(), backendtest.Request("hello")); agent.CodeOf(err) != agent.NotConfigured {
		t.Errorf("%v", err)
	}
}
