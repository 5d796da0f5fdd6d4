package apitest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"composer-api/internal/agent"
)

// maxStops is how many stop texts a request may bring.
const maxStops = 64

// AddRequests gives the fuzz target every request of this surface in the cases.
func AddRequests(f *testing.F, surface string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasPrefix(file.Name, surface+".request") {
				f.Add(file.Data)
			}
		}
	}
}

// CheckPromises checks what agent.Request says of itself: whatever the client has sent, the rest of the gateway relies on it.
// What only one surface promises, it checks itself.
func CheckPromises(req *agent.Request) error {
	if req.ModelName == "" || len(req.Messages) == 0 {
		return fmt.Errorf("model %q, %d messages", req.ModelName, len(req.Messages))
	}
	announced := map[string]bool{} // the ids of calls so far
	for _, m := range req.Messages {
		for _, p := range m.Parts {
			if p.Image != nil && p.Image.Fault == nil && (p.Image.Param == "" || (p.Image.URL == "") == (len(p.Image.Data) == 0)) {
				return fmt.Errorf("image %v", p.Image)
			}
		}
		for _, c := range m.Calls {
			announced[c.ID] = true
			if c.ID == "" || c.Name == "" || !json.Valid(c.Arguments) {
				return fmt.Errorf("call %v", c)
			}
		}
		if m.Role < agent.System || m.Role > agent.ToolRole || (m.Role == agent.ToolRole) != (m.CallID != "") || m.CallID != "" && !announced[m.CallID] {
			return fmt.Errorf("message %v", m)
		}
	}
	for _, t := range req.Tools {
		if t.Name == "" || t.Parameters != nil && !json.Valid(t.Parameters) {
			return fmt.Errorf("tool %v", t)
		}
	}
	if req.MaxOutputTokens < 0 || len(req.Stop) > maxStops || slices.Contains(req.Stop, "") {
		return fmt.Errorf("limits %d, %q", req.MaxOutputTokens, req.Stop)
	}
	if req.Format.Kind == agent.JSONSchema && !json.Valid(req.Format.Schema) {
		return fmt.Errorf("format %v", req.Format)
	}
	return nil
}
