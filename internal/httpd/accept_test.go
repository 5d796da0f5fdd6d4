package httpd_test

import (
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/httpd"
	"composer-api/internal/memnet"
)

// A full listener belongs to a process that has no descriptor free for a while.
type full struct {
	*memnet.Listener
	until time.Time
}

func (f *full) Accept() (net.Conn, error) {
	if time.Now().Before(f.until) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return f.Listener.Accept()
}

func TestTheLogSaysWhyNobodyIsLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder // written by the goroutine that accepts
		s := newServer(httpd.Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		l := &full{memnet.Listen(), time.Now().Add(90 * time.Second)}
		ended := make(chan error)
		go func() { ended <- s.Serve(l) }()
		dial(t, l.Listener).Close() // waits until it is let in
		s.Shutdown(t.Context())
		<-ended
		// Once a minute, though it tries each second; and the end of the listener is no failure.
		if n := strings.Count(log.String(), "\n"); n != 2 || strings.Count(log.String(), "too many open files") != n || strings.Count(log.String(), "ulimit -n") != n {
			t.Errorf("the log has %d lines:\n%s", n, log.String())
		}
	})
}
