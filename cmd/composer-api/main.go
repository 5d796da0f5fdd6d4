// Command composer-api makes Cursor's Composer models usable from every OpenAI and Anthropic client.
package main

import (
	"os"

	"composer-api/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.UntilSignal(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
