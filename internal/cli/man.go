package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"composer-api/internal/config"
)

// manCmd is 'man'.
type manCmd struct{}

// Help is what --help prints below the command's line.
func (manCmd) Help() string {
	return "It is made from the tree of commands: 'composer-api man | man -l -' shows it, and packages put it where 'man composer-api' finds it."
}

// Run prints the page.
func (manCmd) Run(_ context.Context, p *process, parsed *kong.Context) error {
	_, err := fmt.Fprint(p.stdout, manual(parsed.Model))
	return err
}

// manual is the manual page composer-api(1), in the macros of man(7). It has no date and no version, so that it is the same
// for the same tree.
func manual(app *kong.Application) string {
	// The sections and their order are those of man-pages(7).
	m := &page{}
	m.macro(".TH COMPOSER-API 1 \"\" \"\" \"Composer API\"")
	m.macro(".SH NAME")
	m.text("composer-api - Cursor's Composer models for OpenAI and Anthropic clients")
	m.macro(".SH SYNOPSIS")
	m.macro(".B composer-api")
	m.text("COMMAND [FLAGS]")
	m.macro(".SH DESCRIPTION")
	m.text(app.Help)
	m.macro(".SH COMMANDS")
	m.commands(app.Node)
	m.macro(".SH ENVIRONMENT")
	m.text("A setting that has a variable, in brackets, is taken from the flag, the environment, .dev.vars or .env in the working directory, in this order. Secrets are variables only: " + secretSettings + ".")
	m.macro(".SH EXIT STATUS")
	m.text("0 when all went well, 1 when the command could not do its work, 2 when the command line or a setting is wrong.")
	return m.String()
}

// A page is a manual page that is being written.
// Writing to it can't fail.
type page struct{ strings.Builder }

// macro writes a line for the formatter.
func (m *page) macro(line string) { m.WriteString(line + "\n") }

// text writes a paragraph. What would be a command for the formatter is none in it.
func (m *page) text(text string) {
	// A backslash begins an escape, and a bare "-" may be shown as a typographic hyphen, which can't be pasted into a shell.
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	for _, line := range strings.Split(text, "\n") {
		// A dot or an apostrophe at the beginning of a line makes it a macro; \& is an empty character.
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		m.WriteString(line + "\n")
	}
}

// commands writes the commands below a node, with their flags, in the order of --help. A command that is typed without a name
// is written as the one above it.
func (m *page) commands(node *kong.Node) {
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		// A subsection each, also for commands below commands: man has no third level.
		m.macro(".SS")
		m.text(typed(child))
		m.text(child.Help)
		if child.Detail != "" {
			m.macro(".PP")
			m.text(child.Detail)
		}
		for _, arg := range child.Positional {
			m.item(arg.Summary(), arg.Help)
		}
		// Flags of the commands above are listed there.
		for _, flag := range child.Flags {
			if !flag.Hidden {
				m.item(flag.String(), config.HelpValue(flag.Value))
			}
		}
		m.commands(child)
	}
}

// typed is how a command is typed: one that is the default of that above it needs no name.
func typed(node *kong.Node) string {
	if node.Parent != nil && node.Parent.DefaultCmd == node {
		node = node.Parent
	}
	return node.Path()
}

// item writes a flag or an argument with its sentence.
func (m *page) item(name, help string) {
	m.macro(".TP")
	m.text(name)
	m.text(help)
}
