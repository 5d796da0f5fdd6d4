package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"composer-api/internal/agent"
	"composer-api/internal/config"
	"composer-api/internal/cursor/bridgechild"
	"composer-api/internal/cursor/bridgeinstall"
)

// commands is the tree of commands. kong fills it in from the command line and the variables, and calls Run of the one that
// was chosen. The order is that of --help.
type commands struct {
	Serve       serveCmd       `cmd:"" help:"Run the gateway."`
	Models      modelsCmd      `cmd:"" help:"List the models that a Cursor API key may use."`
	Setup       setupCmd       `cmd:"" help:"Set up a client for the gateway, put it back, or try it: OpenCode, Codex, Claude Code and others."`
	Status      statusCmd      `cmd:"" help:"Show what a running gateway does: turns, parked runs, today's tokens and dollars."`
	Doctor      doctorCmd      `cmd:"" help:"Look for what is wrong: settings, network, key, bridge, database, clients. Says what cures it."`
	Token       tokenCmd       `cmd:"" help:"Print the token by which clients of this machine use the gateway's own Cursor key."`
	CursorKey   cursorKeyCmd   `cmd:"" help:"Keep the gateway's own Cursor key in the system's keyring, and say where it comes from."`
	Service     serviceCmd     `cmd:"" help:"Run the gateway as a service of yours, which starts when you log in."`
	Upstream    upstreamCmd    `cmd:"" help:"Install, see or remove Cursor's published bridge, which needs nothing but a key."`
	Sim         simCmd         `cmd:"" help:"Run a simulator of Cursor, to try and test the gateway without a key."`
	Bridge      bridgeCmd      `cmd:"" help:"Serve the reference system's HTTP/2 bridge."`
	Accounts    accountsCmd    `cmd:"" help:"List, limit and delete the accounts that have a hosted key."`
	Keys        keysCmd        `cmd:"" help:"List, create, limit, revoke and rotate hosted keys."`
	Invitations invitationsCmd `cmd:"" help:"List, create and revoke invitations, by which people can sign up."`
	Admin       adminCmd       `cmd:"" help:"Make the token for the operator's page."`
	Audit       auditCmd       `cmd:"" help:"List what operators have done."`
	Migrate     migrateCmd     `cmd:"" help:"See to the database's schema."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
	Upgrade     upgradeCmd     `cmd:"" help:"Replace this program by the newest release, or take that back."`

	Completion completionCmd `cmd:"" help:"Print the script by which a shell completes the commands and their flags."`
	Man        manCmd        `cmd:"" help:"Print the manual page."`
	Complete   completeCmd   `cmd:"" hidden:"" help:"Answer a shell's question what may be typed."`
}

// A process is the surroundings of a command: its variables and its standard streams. Commands use these
// instead of package os, so that tests can run them.
//
// env is read only; the streams are used by one goroutine at a time, except for stderr, to which
// the logger writes, too.
type process struct {
	env    *config.Env
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	// warnings are about variables, and were printed before the command runs; but for doctor's, which has them as findings.
	warnings []config.Warning
	// variables are the names of all that some command reads.
	variables []string
}

// Exit codes. Scripts may rely on these; never change one.
const (
	exitOK     = 0 // also after --help and --version, and for a server that was asked to end
	exitFailed = 1 // the command could not do its work
	exitUsage  = 2 // the command line or a setting is wrong
)

// description is the first paragraph of --help.
const description = "Makes Cursor's Composer models usable from every OpenAI and Anthropic client, with your own Cursor API key. Unofficial."

// Main runs the command line and returns the exit code. It ends when ctx does: a server then shuts down gracefully.
// Settings come from args, env (as os.Environ gives it) and the .dev.vars and .env files of the working directory, the first
// that has one counts. It is safe to call more than once in a process, but not at the same time: the memory limit is the
// process's.
func Main(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// ConfinedMain returns only with an error: on success the process is another program by then.
	if len(args) > 0 && args[0] == confinedCommand {
		// Before anything else: this process is about to become the bridge.
		return printError(stderr, bridgechild.ConfinedMain(args[1:]))
	}
	// Before the tree of commands is built, which would bring about a collection.
	paceCollector()
	// An .env file that can't be read is an error also for commands that need no setting: whoever
	// wrote it wants to know.
	environment, err := config.NewEnv(env, ".")
	if err != nil {
		return printError(stderr, err)
	}
	p := &process{env: environment, stdin: stdin, stdout: stdout, stderr: stderr}
	var tree commands
	// kong would end the process after --help. Tests run Main in theirs.
	exited := false
	parser, err := kong.New(&tree,
		kong.Name("composer-api"), kong.Description(description),
		kong.Writers(stdout, stderr), kong.Exit(func(int) { exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: helpWidth}),
		config.Durations(), kong.ValueFormatter(config.HelpValue), kong.Vars{"bridge_version": bridgeinstall.DefaultVersion},
		kong.Resolvers(environment), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(p),
	)
	if err != nil {
		return printError(stderr, err)
	}
	parsed, err := parser.Parse(normalizeArgs(args))
	switch {
	// Before err: after --help kong goes on and complains of the arguments that are missing.
	case exited: // --help was printed
		return exitOK
	case err != nil:
		return printError(stderr, withoutCommand(err, parser.Model.Node, args))
	}
	// Warnings come before the command's own output, so that one that is about to fail has told why.
	p.variables = variables(parser.Model.Node)
	p.warnings = append(environment.Warnings(), environment.Misspelt(p.variables)...)
	for _, w := range p.warnings {
		if parsed.Selected() != nil && parsed.Selected().Target.Type() == reflect.TypeFor[doctorCmd]() {
			break
		}
		fmt.Fprintf(stderr, "composer-api: warning: %s\nhint: %s\n", w.Text, w.Hint)
	}
	if err := parsed.Run(); err != nil {
		return printError(stderr, err)
	}
	return exitOK
}

// variables lists every variable that some command reads, for config.Env.Misspelt, which warns of names that are almost one
// of these.
//
// Flags without a variable, such as --yes, have no such tag.
func variables(node *kong.Node) []string {
	var names []string
	for _, flag := range node.Flags {
		if name := flag.Tag.Get(config.VarTag); name != "" {
			names = append(names, name)
		}
	}
	for _, child := range node.Children {
		names = append(names, variables(child)...)
	}
	return names
}

// normalizeArgs turns what people often type first into our commands: --version, and "help COMMAND".
//
//	composer-api --version        composer-api version
//	composer-api help keys list   composer-api keys list --help
func normalizeArgs(args []string) []string {
	switch {
	case len(args) == 1 && args[0] == "--version":
		return []string{"version"}
	case len(args) > 0 && args[0] == "help":
		return append(append([]string(nil), args[1:]...), "--help")
	}
	return args
}

// withoutCommand is err with a better hint when the command line begins with a flag that is one of a command's, of serve's
// as a rule: "composer-api --demo". Only the flag's name is repeated, for its value may be a secret.
//
//	composer-api: unknown flag --demo
//	hint: the command is missing: did you mean "composer-api serve --demo"?
//
// Subcommands are not searched: a flag of theirs is seldom typed without the command.
func withoutCommand(err error, root *kong.Node, args []string) error {
	if len(args) == 0 || !strings.HasPrefix(args[0], "--") {
		return err
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(args[0], "--"), "=")
	for _, command := range root.Children { // serve is the first
		for _, flag := range command.Flags {
			if flag.Name == name && !flag.Hidden {
				return &config.Error{Problem: err.Error(), Hint: fmt.Sprintf("the command is missing: did you mean %q?", "composer-api "+command.Name+" --"+name)}
			}
		}
	}
	return err
}

// helpWidth keeps the lines of --help readable on a wide terminal.
const helpWidth = 120

// A hinted error has a hint that says how to fix it. printError prints it on a line of its own.
type hinted struct {
	error
	hint string
}

// Unwrap returns the error without the hint.
func (h *hinted) Unwrap() error { return h.error }

// printError prints err for a person, and returns the exit code for it. An *agent.Error shows only its
// sentence for users: its cause is for logs.
//
//	error               hint                    exit code
//	*config.Error       its own                 2
//	*kong.ParseError    which --help to read    2
//	*hinted             its own                 1
//	*agent.Error        none                    1
//	any other           none                    1
func printError(stderr io.Writer, err error) int {
	var (
		setting *config.Error
		usage   *kong.ParseError
		hint    *hinted
		known   *agent.Error
	)
	// The order of the cases matters where errors are wrapped in each other: a wrong setting keeps
	// its exit code also inside of a hinted error.
	message, advice, code := err.Error(), "", exitFailed
	switch {
	case errors.As(err, &setting):
		message, advice, code = setting.Error(), setting.Hint, exitUsage
	case errors.As(err, &usage):
		advice, code = usageHint(usage), exitUsage
	case errors.As(err, &hint):
		advice = hint.hint
	case errors.As(err, &known):
		message = known.UserMessage()
	}
	fmt.Fprintf(stderr, "composer-api: %s\n", message)
	if advice != "" {
		fmt.Fprintf(stderr, "hint: %s\n", advice)
	}
	return code
}

// usageHint names the --help of the command that was typed, or the flag that does what was meant.
func usageHint(err *kong.ParseError) string {
	// Most servers have a flag each for host and port; here they are one.
	for _, flag := range []string{"--port", "--host", "--listen", "--bind"} {
		if strings.HasPrefix(err.Error(), "unknown flag "+flag) {
			return "the address is one flag: --addr 127.0.0.1:8787"
		}
	}
	command := "composer-api"
	if err.Context != nil {
		if node := err.Context.Selected(); node != nil {
			command = node.FullPath()
		}
	}
	return fmt.Sprintf("%q lists what there is", command+" --help")
}
