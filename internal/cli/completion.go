package cli

import (
	"context"
	"embed"
	"fmt"
)

// Completion has two sides: a script for each shell, which asks 'complete' what may stand where the cursor is, and 'complete',
// which answers from the tree of commands. So a new flag is completed as soon as it is there.

// scripts are one for each shell.
//
//go:embed completions
var scripts embed.FS

// completionCmd is 'completion SHELL'.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish,powershell" help:"The shell: bash, zsh, fish or powershell."`
}

// Help is what --help prints below the command's line.
func (completionCmd) Help() string {
	return "Put the script where your shell looks for it:\n\n" +
		"bash: composer-api completion bash > ~/.local/share/bash-completion/completions/composer-api\n\n" +
		"zsh: composer-api completion zsh > \"${fpath[1]}/_composer-api\"\n\n" +
		"fish: composer-api completion fish > ~/.config/fish/completions/composer-api.fish\n\n" +
		"PowerShell: composer-api completion powershell >> $PROFILE"
}

// Run prints the script.
func (c *completionCmd) Run(_ context.Context, p *process) error {
	script, err := scripts.ReadFile("completions/" + c.Shell)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s", script)
	return err
}
