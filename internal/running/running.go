// Package running is a note of where the user's gateway runs, for the other commands of this machine: 'serve' leaves it in the
// state folder while it listens, and 'setup' and 'status' read it.
//
//	{"root": "https://ai.example:8787", "address": "127.0.0.1:8787", "certificate": "/etc/ssl/ai.pem"}
//
// It is a note and no lock. Of two gateways the one that was started last is in it, and one that was killed leaves it behind:
// whoever reads it looks first whether anybody Listens.
package running

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"composer-api/internal/atomicfile"
)

// A Gateway is one that listens on this machine.
type Gateway struct {
	// Root is what the base URLs of clients begin with, without /v1.
	Root string `json:"root"`
	// Address is where this machine reaches it. The name in Root may lead somewhere else from here, to a router for instance.
	Address string `json:"address"`
	// Certificate is the file of its certificate; "" when it has none in a file. Commands of its own user trust it, whoever has
	// signed it.
	Certificate string `json:"certificate,omitempty"`
}

const (
	// fileName is in the state folder.
	fileName = "gateway.json"
	// mode lets nobody else write the file: the local token is sent to the address in it.
	mode = 0o600
)

// Write leaves the note in the folder dir, which is made where it isn't there, in the place of one that is there.
func Write(dir string, g Gateway) error {
	data, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, fileName), append(data, '\n'), mode)
}

// Remove takes the note of g away, and leaves that of another gateway.
func Remove(dir string, g Gateway) error {
	if there, err := Read(dir); err != nil || there != g {
		return err
	}
	return os.Remove(filepath.Join(dir, fileName))
}

// Read reads the note. It is an error that wraps fs.ErrNotExist when there is none.
func Read(dir string) (Gateway, error) {
	path := filepath.Join(dir, fileName)
	data, err := os.ReadFile(path)
	if err != nil {
		return Gateway{}, err
	}
	var g Gateway
	if err := json.Unmarshal(data, &g); err != nil || g.Root == "" || g.Address == "" {
		return Gateway{}, fmt.Errorf("%s does not say where a gateway runs", path)
	}
	return g, nil
}

// Listens reports whether anybody listens at the address. It takes a second at most.
func (g *Gateway) Listens(ctx context.Context) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", g.Address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
