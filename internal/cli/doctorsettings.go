package cli

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/alecthomas/kong"

	"composer-api/internal/config"
	"composer-api/internal/doctor"
)

// The settings as the doctor finds them: the mistakes in them, and those that are set, with nothing of a secret.

// settings reads the settings as serve does. All that can't be used are in found, and not the first alone; the other
// results are of use only without any. An error is that of this command's own line.
func (c *doctorCmd) settings(p *process, found *doctor.Settings) (*config.Config, *kong.Context, error) {
	parser, cfg, err := serveParser(p.env)
	if err != nil {
		return nil, nil, err
	}
	// They were found when this process's variables were read.
	for _, w := range p.warnings {
		found.Doubtful = append(found.Doubtful, doctor.Fault{Text: w.Text, Cure: w.Hint})
	}
	// kong stops at the first bad value; asked one by one, all of them are found.
	for _, flag := range parser.Model.Children[0].Flags {
		// Children[0] is serve, the parser's only command. Resolve needs neither of the first two arguments.
		if _, err := p.env.Resolve(nil, nil, flag); err != nil {
			wrong := fault(err)
			wrong.Cure = "correct it, or leave it out for the default ('unset " + flag.Tag.Get(config.VarTag) + "'). It is: " + wrong.Cure
			found.Wrong = append(found.Wrong, wrong)
		}
	}
	if len(found.Wrong) > 0 {
		return nil, nil, nil
	}
	// kong's passthrough keeps the "--" that the user has typed before serve's flags.
	args := c.Serve
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	parsed, err := parser.Parse(append([]string{"serve"}, args...))
	// A flag that doesn't exist is this command's own error; a value that is wrong is a finding.
	var setting *config.Error
	if err != nil && !errors.As(err, &setting) {
		return nil, nil, &hinted{err, "'composer-api serve --help' lists the flags that may follow --"}
	}
	if err == nil {
		// The encryption keys are read now, because serve would refuse to start without a good one.
		_, err = newRing(&cfg.Storage)
	}
	if err != nil {
		found.Wrong = append(found.Wrong, fault(err))
	}
	return cfg, parsed, nil
}

// fault is an error as a finding.
func fault(err error) doctor.Fault {
	// Both types carry a hint of their own. The text of any other error is shown as it is.
	var setting *config.Error
	var hint *hinted
	switch {
	case errors.As(err, &setting):
		return doctor.Fault{Text: setting.Error(), Cure: setting.Hint}
	case errors.As(err, &hint):
		return doctor.Fault{Text: hint.Error(), Cure: hint.hint}
	}
	return doctor.Fault{Text: err.Error(), Cure: "'composer-api serve --help' says what the settings are"}
}

// settingsOf lists the settings that are set, by a flag or a variable, in the order of serve's help.
func settingsOf(p *process, parsed *kong.Context) []doctor.Setting {
	given := map[string]bool{}
	for _, path := range parsed.Path {
		// What a resolver has set came from a variable.
		if path.Flag != nil && !path.Resolved {
			given[path.Flag.Name] = true
		}
	}
	// Only flags that have a variable are settings: --help, for one, has none.
	var set []doctor.Setting
	for _, flag := range parsed.Flags() {
		name := flag.Tag.Get(config.VarTag)
		value, origin, ok := p.env.Lookup(name)
		switch {
		case name == "":
			continue
		// A flag counts more than the variable.
		case given[flag.Name]:
			value, origin = fmt.Sprint(flag.Target.Interface()), "flag"
		case !ok:
			continue
		}
		set = append(set, doctor.Setting{Name: name, Value: masked(name, value), Origin: origin})
	}
	return set
}

// masked is a setting's value without what must not be seen: all of a secret, and the password and the query of an address.
func masked(name, value string) string {
	if config.HoldsSecret(name) {
		return "…"
	}
	if u, err := url.Parse(value); err == nil && u.Host != "" {
		// DSNs have passwords there, too: "?password=…".
		if u.RawQuery != "" {
			u.RawQuery = "…"
		}
		return u.Redacted()
	}
	return value
}
