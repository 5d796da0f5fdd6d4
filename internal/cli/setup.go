package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"text/tabwriter"

	"composer-api/internal/setup"
)

// setupCmd sets clients up. "setup CLIENT" is the command setupClientCmd.
// The commands only put questions and show answers; what is changed in which file is package
// setup's.
type setupCmd struct {
	Client setupClientCmd `cmd:"" default:"withargs" help:"Set a client up for the gateway; without a name, those that are found, one after the other."`
	List   setupListCmd   `cmd:"" help:"List the clients: which are installed, and which point at the gateway."`
	Undo   setupUndoCmd   `cmd:"" help:"Put a client's configuration back as it was."`
	Verify setupVerifyCmd `cmd:"" help:"Run the real client once, without its user interface, through a call of a tool."`
}

// consent is how a command asks before it writes.
//
// Without either flag the person is asked on stdin.
type consent struct {
	// Yes answers each question with yes.
	Yes bool `short:"y" help:"Write without asking."`
	// DryRun wins over Yes: nothing is asked and nothing written.
	DryRun bool `help:"Show what would be written, and write nothing."`
}

// setupClientCmd is 'setup CLIENT'.
type setupClientCmd struct {
	offer   `embed:""`
	consent `embed:""`
	Client  string `arg:"" optional:"" complete:"clients" help:"The client, as 'setup list' names it."`
}

// Help is what --help prints below the command's line.
func (setupClientCmd) Help() string {
	return "The change is shown before it is written. Comments and the order of the file stay. What was there is kept in the state folder: 'composer-api setup undo CLIENT' puts it back. " +
		"A Cursor key is never written into a file."
}

// Run sets up the client, or each that is installed.
func (c *setupClientCmd) Run(ctx context.Context, p *process) error {
	m, err := machine(p)
	if err != nil {
		return err
	}
	var client setup.Client
	if c.Client != "" {
		// A name that is mistyped is told before the gateway is asked for anything.
		if client, err = findClient(c.Client); err != nil {
			return err
		}
	}
	// Asked once, and before the first question: all clients are told the same.
	gateway, err := c.gateway(ctx, p, c.DryRun)
	if err != nil {
		return err
	}
	asker := newAsker(p, &c.consent)
	if c.Client != "" {
		return c.setUp(m, client, gateway, asker)
	}
	// Without a name: all that are found here.
	found := false
	// In the order of the table, which is that of 'setup list'. An error of one client is printed,
	// and the next is set up all the same.
	for _, client := range setup.Clients() {
		where := client.Installed(m)
		if where == "" {
			continue
		}
		found = true
		fmt.Fprintf(p.stdout, "\n%s (%s)\n", client.Name, where)
		switch err := c.setUp(m, client, gateway, asker); {
		case asker.ended:
			return err // nobody is there to be asked about the others
		case errors.Is(err, errDeclined):
			fmt.Fprintf(p.stdout, "%s stays as it is\n", client.Name)
		case err != nil:
			printError(p.stderr, err)
		}
	}
	if !found {
		return &hinted{errors.New("no client that composer-api knows is installed"), "'composer-api setup list' lists them; 'composer-api setup CLIENT' sets one up that is not found"}
	}
	return nil
}

// setUp shows the change, asks, and writes.
//
// The steps that are left to the person are printed at the end, also when there was nothing to
// write.
func (c *setupClientCmd) setUp(m *setup.Machine, client setup.Client, gateway *setup.Gateway, asker *asker) error {
	// The plan reads files and writes none. Apply checks that they are still what was read.
	plan, err := setup.PlanSetup(m, client, gateway)
	if err != nil {
		return &hinted{err, "correct the file, or set the client up by hand, as docs/clients.md says (the page /docs/clients of the gateway)"}
	}
	// A person who says no gets no steps: without the change they are of no use.
	if err := asker.apply(plan, client.Name+" is set up; '"+asker.p.program()+" setup undo "+client.ID+"' puts it back"); err != nil {
		return err
	}
	for _, step := range plan.Steps {
		fmt.Fprintf(asker.p.stdout, "by hand: %s\n", step)
	}
	return nil
}

// setupListCmd is 'setup list'.
type setupListCmd struct {
	gatewayFlags `embed:""`
}

