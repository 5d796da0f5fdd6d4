package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"composer-api/internal/doctor"
)

// 'doctor': the settings as serve would have them, put together as the subject of package doctor.

// doctorCmd is 'doctor'.
// It has no settings of its own: those that count are serve's, and reach it by variables, .env or
// behind "--".
type doctorCmd struct {
	// JSON prints an examination in place of the lines for a person.
	JSON bool `name:"json" help:"Print one JSON document in place of the table."`
	// NoTurn leaves out the one check that costs anything.
	NoTurn bool `help:"Don't ask the model for a word, which costs a fraction of a cent."`
	// Serve are flags of serve. They are parsed by serve's own parser (doctorsettings.go).
	Serve []string `arg:"" optional:"" passthrough:"" placeholder:"-- FLAGS" help:"Flags of 'serve', after --, to look at a gateway that is started with them."`
}

// Help is what --help prints below the command's line.
func (doctorCmd) Help() string {
	return "Looks at the settings, the way to Cursor, the key, the bridge, the database and what is around them, as 'serve' would find them here. Each thing that is wrong is named with what cures it. " +
		"The exit code is 1 when something is broken. What is printed holds no secrets."
}

// Run looks at everything, and prints each finding as soon as it is there; with --json all of them at the end.
func (c *doctorCmd) Run(ctx context.Context, p *process) error {
	// Nothing is connected or written yet; the subject holds functions, which Examine calls one
	// after the other.
	subject, err := c.subject(ctx, p)
	if err != nil {
		return err
	}
	out := examination{Version: subject.Version, Findings: []doctor.Finding{}}
	out.Healthy = doctor.Examine(ctx, subject, func(f doctor.Finding) {
		// The network checks take seconds, so a person sees each finding at once.
		out.Findings = append(out.Findings, f)
		if !c.JSON {
			printFinding(p.stdout, &f)
		}
	})
	if c.JSON {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(out); err != nil {
			return err
		}
	}
	// Only "broken" makes it unhealthy; what is merely doubtful leaves the exit code at 0.
	if !out.Healthy {
		return errors.New("something is broken")
	}
	return nil
}

// An examination is what --json prints. Members are only ever added.
type examination struct {
	// Version is the program's, as 'version' prints its first line.
	Version string `json:"version"`
	// Healthy says that no finding is broken. It decides the exit code.
	Healthy bool `json:"healthy"`
	// Findings are in the order of the checks. They hold no secrets: the output is made to be pasted into an issue.
	Findings []doctor.Finding `json:"findings"`
}

// printFinding prints a finding for a person:
//
//	broken   key       Cursor does not accept the key of .env line 3: it is wrong, was revoked, or has expired
//	                   cure: create a key in the Cursor dashboard …
func printFinding(w io.Writer, f *doctor.Finding) {
	// As wide as the two columns before the text.
	const indent = "                    "
	fmt.Fprintf(w, "%-8s  %-8s  %s", f.Level, f.Check, f.Text)
	if f.Took > 0 {
		fmt.Fprintf(w, " (%d ms)", f.Took)
	}
	fmt.Fprintln(w)
	for _, line := range f.Details {
		fmt.Fprintf(w, "%s%s\n", indent, line)
	}
	if f.Cure != "" {
		fmt.Fprintf(w, "%scure: %s\n", indent, f.Cure)
	}
}
