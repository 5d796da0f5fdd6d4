package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// main ends the servers with the signal: each is started with ctx.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is main: the first argument says which of the servers this process is to be. Without one it measures.
func run(ctx context.Context, args []string) error {
	what := ""
	// A word is the server that this process is to be; a flag belongs to the measurement.
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		what, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("bench "+what, flag.ContinueOnError)
	address := flags.String("address", "127.0.0.1:0", "where to listen")
	upstream := flags.String("upstream", "", "URL of the mock")
	frame := flags.Int("frame", 16<<10, "largest HTTP/2 frame that the mock accepts, in bytes")
	hold := flags.Bool("hold", false, "the floor holds its request bodies open")
	var o options
	if what == "" {
		o.register(flags)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch what {
	case "":
		return o.measure(ctx)
	case "mock":
		return serveMock(ctx, *address, *frame)
	case "floor":
		return serveFloor(ctx, *address, *upstream, *hold)
	case "proxy":
		return serveProxy(ctx, *address, *upstream)
	}
	return errors.New("there is no " + what)
}
