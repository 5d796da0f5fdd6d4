package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"composer-api/internal/config"
	"composer-api/internal/service"
)

// The gateway as a service. Which file and which commands a system needs is package service's; here they are written and run.

// serviceCmd is 'service': the gateway as a service of the user.
type serviceCmd struct {
	Install   serviceInstallCmd   `cmd:"" help:"Start the gateway now, whenever you log in, and again when it fails."`
	Uninstall serviceUninstallCmd `cmd:"" help:"End the service, and remove it."`
	Status    serviceStatusCmd    `cmd:"" help:"Show what the system says of the service."`
	Logs      serviceLogsCmd      `cmd:"" help:"Show the end of the service's log."`
}

// serviceInstallCmd is 'service install'.
type serviceInstallCmd struct {
	DryRun bool     `help:"Print the file and the commands, and do nothing."`
	Serve  []string `arg:"" optional:"" passthrough:"" placeholder:"-- FLAGS" help:"Flags of 'serve', after --."`
}

// Help is what --help prints below the command's line.
func (serviceInstallCmd) Help() string {
	return "It is a service of yours and not of the machine: systemd's on Linux, launchd's on macOS, a task on Windows. It sees no variables of this shell: its settings are flags after --, or lines of the file .env in the state folder, " +
		"and its Cursor key lies in the file cursor-key there, or in the keyring ('composer-api cursor-key set')."
}

// Run writes the service's file and starts it. One that is installed already is replaced.
func (c *serviceInstallCmd) Run(ctx context.Context, p *process) error {
	m, state, err := manager(p, c.flags())
	if err != nil {
		return err
	}
	addr, err := c.address(state)
	if err != nil {
		return err
	}
	if c.DryRun {
		fmt.Fprintf(p.stdout, "# %s\n%s\n", m.File, m.Text)
		for _, line := range m.Start {
			fmt.Fprintf(p.stdout, "# %s\n", strings.Join(line, " "))
		}
		return nil
	}
	// An installed service is ended first. Its manager would otherwise go on with the old file.
	if m.Installed() {
		for _, line := range m.Stop {
			_ = tell(ctx, p, io.Discard, line) // it may not run
		}
	}
	if err := m.Write(); err != nil {
		return err
	}
	// What the manager prints goes to stderr, so that stdout has only the lines below.
	for _, line := range m.Start {
		if err := tell(ctx, p, p.stderr, line); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.stdout, "installed %s\n", m.File)
	fmt.Fprintf(p.stdout, "address   %s/v1 for OpenAI clients, %s for Anthropic's\n", addr, addr)
	fmt.Fprintf(p.stdout, "settings  %s, then 'composer-api service install' again\n", filepath.Join(state, ".env"))
	fmt.Fprintf(p.stdout, "key       %s, if the gateway is to have one of its own\n", filepath.Join(state, cursorKeyFile))
	if m.Note != "" {
		fmt.Fprintf(p.stdout, "note      %s\n", m.Note)
	}
	warnOfUnseen(p)
	return nil
}

// flags are those of serve, without the -- before them.
func (c *serviceInstallCmd) flags() []string {
	if len(c.Serve) > 0 && c.Serve[0] == "--" {
		return c.Serve[1:]
	}
	return c.Serve
}

// address is where the service will listen, by its flags and the .env of its folder. Flags that serve would refuse are refused
// now, and not when nobody looks.
func (c *serviceInstallCmd) address(state string) (string, error) {
	// nil: the service sees none of this shell's variables. It works in the state folder and reads the .env there.
	env, err := config.NewEnv(nil, state)
	if err != nil {
		return "", err
	}
	parser, cfg, err := serveParser(env)
	if err != nil {
		return "", err
	}
	if _, err := parser.Parse(append([]string{"serve"}, c.flags()...)); err != nil {
		return "", err
	}
	return string(clientRoot(cfg, string(cfg.Addr))), nil
}

// warnOfUnseen names the settings of this shell, which the service does not see.
func warnOfUnseen(p *process) {
	// A warning and no error: the same setting may be in the .env of the state folder already.
	var unseen []string
	// p.variables are those that any command knows. The ones that are set here are most likely meant for the gateway.
	for _, name := range slices.Compact(slices.Sorted(slices.Values(p.variables))) {
		if _, origin, ok := p.env.Lookup(name); ok {
			unseen = append(unseen, name+" ("+origin+")")
		}
	}
	if len(unseen) > 0 {
		fmt.Fprintf(p.stderr, "composer-api: warning: the service does not see %s\nhint: put them into the files above\n", strings.Join(unseen, ", "))
	}
}