// Run prints the clients as a table.
func (c *setupListCmd) Run(ctx context.Context, p *process) error {
	m, err := machine(p)
	if err != nil {
		return err
	}
	models, err := builtInModels(ctx)
	if err != nil {
		return err
	}
	at := c.place(ctx, p)
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CLIENT\tNAME\tINSTALLED\tSTATE")
	for _, client := range setup.Clients() {
		// Look needs no key: it compares addresses and the record of what was written.
		state := setup.Look(m, client, &setup.Gateway{Root: at.root, Models: models})
		installed := state.Installed
		if installed == "" {
			installed = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", client.ID, client.Name, installed, stateText(&state))
	}
	return w.Flush()
}

// stateText is a state in a few words. The order of the cases is from good to odd.
func stateText(s *setup.State) string {
	switch {
	case s.Problem != nil:
		return "unreadable: " + s.Problem.Error()
	case s.Ours && s.Intact && s.Points:
		return "set up"
	case s.Ours && s.Points:
		return "set up, and changed since"
	case s.Ours:
		return "set up for another gateway, or changed since"
	case s.Points:
		return "points here"
	}
	return "-"
}

// setupUndoCmd is 'setup undo CLIENT'.
type setupUndoCmd struct {
	consent `embed:""`
	Client  string `arg:"" complete:"clients" help:"The client, as 'setup list' names it."`
}

// Help is what --help prints below the command's line.
func (setupUndoCmd) Help() string {
	return "A file that was not touched since becomes what it was, byte for byte. In a file that was edited meanwhile, what composer-api has set is put back and the rest stays. " +
		"A value of composer-api's that was changed since is shown, and stays: put it right by hand."
}

// Run shows the change, asks, and writes. Conflicts make it fail after it has put back the rest.
func (c *setupUndoCmd) Run(_ context.Context, p *process) error {
	m, err := machine(p)
	if err != nil {
		return err
	}
	client, err := findClient(c.Client)
	if err != nil {
		return err
	}
	// No gateway is asked: what to undo stands in the record.
	plan, err := setup.PlanUndo(m, client)
	if err != nil {
		return err
	}
	// Shown before the question, so that the person can still say no.
	for _, conflict := range plan.Conflicts {
		fmt.Fprintf(p.stdout, "conflict: %s, %s\n  before   %s\n  ours     %s\n  now      %s\n", conflict.File, conflict.Path,
			orNothing(conflict.Before), plan.Mask(conflict.Ours), plan.Mask(orNothing(conflict.Here)))
	}
	if err := newAsker(p, &c.consent).apply(plan, client.Name+" is as it was before"); err != nil {
		return err
	}
	// An error, so that a script does not take the client for put back.
	if len(plan.Conflicts) > 0 {
		changed := "1 value was changed since, and stays as it is"
		if n := len(plan.Conflicts); n > 1 {
			changed = fmt.Sprintf("%d values were changed since, and stay as they are", n)
		}
		return &hinted{errors.New(changed), "change them by hand, then type 'composer-api setup undo " + client.ID + "' again"}
	}
	return nil
}

// orNothing is a value for people, of whom "" would show nothing.
func orNothing(value string) string {
	if value == "" {
		return "nothing"
	}
	return value
}

// setupVerifyCmd is 'setup verify CLIENT'.
type setupVerifyCmd struct {
	offer  `embed:""`
	Client string `arg:"" complete:"clients" help:"The client, as 'setup list' names it."`
}

// Run runs the client. It costs a turn or two of the model.
func (c *setupVerifyCmd) Run(ctx context.Context, p *process) error {
	m, err := machine(p)
	if err != nil {
		return err
	}
	client, err := findClient(c.Client)
	if err != nil {
		return err
	}
	// true: verifying writes no file of ours, so it makes no token, either.
	gateway, err := c.gateway(ctx, p, true)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s runs, and is given %d minutes at most\n", client.Name, int(setup.VerifyLimit.Minutes()))
	// The client gets the variables of this process, with those of .env: a reference to
	// CURSOR_API_KEY must resolve as it would for the user.
	result, err := setup.Verify(ctx, m, client, gateway, p.env.Process())
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "ran       %s\ntook      %.1f s\n", result.Command, result.Took.Seconds())
	switch {
	case result.Worked && result.Edits:
		fmt.Fprintf(p.stdout, "result    ok: the model wrote an edit, and %s made it in the file\n", client.Name)
		return nil
	case result.Worked:
		fmt.Fprintf(p.stdout, "result    ok: the model called a tool, %s ran it, and the answer has its result\n", client.Name)
		return nil
	}
	// What the client has printed helps only after a failure.
	fmt.Fprintf(p.stdout, "printed\n%s\n", result.Output)
	failed := fmt.Errorf("%s did not give the answer that only its tool could have told", client.Name)
	if result.Edits {
		failed = fmt.Errorf("%s did not change its file as the model was asked to", client.Name)
	}
	return &hinted{failed, "see what it printed, and what 'serve' has logged; 'composer-api setup list' shows whether it is set up for this gateway"}
}

