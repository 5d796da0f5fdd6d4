// Package service runs the gateway as a service of one user: it starts when they log in, and is started again when it fails.
// Each system has a manager for that, which reads a file and is told by commands:
//
//	system    manager          file
//	Linux     systemd          ~/.config/systemd/user/composer-api.service
//	macOS     launchd          ~/Library/LaunchAgents/composer-api.plist
//	Windows   Task Scheduler   service.xml in the state folder, which it copies
//
// The service sees nothing of the shell that has installed it. Its working directory is the state folder, so the file .env there
// has its settings, and the file cursor-key its Cursor key.
//
// This package writes the file and says which commands to run; who runs them is the caller.
//
// Its files: service.go has what all systems share; systemd.go, launchd.go and tasks.go have one system each.
package service

import (
	"errors"
	"os"
	"path/filepath"
)

// name is that of the service, for every manager.
const name = "composer-api"

// A Service is what is to run.
type Service struct {
	Program string   // the whole path
	Args    []string // of 'serve', without it
	// State is the state folder, the working directory. It exists.
	State string
}

// A Host is where it is to run.
type Host struct {
	Home       string // of the user
	ConfigHome string // $XDG_CONFIG_HOME, or "" for its default
	UID        int    // on Unix
	User       string // on Windows: DOMAIN\name
}

// A Manager runs services on one system. Its commands are command lines, to be run in their order.
type Manager struct {
	Name string // "systemd"
	// File is where its file lies.
	File string
	// Text is what stands in the file.
	Text []byte
	// Start follows when the file was written, and Stop comes before it is removed; After when it was.
	Start, Stop, After [][]string
	// Status prints how the service is, and fails when it does not run.
	Status []string
	// Logs is nil where the service writes into LogFile.
	Logs []string
	// LogFile is "" where Logs is set.
	LogFile string
	// Note says what else to know.
	Note string
}

// ErrNoManager: this system has none that is known here.
var ErrNoManager = errors.New("there is no manager of services on this system that composer-api knows")

// For is the manager of the system goos. Nothing is written yet.
func For(goos string, h *Host, s *Service) (*Manager, error) {
	make, ok := map[string]func(*Host, *Service) (*Manager, error){"linux": systemd, "darwin": launchd, "windows": tasks}[goos]
	if !ok {
		return nil, ErrNoManager
	}
	return make(h, s)
}

// Write writes the file, and its folder. It is for the user alone.
func (m *Manager) Write() error {
	if err := os.MkdirAll(filepath.Dir(m.File), 0o700); err != nil {
		return err
	}
	return os.WriteFile(m.File, m.Text, 0o600)
}

// Installed reports whether the file is there.
func (m *Manager) Installed() bool {
	_, err := os.Stat(m.File)
	return err == nil
}

// Remove removes the file.
func (m *Manager) Remove() error { return os.Remove(m.File) }