// serviceUninstallCmd is 'service uninstall'.
type serviceUninstallCmd struct{}

// Run ends the service and removes its file. What it keeps, keys and the database, stays.
func (c *serviceUninstallCmd) Run(ctx context.Context, p *process) error {
	// Only what Start has set up is undone. Stop comes before Remove: a manager may need the file to end the service.
	m, _, err := installed(p)
	if err != nil {
		return err
	}
	for _, line := range m.Stop {
		if err := tell(ctx, p, p.stderr, line); err != nil {
			fmt.Fprintf(p.stderr, "composer-api: warning: %v\n", err) // it may not run; the file goes all the same
		}
	}
	// A file that can't be removed is an error: the service would still count as installed.
	if err := m.Remove(); err != nil {
		return err
	}
	for _, line := range m.After {
		if err := tell(ctx, p, p.stderr, line); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.stdout, "removed %s\n", m.File)
	return nil
}

// serviceStatusCmd is 'service status'.
// Its exit code is the manager's verdict, for scripts.
type serviceStatusCmd struct{}

// Run prints what the system says. It fails when the service does not run.
func (c *serviceStatusCmd) Run(ctx context.Context, p *process) error {
	m, _, err := installed(p)
	if err != nil {
		return err
	}
	// The manager's own words: each shows other things, and people who know it find their way in them.
	return tell(ctx, p, p.stdout, m.Status)
}

// serviceLogsCmd is 'service logs'.
type serviceLogsCmd struct{}

// logTail is how much of a log file is shown, in bytes.
const logTail = 64 << 10

// Run prints the end of the log.
func (c *serviceLogsCmd) Run(ctx context.Context, p *process) error {
	m, _, err := installed(p)
	if err != nil {
		return err
	}
	// systemd has a journal, which a command prints. The other two write into a file of ours.
	if m.Logs != nil {
		return tell(ctx, p, p.stdout, m.Logs)
	}
	file, err := os.Open(m.LogFile)
	if err != nil {
		return err
	}
	defer file.Close()
	// Of a longer file only the end is shown, and its first line may be half of one.
	if info, err := file.Stat(); err == nil && info.Size() > logTail {
		_, err = file.Seek(-logTail, io.SeekEnd)
		if err != nil {
			return err
		}
	}
	_, err = io.Copy(p.stdout, file)
	return err
}

// installed is the manager of a service that is installed.
func installed(p *process) (m *service.Manager, state string, err error) {
	m, state, err = manager(p, nil)
	if err == nil && !m.Installed() {
		// Whether it runs is another question, which the manager's Status answers.
		err = &hinted{errors.New("no service is installed"), "'composer-api service install' installs one"}
	}
	return m, state, err
}

// manager is that of this system, for a service with the flags of serve. The state folder is made, because the service works
// in it.
func manager(p *process, flags []string) (m *service.Manager, state string, err error) {
	if state, err = p.env.StateDir(); err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, "", err
	}
	// The service starts this very file. After an upgrade in place it starts the new one.
	program, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	// What service.For needs of this machine is handed in, so that its tests can be of any system.
	host := &service.Host{Home: p.env.Get("HOME"), ConfigHome: p.env.Get("XDG_CONFIG_HOME"), UID: os.Getuid()}
	if who, err := user.Current(); err == nil {
		host.User = who.Username
	}
	m, err = service.For(runtime.GOOS, host, &service.Service{Program: program, Args: flags, State: state})
	if err != nil {
		return nil, "", &hinted{err, "start 'composer-api serve' by what your system has for it"}
	}
	return m, state, nil
}

// tell runs a command of the manager. What it prints on standard output goes to out.
func tell(ctx context.Context, p *process, out io.Writer, line []string) error {
	program, err := lookPath(p.env.Get("PATH"))(line[0])
	if err != nil {
		return &hinted{fmt.Errorf("%s is not installed here", line[0]), "start 'composer-api serve' by what your system has for it; 'composer-api service install --dry-run' prints the file"}
	}
	// With the process's variables: systemctl --user finds its manager by XDG_RUNTIME_DIR.
	command := exec.CommandContext(ctx, program, line[1:]...)
	// No stdin: nobody is asked anything by a manager.
	command.Stdout, command.Stderr, command.Env = out, p.stderr, p.env.Process()
	if err := command.Run(); err != nil {
		return &hinted{fmt.Errorf("'%s' failed: %w", strings.Join(line, " "), err), "what it has printed says why; where nobody is logged in, 'loginctl enable-linger' starts the user's manager on Linux"}
	}
	return nil
}
