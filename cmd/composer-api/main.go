// Command composer-api makes Cursor's Composer models usable from every OpenAI and Anthropic client.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"composer-api/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(cli.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
