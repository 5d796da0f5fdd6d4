package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// UntilSignal is a context that ends when the process is told to end: by Ctrl-C, SIGTERM, or SIGHUP, which it gets when its terminal is
// closed. A second Ctrl-C or SIGTERM ends the process at once. A second SIGHUP does not: a shell passes on the one that the kernel
// sends, too. Under nohup SIGHUP stays ignored.
func UntilSignal() context.Context {
	ctx := context.Background()
	if !signal.Ignored(syscall.SIGHUP) {
		ctx, _ = signal.NotifyContext(ctx, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}
