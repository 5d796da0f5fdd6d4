package service_test

import (
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"
	"howett.net/plist"

	"composer-api/internal/golden"
	"composer-api/internal/service"
)

// awkward is a service whose words need quoting everywhere.
var awkward = &service.Service{Program: "/opt/my programs/composer-api", Args: []string{"--addr", "127.0.0.1:9000", `--aliases=100%=a"b$HOME<&>`}, State: "/people/ada/100% state"}

var host = &service.Host{Home: "/people/ada", UID: 501, User: `MACHINE\ada`}

func manager(t *testing.T, goos string, s *service.Service) *service.Manager {
	t.Helper()
	m, err := service.For(goos, host, s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTheUnitOfSystemd(t *testing.T) {
	m := manager(t, "linux", awkward)
	golden.File(t, "testdata/composer-api.service", string(m.Text))
	if m.File != filepath.FromSlash("/people/ada/.config/systemd/user/composer-api.service") {
		t.Errorf("the file is %s", m.File)
	}
}

// TestSystemdTakesTheUnit has systemd itself read it, for a program and a folder that are there.
func TestSystemdTakesTheUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := filepath.Join(t.TempDir(), "100% a folder")
	program := filepath.Join(dir, "composer-api")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700)); err != nil {
		t.Fatal(err)
	}
	m := manager(t, "linux", &service.Service{Program: program, Args: awkward.Args, State: dir})
	m.File = filepath.Join(t.TempDir(), "composer-api.service")
	if err := m.Write(); err != nil {
		t.Fatal(err)
	}
	verify := exec.CommandContext(t.Context(), analyze, "--user", "--man=no", "--recursive-errors=no", "verify", m.File)
	verify.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	if said, err := verify.CombinedOutput(); err != nil || strings.Contains(string(said), "composer-api.service:") {
		t.Errorf("systemd-analyze: %v\n%s", err, said)
	}
}

func TestThePropertyListOfLaunchd(t *testing.T) {
	m := manager(t, "darwin", awkward)
	golden.File(t, "testdata/composer-api.plist", string(m.Text))
	var read struct {
		Label            string
		ProgramArguments []string
		RunAtLoad        bool
		KeepAlive        map[string]bool
		WorkingDirectory string
	}
	if _, err := plist.Unmarshal(m.Text, &read); err != nil {
		t.Fatal(err)
	}
	if want := append([]string{awkward.Program, "serve"}, awkward.Args...); strings.Join(read.ProgramArguments, "\n") != strings.Join(want, "\n") || !read.RunAtLoad || read.KeepAlive["SuccessfulExit"] || read.WorkingDirectory != awkward.State {
		t.Errorf("it reads %+v", read)
	}
}

func TestTheTaskOfWindows(t *testing.T) {
	m := manager(t, "windows", &service.Service{Program: `C:\Program Files\composer-api.exe`, Args: []string{"--db", `C:\a & b\x.db`}, State: `C:\Users\ada\state`})
	text, err := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Bytes(m.Text)
	if err != nil {
		t.Fatal(err)
	}
	golden.File(t, "testdata/service.xml", string(text))
	var read struct {
		XMLName xml.Name
		Trigger struct{ UserId string }             `xml:"Triggers>LogonTrigger"`
		Exec    struct{ Command, Arguments string } `xml:"Actions>Exec"`
	}
	_, body, _ := strings.Cut(string(text), "\n") // the first line says UTF-16, which it is no more
	if err := xml.Unmarshal([]byte(body), &read); err != nil {
		t.Fatal(err)
	}
	if read.XMLName.Local != "Task" || read.Trigger.UserId != host.User || read.Exec.Command != "cmd.exe" || !strings.HasPrefix(read.Exec.Arguments, `/d /s /c ""C:\Program Files\composer-api.exe" serve "--db" "C:\a & b\x.db" 2>> `) {
		t.Errorf("it reads %+v", read)
	}
}

func TestASystemWithoutAManagerIsToldApart(t *testing.T) {
	if _, err := service.For("plan9", host, awkward); !errors.Is(err, service.ErrNoManager) {
		t.Errorf("error %v", err)
	}
}
