package running_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"

	"composer-api/internal/running"
)

func TestTheLastGatewayIsInTheNote(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if _, err := running.Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none is there: %v", err)
	}
	one := running.Gateway{Root: "http://127.0.0.1:1", Address: "127.0.0.1:1"}
	two := running.Gateway{Root: "https://ai.example:2", Address: "127.0.0.1:2", Certificate: "ai.pem"}
	for _, g := range []running.Gateway{one, two} {
		if err := running.Write(dir, g); err != nil {
			t.Fatal(err)
		}
	}
	// The first one ends: the note is no longer its own.
	if err := running.Remove(dir, one); err != nil {
		t.Fatal(err)
	}
	if got, err := running.Read(dir); err != nil || got != two {
		t.Errorf("it says %+v, %v", got, err)
	}
	if err := running.Remove(dir, two); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestHalfANoteIsAnError(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "{", "{}", `{"root":"http://127.0.0.1:1"}`} {
		if err := os.WriteFile(filepath.Join(dir, "gateway.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := running.Read(dir); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestAKilledGatewayDoesNotListen(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := running.Gateway{Root: "http://gateway.test", Address: listener.Addr().String()}
	if !g.Listens(t.Context()) {
		t.Error("somebody listens there")
	}
	listener.Close()
	if g.Listens(t.Context()) {
		t.Error("nobody listens there")
	}
}