// findClient finds a client by its id.
func findClient(id string) (setup.Client, error) {
	client, ok := setup.ByID(strings.ToLower(id))
	if !ok {
		return client, &hinted{fmt.Errorf("there is no client %q", id), "'composer-api setup list' lists them"}
	}
	return client, nil
}

// machine is this one, with the variables of the process.
func machine(p *process) (*setup.Machine, error) {
	state, err := p.env.StateDir()
	if err != nil {
		return nil, err
	}
	// Everything that package setup looks at is in this value, so that its tests can have a machine of any system.
	return &setup.Machine{GOOS: runtime.GOOS, Getenv: p.env.Get, LookPath: lookPath(p.env.Get("PATH")), State: state}, nil
}

// lookPath finds programs on a PATH that need not be the process's own.
//
// Tests have a PATH of their own, and .env may set one.
func lookPath(path string) func(string) (string, error) {
	return func(program string) (string, error) {
		if path == os.Getenv("PATH") {
			return exec.LookPath(program) // which knows Windows' endings, too
		}
		for _, dir := range strings.Split(path, string(os.PathListSeparator)) {
			file := dir + string(os.PathSeparator) + program
			// Executable for anybody: whether for this user, the start itself will tell.
			if info, err := os.Stat(file); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
				return file, nil
			}
		}
		return "", exec.ErrNotFound
	}
}

// An asker shows plans and asks about them.
//
// One for all clients of a command: its reader may have read the answers to later questions
// already.
type asker struct {
	// p is where the questions go and the answers come from.
	p *process
	// how is what the flags have answered already.
	how *consent
	// in reads p.stdin, for as long as the command runs.
	in *bufio.Reader
	// ended says that the input has ended before an answer.
	ended bool
}

// newAsker makes an asker that reads from the process's stdin. Nothing is read before the first
// question.
func newAsker(p *process, how *consent) *asker {
	return &asker{p: p, how: how, in: bufio.NewReader(p.stdin)}
}

// errDeclined is what a person has said.
//
// An error and not silence, so that the exit code tells a script that nothing has changed.
var errDeclined = errors.New("nothing was written")

// apply shows the plan, asks, and applies it. done is printed when it was.
func (a *asker) apply(plan *setup.Plan, done string) error {
	if !plan.Writes() {
		if plan.Steps == nil {
			fmt.Fprintln(a.p.stdout, "there is nothing to do: it is so already")
		}
		return nil
	}
	// The local token is masked in it. A plan that only ends a record has none.
	if diff := plan.Diff(); diff != "" {
		fmt.Fprint(a.p.stdout, diff)
	}
	switch {
	case a.how.DryRun:
		return nil
	case !a.how.Yes:
		fmt.Fprint(a.p.stdout, "Write this? [y/N] ")
		line, err := a.in.ReadString('\n')
		// stdin is closed or /dev/null. A last line without its line break is an answer.
		if err == io.EOF && line == "" {
			fmt.Fprintln(a.p.stdout)
			a.ended = true
			return &hinted{errDeclined, "use --yes where nobody can be asked"}
		}
		if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
			return errDeclined
		}
	}
	if err := plan.Apply(); err != nil {
		return err
	}
	fmt.Fprintln(a.p.stdout, done)
	return nil
}
