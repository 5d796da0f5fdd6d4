package service

import (
	"cmp"
	"path/filepath"
	"strings"
)

// systemd's unit. What of its sandbox needs a mount namespace is left out: the manager of a user can't make one on every system,
// and the unit would not start there. Source: systemd.exec(5).
const unit = `# Written by 'composer-api service install', and removed by 'composer-api service uninstall'.
[Unit]
Description=Composer API: Cursor's Composer models for OpenAI and Anthropic clients
Documentation=man:composer-api(1)

[Service]
Type=exec
ExecStart={{exec}}
WorkingDirectory={{state}}
Restart=on-failure
RestartSec=2
# Streams may finish before it ends: a little more than COMPOSER_GRACE.
TimeoutStopSec=30
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
`

// systemd is the user's own manager on Linux.
func systemd(h *Host, s *Service) (*Manager, error) {
	const file = name + ".service"
	words := []string{quoteUnit(s.Program), "serve"}
	for _, arg := range s.Args {
		words = append(words, quoteUnit(arg))
	}
	ctl := func(args ...string) []string { return append([]string{"systemctl", "--user"}, args...) }
	return &Manager{
		Name:   "systemd",
		File:   filepath.Join(cmp.Or(h.ConfigHome, filepath.Join(h.Home, ".config")), "systemd", "user", file),
		Text:   []byte(strings.NewReplacer("{{exec}}", strings.Join(words, " "), "{{state}}", specifiers(s.State)).Replace(unit)),
		Start:  [][]string{ctl("daemon-reload"), ctl("enable", file), ctl("restart", file)},
		Stop:   [][]string{ctl("disable", "--now", file)},
		After:  [][]string{ctl("daemon-reload")},
		Status: ctl("status", "--no-pager", file),
		Logs:   []string{"journalctl", "--user", "--no-pager", "-n", "200", "-u", file},
		Note:   "It ends when you log out; 'loginctl enable-linger' lets it run without a log-in.",
	}, nil
}

// quoteUnit is a word of a command line in a unit. Source: systemd.syntax(7), "Quoting", and systemd.service(5), "Command
// lines", for the dollar.
func quoteUnit(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "$", "$$").Replace(specifiers(word)) + `"`
}

// specifiers keeps percent signs from being read as systemd's specifiers.
func specifiers(text string) string { return strings.ReplaceAll(text, "%", "%%") }
