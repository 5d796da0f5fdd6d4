package service

import (
	"fmt"
	"path/filepath"

	"howett.net/plist"
)

// A job is launchd's property list. Source: launchd.plist(5).
type job struct {
	// Label names the job, for launchctl.
	Label             string
	ProgramArguments  []string
	WorkingDirectory  string
	RunAtLoad         bool
	KeepAlive         keepAlive
	StandardErrorPath string
	ProcessType       string
	ExitTimeOut       int // seconds between SIGTERM and SIGKILL
	Umask             int
}

// keepAlive with SuccessfulExit false starts the job again after a failure, and not after a good end.
type keepAlive struct{ SuccessfulExit bool }

// launchd is macOS's manager. It has no sandbox that programs of others may use.
func launchd(h *Host, s *Service) (*Manager, error) {
	log := filepath.Join(s.State, "service.log")
	text, err := plist.MarshalIndent(job{
		Label: name, ProgramArguments: append([]string{s.Program, "serve"}, s.Args...), WorkingDirectory: s.State,
		RunAtLoad: true, StandardErrorPath: log, ProcessType: "Background", ExitTimeOut: 30, Umask: 0o077,
	}, plist.XMLFormat, "\t")
	if err != nil {
		return nil, err
	}
	domain := fmt.Sprintf("gui/%d", h.UID)
	file := filepath.Join(h.Home, "Library", "LaunchAgents", name+".plist")
	return &Manager{
		Name: "launchd", File: file, Text: append(text, '\n'),
		Start:  [][]string{{"launchctl", "bootstrap", domain, file}},
		Stop:   [][]string{{"launchctl", "bootout", domain + "/" + name}},
		Status: []string{"launchctl", "print", domain + "/" + name}, LogFile: log,
	}, nil
}
