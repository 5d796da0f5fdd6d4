package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"

	"composer-api/internal/config"
	"composer-api/internal/sim/cursorsim"
	"composer-api/internal/sim/script"
)

// simCmd serves package cursorsim, a fake Cursor.
//
// It is for development and for trying the gateway's real backends without a key. Nothing of it is
// used by serve.
type simCmd struct {
	Addr    config.Address `default:"127.0.0.1:8790" placeholder:"HOST:PORT" help:"Address to listen on for HTTP/1.1 and HTTP/2 in plaintext."`
	TLSAddr config.Address `name:"tls-addr" placeholder:"HOST:PORT" help:"Address to listen on for TLS, with a self-made certificate."`
	CAOut   string         `name:"ca-out" placeholder:"FILE" help:"Where to write the certificate of the authority that made it, as PEM."`
	Seed    uint64         `placeholder:"N" help:"Seed of its small misbehaviour (odd frames, unknown fields, delays). A random one is chosen and printed."`
	Calm    bool           `help:"Don't misbehave."`
	Script  string         `placeholder:"FILE" help:"What its model says; the name of a file or of a script that comes with it."`
	Log     config.Level   `default:"warn" placeholder:"LEVEL" help:"Least important log level to print: debug, info, warn or error."`
}

// Help is what --help prints below the command's line.
func (simCmd) Help() string {
	return "A fake Cursor on the real wire, for trying and testing the gateway without a key: any key is good. A prompt may hold the script that it wants played, " +
		"in lines that begin with 'sim:'. GET /sim/runs shows what it received, GET /sim/violations what was wrong with it."
}

// Run serves until ctx ends. It prints the settings to use the simulator as a shell script; the line
// "# ready" says that it is complete:
//
//	# the simulator listens on http://127.0.0.1:41333 (seed 7); to use it:
//	export CURSOR_API_BASE=http://127.0.0.1:41333
//	…
//	# ready
//
// The settings are printed only when the listeners are open, so whoever reads "# ready" can connect.
func (c *simCmd) Run(ctx context.Context, p *process) error {
	play, err := findScript(c.Script)
	if err != nil {
		return err
	}
	// Listeners are closed by Serve. After an error before it, the process ends and closes them.
	seed := c.seed()
	listeners := cursorsim.Listeners{CAFile: c.CAOut}
	if listeners.Plain, err = listenTCP(ctx, string(c.Addr), "choose another address with --addr"); err != nil {
		return err
	}
	if c.TLSAddr != "" {
		if listeners.TLS, err = listenTCP(ctx, string(c.TLSAddr), "choose another address with --tls-addr"); err != nil {
			return err
		}
	}
	// Where the simulator serves the two streams.
	const agentPath, chatPath = "/agent.v1.AgentService/Run", "/chat"
	// One write, so that a reader of the pipe finds whole lines.
	if _, err := fmt.Fprintf(p.stdout, "# the simulator listens on http://%[1]s (seed %[2]d); to use it:\n"+
		"export CURSOR_API_BASE=http://%[1]s\nexport CURSOR_BACKEND_BASE_URL=http://%[1]s\nexport CURSOR_LOCAL_AGENT_ENDPOINT=%[3]s\nexport CURSOR_CHAT_ENDPOINT=%[4]s\n",
		listeners.Plain.Addr(), seed, agentPath, chatPath); err != nil {
		return err
	}
	if listeners.TLS != nil {
		fmt.Fprintf(p.stdout, "# with TLS: https://%s\n", listeners.TLS.Addr())
	}
	if c.CAOut != "" {
		fmt.Fprintf(p.stdout, "export COMPOSER_CA_FILE=%s\n", c.CAOut)
	}
	fmt.Fprintln(p.stdout, "# ready")
	log := newLogger(p.stderr, c.Log.Level)
	return cursorsim.New(cursorsim.Config{Seed: seed, Script: play, Log: log}).Serve(ctx, listeners)
}

// seed is the simulator's seed: 0, which is no misbehaviour, only with --calm.
//
// With the printed seed the same misbehaviour can be had again.
func (c *simCmd) seed() uint64 {
	switch {
	case c.Calm:
		return 0
	case c.Seed != 0:
		return c.Seed
	}
	return 1 + rand.Uint64N(999_999) // short enough to type
}

// findScript reads a script from a file, or finds it in the library; nil for no name. A file goes
// before a script of the same name. A script that can't be parsed is an error of the file's line.
func findScript(name string) (*script.Script, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		found, err := script.Named(name)
		if err != nil {
			return nil, &hinted{fmt.Errorf("there is no file of that name, and %w", err), "give the name of a script, or a file that holds one"}
		}
		return found, nil
	case err != nil:
		return nil, &hinted{err, "see that the file can be read"}
	}
	return script.Parse(name, data)
}
