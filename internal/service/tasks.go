package service

import (
	"encoding/xml"
	"path/filepath"
	"strings"

	"golang.org/x/text/encoding/unicode"
)

// A task is one of Windows' Task Scheduler. Its elements come in the order of its schema. Source: Microsoft's "Task Scheduler
// Schema".
type task struct {
	XMLName xml.Name `xml:"http://schemas.microsoft.com/windows/2004/02/mit/task Task"`
	// Version is that of the schema.
	Version     string   `xml:"version,attr"`
	Description string   `xml:"RegistrationInfo>Description"`
	Logon       logon    `xml:"Triggers>LogonTrigger"`
	Principal   user     `xml:"Principals>Principal"`
	Settings    settings `xml:"Settings"`
	Action      action   `xml:"Actions>Exec"`
}

// A logon is the trigger: when this user logs in.
type logon struct {
	Enabled bool
	UserID  string `xml:"UserId"`
}

// A user is as whom the task runs: this one, with the rights of every day.
type user struct {
	ID        string `xml:"id,attr"`
	UserID    string `xml:"UserId"`
	LogonType string
	RunLevel  string
}

// settings keep the task running for as long as it likes, also on a battery.
type settings struct {
	MultipleInstancesPolicy    string
	DisallowStartIfOnBatteries bool
	StopIfGoingOnBatteries     bool
	ExecutionTimeLimit         string // PT0S is none
	RestartOnFailure           restart
}

// A restart says how often, and after which time, a task that has failed is started again. Times are ISO 8601 durations.
type restart struct {
	Interval string
	Count    int
}

// An action is the command. Arguments are one text, quoted as Windows wants it.
type action struct{ Command, Arguments, WorkingDirectory string }

// tasks is Windows' manager: a task that begins when the user logs on, with the user's rights and no more. Windows' own
// services belong to the machine and need an administrator.
func tasks(h *Host, s *Service) (*Manager, error) {
	log := filepath.Join(s.State, "service.log")
	words := []string{quoteWindows(s.Program), "serve"}
	for _, arg := range s.Args {
		words = append(words, quoteWindows(arg))
	}
	document, err := xml.MarshalIndent(task{
		Version: "1.2", Description: "Composer API: Cursor's Composer models for OpenAI and Anthropic clients",
		Logon:     logon{true, h.User},
		Principal: user{"Author", h.User, "InteractiveToken", "LeastPrivilege"},
		Settings:  settings{MultipleInstancesPolicy: "IgnoreNew", ExecutionTimeLimit: "PT0S", RestartOnFailure: restart{"PT1M", 10}},
		// cmd.exe, because a task has no place for what a program prints. The outer quotes are cmd's own.
		Action: action{"cmd.exe", `/d /s /c "` + strings.Join(words, " ") + ` 2>> ` + quoteWindows(log) + `"`, s.State},
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	// schtasks reads UTF-16, with its mark at the beginning.
	text, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes([]byte(`<?xml version="1.0" encoding="UTF-16"?>` + "\n" + string(document) + "\n"))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.State, "service.xml")
	return &Manager{
		Name: "the Task Scheduler", File: file, Text: text,
		Start:  [][]string{{"schtasks", "/Create", "/F", "/TN", name, "/XML", file}, {"schtasks", "/Run", "/TN", name}},
		Stop:   [][]string{{"schtasks", "/End", "/TN", name}, {"schtasks", "/Delete", "/F", "/TN", name}},
		Status: []string{"schtasks", "/Query", "/V", "/FO", "LIST", "/TN", name}, LogFile: log,
	}, nil
}

// quoteWindows is a word of a command line: in quotes, which no path on Windows may hold.
func quoteWindows(word string) string { return `"` + strings.ReplaceAll(word, `"`, `\"`) + `"` }
