package replay

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/memnet"
)

// TestAHalfOpenConnectionIsSetAside sends three requests: the second meets a connection whose other end has vanished, and
// may be tried again; the third has a new one at once.
func TestAHalfOpenConnectionIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		listener := memnet.Listen()
		server := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "ok")
		})}
		served := make(chan struct{})
		go func() { defer close(served); server.Serve(listener) }()
		defer func() { server.Close(); <-served }()

		var conns []*memnet.LossyConn
		base := listener.Transport(protocols)
		base.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second}
		base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := listener.Dial(ctx, network, address)
			conns = append(conns, memnet.Lossy(conn))
			return conns[len(conns)-1], err
		}
		transport := Renewable(base).(*Transport)
		defer func() { transport.now().CloseIdleConnections() }()
		send := func() error {
			req, err := http.NewRequest("POST", "http://upstream.test/", strings.NewReader("ask"))
			if err != nil {
				t.Fatal(err)
			}
			x, err := Send(t.Context(), transport, req, "SETTING", Limits{})
			if err != nil {
				return err
			}
			x.Refusal()
			return x.Close()
		}
		if err := send(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		conns[0].Vanish()
		var f *cursorerr.Failure
		if err := send(); !errors.As(err, &f) || !f.Retryable || !f.OwnTimeout || f.Err.Code != agent.UpstreamTimeout {
			t.Fatalf("on the half-open connection: %v", err)
		}
		begin := time.Now()
		if err := send(); err != nil || time.Since(begin) != 0 || len(conns) != 2 {
			t.Errorf("the next: %v after %v, over %d connections", err, time.Since(begin), len(conns))
		}
		time.Sleep(time.Minute)
		if !conns[0].Closed() {
			t.Error("the connection was left open")
		}
	})
}
