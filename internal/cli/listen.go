package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

// listenTCP opens a TCP listener, with a hint when it can't. elsewhere names the settings by which it would listen at another address.
// A port of 0 is chosen by the system. The caller closes it.
func listenTCP(ctx context.Context, addr, elsewhere string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err == nil {
		return listener, nil
	}
	hint := elsewhere
	switch {
	// Windows has a number of its own for it, and gets the hint that is always right.
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program listens there, perhaps a gateway ('composer-api status' says so): end it, or " + elsewhere
	case errors.Is(err, fs.ErrPermission):
		hint = "ports below 1024 need a permission on most systems (on Linux: a unit of systemd with AmbientCapabilities=CAP_NET_BIND_SERVICE): get it, or " + elsewhere
	}
	return nil, &hinted{fmt.Errorf("can't listen: %w", err), hint}
}
