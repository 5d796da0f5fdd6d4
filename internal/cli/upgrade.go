package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"composer-api/internal/config"
	"composer-api/internal/upgrade"
)

// upgradeCmd is 'upgrade'.
//
// Package upgrade says what a release is and how its program comes into place; decisions/0080 says what is signed.
type upgradeCmd struct {
	Check    bool           `xor:"what" help:"Only say which release is the newest."`
	Rollback bool           `xor:"what" help:"Put back the program that the last upgrade replaced."`
	Releases config.BaseURL `name:"releases" var:"COMPOSER_RELEASES" placeholder:"URL" help:"Where releases are, in place of where this program's was published. The key that verifies them is this program's in any case."`
	CAFile   string         `name:"ca-file" var:"COMPOSER_CA_FILE" placeholder:"FILE" help:"Additional certificate authorities to trust, as PEM."`
}

// upgradeTimeout is the most that an upgrade may take; 20 MB come in it at 40 KB a second.
const upgradeTimeout = 10 * time.Minute

// Help is what --help prints below the command's line.
func (upgradeCmd) Help() string {
	return "The release's checksums have to be signed with the key that is built into this program, and the download to fit them. The new program is run once, then takes the place of this one in one step; this one stays beside it as composer-api.previous. " +
		"A gateway that runs goes on with the old program until it is started again. Where a package manager has installed the program, its own command is printed, and nothing is done."
}

// Run upgrades, or does what the flags say instead. It fails when nothing could be done about a newer release.
func (c *upgradeCmd) Run(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, upgradeTimeout)
	defer cancel()
	// One bound for all of it, the checks by package managers included.
	u, err := c.upgrader(p)
	if err != nil {
		return err
	}
	// Rolling back needs no network and no release: the previous program lies beside this one.
	if c.Rollback {
		back, err := u.Rollback(ctx)
		if err != nil {
			return upgradeHint(err)
		}
		return restart(p, back+" is back; 'composer-api upgrade --rollback' takes that back, too")
	}
	newest, err := u.Newest(ctx)
	if err != nil {
		return upgradeHint(err)
	}
	if !u.Newer(newest) {
		_, err := fmt.Fprintf(p.stdout, "this is %s, and the newest release is %s\n", u.Version, newest.Version)
		return err
	}
	// A package manager would overwrite our program, or take its own for broken.
	owner, owned := u.Owner(ctx, newest)
	switch how := "composer-api upgrade"; {
	case c.Check:
		if owned {
			how = owner.Command
		}
		_, err := fmt.Fprintf(p.stdout, "this is %s, and %s is the newest release: %s\n", u.Version, newest.Version, how)
		return err
	case owned:
		return &hinted{fmt.Errorf("%s belongs to %s, which would not know of the new program", u.Program, owner.Name), owner.Command}
	}
	// Printed before the download, which may take minutes.
	fmt.Fprintf(p.stdout, "upgrading %s from %s to %s\n", u.Program, u.Version, newest.Version)
	if err := u.Install(ctx, newest); err != nil {
		return upgradeHint(err)
	}
	return restart(p, newest.Version+" is in place; 'composer-api upgrade --rollback' puts "+u.Version+" back")
}

// upgrader is that of this program.
func (c *upgradeCmd) upgrader(p *process) (*upgrade.Upgrader, error) {
	// releases and releaseKey are set by the linker when a release is built (version.go).
	from := cmp.Or(string(c.Releases), releases)
	// A program that was built from the source has no place where its releases are.
	if from == "" && !c.Rollback {
		return nil, &hinted{errors.New("this program does not know where its releases are: it was not made by a release"), "build it from its source, or set COMPOSER_RELEASES to where releases are"}
	}
	program, err := os.Executable()
	if err == nil {
		// A link to it stays a link: its target is what is replaced.
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return nil, err
	}
	client, err := newHTTPClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	return &upgrade.Upgrader{
		Releases: from, Key: releaseKey, Version: buildVersion(), Program: program, OS: runtime.GOOS, Arch: runtime.GOARCH,
		HTTP: client, Ask: askVersion, Query: queryOf(p),
	}, nil
}

// askVersion runs a program of ours and returns its version.
func askVersion(ctx context.Context, program string) (string, error) {
	// The context of the whole upgrade would let a program that hangs wait for minutes.
	const most = 30 * time.Second // a virus scanner looks at it first
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	var failed bytes.Buffer
	command := exec.CommandContext(ctx, program, "version")
	command.Stderr = &failed
	// A program that doesn't run here, such as one for another processor, fails now and not at the next start of the gateway.
	printed, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(failed.String()))
	}
	return upgrade.ParseVersion(string(printed)), nil
}

// queryOf runs commands that are found by the process's PATH, and tells whether they succeeded.
func queryOf(p *process) func(context.Context, ...string) bool {
	// Used to ask package managers whether they own the program's file. What they print is of no interest.
	return func(ctx context.Context, line ...string) bool {
		program, err := lookPath(p.env.Get("PATH"))(line[0])
		if err != nil {
			return false
		}
		command := exec.CommandContext(ctx, program, line[1:]...)
		command.Env = p.env.Process()
		return command.Run() == nil
	}
}

// restart prints what was done, and what is left to do.
func restart(p *process, done string) error {
	_, err := fmt.Fprintf(p.stdout, "%s\na gateway that runs goes on with the program it was started from: start it again ('composer-api service install' does, for a service)\n", done)
	return err
}

// upgradeHint is an error of package upgrade as the command line prints it.
func upgradeHint(err error) error {
	// Anything else is printed as it is.
	var known *upgrade.Error
	if errors.As(err, &known) {
		return &hinted{known, known.Hint}
	}
	return err
}
