package main

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// serveUntil serves on address until ctx ends, and then drops all connections.
func serveUntil(ctx context.Context, server *http.Server, address string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
