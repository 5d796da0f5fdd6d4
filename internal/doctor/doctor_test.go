package doctor_test

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"composer-api/internal/agent"
	"composer-api/internal/doctor"
	"composer-api/internal/golden"
)

// The set-ups that need more than settings and a server: a name server, a disk. The others are in package cli, which runs the
// whole command (testdata/doctor there).

// healthy is a Subject in which nothing is wrong, and nothing leaves this process.
func healthy(t *testing.T) *doctor.Subject {
	return &doctor.Subject{
		Version: "composer-api test", Free: func(string) (uint64, bool) { return 1 << 40, true },
		Folders: []doctor.Folder{{Path: t.TempDir(), What: "the database", Cure: "name another file with COMPOSER_DB"}},
		Bridge:  doctor.Bridge{},
		Key:     doctor.Key{Give: "'export CURSOR_API_KEY=crsr_…'"},
		Store: doctor.Store{
			Name: "composer.db", Newer: func(error) bool { return false },
			Pending:  func(context.Context) ([]string, bool, error) { return nil, true, nil },
			Writable: func(context.Context) error { return nil },
			Sealing:  func(context.Context) (doctor.Sealing, error) { return doctor.Sealing{}, nil },
		},
	}
}

var milliseconds = regexp.MustCompile(` \(\d+ ms\)`)

// examine runs the checks and tells what they found as text, with the test's folders replaced.
func examine(s *doctor.Subject) (text string, well bool) {
	var b strings.Builder
	well = doctor.Examine(context.Background(), s, func(f doctor.Finding) {
		fmt.Fprintf(&b, "%s %s: %s\n", f.Level, f.Check, f.Text)
		if f.Cure != "" {
			fmt.Fprintf(&b, "\tcure: %s\n", f.Cure)
		}
	})
	text = milliseconds.ReplaceAllString(b.String(), "")
	for _, f := range s.Folders {
		text = strings.ReplaceAll(text, f.Path, "FOLDER")
	}
	return text, well
}

// nameServer answers every question with a code, as a server does that blocks names, and is the resolver that asks it.
func nameServer(t *testing.T, code dnsmessage.RCode) *net.Resolver {
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return // closed
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil {
				continue
			}
			m.Response, m.RCode, m.Additionals = true, code, nil
			answer, err := m.Pack()
			if err != nil {
				continue
			}
			conn.WriteTo(answer, from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-served })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// TestBrokenSetUps compares what is said of set-ups with a golden file each.
func TestBrokenSetUps(t *testing.T) {
	for name, breakIt := range map[string]func(*testing.T, *doctor.Subject){
		"blocked-dns": func(t *testing.T, s *doctor.Subject) {
			s.Network.Resolver = nameServer(t, dnsmessage.RCodeRefused)
			s.Addresses = []doctor.Address{{URL: "https://cursor.test.", Setting: "CURSOR_API_BASE"}}
		},
		"no-such-name": func(t *testing.T, s *doctor.Subject) {
			s.Network.Resolver = nameServer(t, dnsmessage.RCodeNameError)
			s.Addresses = []doctor.Address{{URL: "https://cursor.test.", Setting: "CURSOR_API_BASE"}}
		},
		"full-disk": func(_ *testing.T, s *doctor.Subject) {
			s.Free = func(string) (uint64, bool) { return 4096, true }
		},
		"nearly-full-disk": func(_ *testing.T, s *doctor.Subject) {
			s.Free = func(string) (uint64, bool) { return 100 << 20, true }
		},
		"a-folder-that-is-none": func(_ *testing.T, s *doctor.Subject) {
			s.Folders[0].Path += "/not/there/yet" // it is made; what is above it counts
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := healthy(t)
			breakIt(t, s)
			text, well := examine(s)
			golden.File(t, "testdata/"+name+".txt", fmt.Sprintf("%shealthy: %v\n", text, well))
		})
	}
}

// What Cursor says of a key is told; the key is not.
func TestTheKeyIsNeverTold(t *testing.T) {
	s := healthy(t)
	s.Key = doctor.Key{Secret: agent.NewSecret("crsr_hunter2"), Origin: "environment", WhoIs: func(context.Context, agent.Secret) (string, error) {
		return "", agent.Errorf(agent.RateLimited, "Slow down.")
	}}
	if text, well := examine(s); well || strings.Contains(text, "hunter2") || !strings.Contains(text, "Slow down") {
		t.Errorf("healthy %v: %s", well, text)
	}
}

// A check that panics is a finding, and the others go on.
func TestABugInACheckIsAFinding(t *testing.T) {
	s := healthy(t)
	s.Store.Pending = func(context.Context) ([]string, bool, error) { panic("oh") }
	text, well := examine(s)
	if well || !strings.Contains(text, "broken store: store: report this: panic: oh") || !strings.Contains(text, "ok disk") {
		t.Errorf("healthy %v: %s", well, text)
	}
}

// An examination ends with its context.
func TestAnExaminationEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := healthy(t)
	s.Store.Pending = func(context.Context) ([]string, bool, error) { cancel(); return nil, true, nil }
	began, last := time.Now(), ""
	if doctor.Examine(ctx, s, func(f doctor.Finding) { last = f.Check }) || last != "store" || time.Since(began) > time.Minute {
		t.Errorf("it went on to %s", last)
	}
}
