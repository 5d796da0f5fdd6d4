package httpd

import (
	"errors"
	"log/slog"
	"net"
	"syscall"
	"time"
)

// accepting is a listener that tells the log why connections can't be accepted. net/http tries again by itself, for ever, and says so
// among what clients do wrong, at debug level: an operator would see a server that is silent and answers nobody.
type accepting struct {
	net.Listener
	log  *slog.Logger
	told time.Time // only one goroutine accepts
}

// tellEvery is how often a failure is told, at most. Tries are up to a second apart.
const tellEvery = time.Minute

// Accept implements net.Listener.
func (a *accepting) Accept() (net.Conn, error) {
	conn, err := a.Listener.Accept()
	if err == nil || errors.Is(err, net.ErrClosed) || time.Since(a.told) < tellEvery {
		return conn, err
	}
	a.told = time.Now()
	attrs := []any{"err", err}
	if errors.Is(err, syscall.EMFILE) {
		attrs = append(attrs, "hint", "raise the limit of open files of this process ('ulimit -n', or LimitNOFILE= of a systemd unit); each connection is one")
	}
	a.log.Error("connections can't be accepted; clients wait", attrs...)
	return conn, err
}
