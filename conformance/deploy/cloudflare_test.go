package deploy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// wrangler is the version whose schema the configuration is held against.
const wrangler = "wrangler@4.86.0"

// TestCloudflare checks the configuration with the schema that Cloudflare's own tool carries, and that what it names is there.
// It has not been deployed.
func TestCloudflare(t *testing.T) {
	var lines []string
	for line := range strings.Lines(string(read(t, "cloudflare", "wrangler.jsonc"))) {
		if !strings.HasPrefix(strings.TrimSpace(line), "//") { // whole lines, the only comments in it
			lines = append(lines, line)
		}
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	worker := string(read(t, "cloudflare", "worker.js"))
	for _, want := range []string{"export class Gateway extends Container", "env.GATEWAY", "defaultPort = 8787", "@cloudflare/containers"} {
		if !strings.Contains(worker, want) {
			t.Errorf("worker.js has no %q", want)
		}
	}
	read(t, "cloudflare", "..", "container", "Dockerfile")

	compiler := jsonschema.NewCompiler()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(configSchema(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.AddResource("config-schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("config-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(document); err != nil {
		t.Error(err)
	}
	// The schema does look: a name that is misspelt is refused.
	document.(map[string]any)["containers"].([]any)[0].(map[string]any)["max_instance"] = 1
	if compiled.Validate(document) == nil {
		t.Error("a misspelt name is taken")
	}
}

// configSchema is the file config-schema.json of wrangler's package, which npm fetches. The test is skipped where that can't be.
func configSchema(t *testing.T) []byte {
	t.Helper()
	folder := t.TempDir()
	npm := exec.CommandContext(t.Context(), "npm", "pack", wrangler, "--silent", "--fetch-retries=1")
	npm.Dir = folder
	if out, err := npm.CombinedOutput(); err != nil {
		t.Skipf("npm can't fetch %s: %v %s", wrangler, err, out)
	}
	packed, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(packed) != 1 {
		t.Fatal(packed, err)
	}
	file, err := os.Open(packed[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for entries := tar.NewReader(unzipped); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			t.Fatal("the package has no config-schema.json")
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry.Name == "package/config-schema.json" {
			data, err := io.ReadAll(entries)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
}
