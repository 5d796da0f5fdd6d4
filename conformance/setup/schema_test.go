package setup

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"charm.land/catwalk/pkg/catwalk"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"composer-api/conformance/harness"
)

// checkRoo reads the file that Roo Code imports, and checks each profile against the published schema of Roo's settings
// (@roo-code/types), strictly: a field that Roo doesn't know would be dropped without a word.
const checkRoo = `
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const roo = createRequire(process.cwd() + "/setup/")("@roo-code/types");
const { providerProfiles } = JSON.parse(readFileSync(process.env.FILE, "utf8"));
const profile = providerProfiles.apiConfigs[providerProfiles.currentApiConfigName];
const { id, ...settings } = profile;
console.log(typeof id, JSON.stringify(roo.providerSettingsSchema.strict().safeParse(settings).error?.issues ?? "fits"));
console.log(JSON.stringify(roo.providerSettingsWithIdSchema.safeParse({ ...profile, openAiModelId: 7 }).success));
`

// TestRooKnowsWhatIsWritten: Roo Code runs in an editor only, so its file is compared with its schema.
func TestRooKnowsWhatIsWritten(t *testing.T) {
	harness.Installed(t, "../setup/node_modules/@roo-code/types")
	home, state := t.TempDir(), t.TempDir()
	// No gateway runs: the models are those that the program knows by itself.
	env := []string{"HOME=" + home, "XDG_STATE_HOME=" + state, "COMPOSER_ADDR=127.0.0.1:1", "CURSOR_API_KEY=" + harness.Key}
	harness.Operate(t, env, "setup", "roo", "--yes")
	file := filepath.Join(state, "composer-api", "setup", "roo-settings.json")
	if got := harness.RunNode(t, checkRoo, "FILE="+file); got != "string \"fits\"\nfalse\n" {
		t.Errorf("the schema says\n%s", got)
	}
	settings, err := os.ReadFile(filepath.Join(home, ".config", "Code", "User", "settings.json"))
	if err != nil || !strings.Contains(string(settings), file) {
		t.Errorf("VS Code's settings are\n%s\n%v", settings, err)
	}
}

// written sets a client up on an empty machine, without a gateway, and returns the file that was written below the home folder.
func written(t *testing.T, client, file string) []byte {
	t.Helper()
	home := t.TempDir()
	harness.Operate(t, []string{"HOME=" + home, "XDG_STATE_HOME=" + t.TempDir(), "COMPOSER_ADDR=127.0.0.1:1", "CURSOR_API_KEY=" + harness.Key}, "setup", client, "--yes")
	data, err := os.ReadFile(filepath.Join(home, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestVSCodeKnowsWhatIsWritten: the provider "customendpoint" of VS Code's chat has a schema for what stands in
// chatLanguageModels.json, beside the name and the vendor. It is checked strictly: VS Code passes over what it doesn't know.
func TestVSCodeKnowsWhatIsWritten(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(harness.Cache("vscode-chat-lib-0.66.0"), "package", "dist", "src", "package.json"))
	if err != nil {
		t.Skip("the npm package @vscode/chat-lib is not there; conformance/install.sh gets it where it can")
	}
	var manifest struct {
		Contributes struct {
			Providers []struct {
				Vendor        string
				Configuration map[string]any
			} `json:"languageModelChatProviders"`
		}
	}
	if err := json.Unmarshal(source, &manifest); err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	for _, p := range manifest.Contributes.Providers {
		if p.Vendor == "customendpoint" {
			schema = p.Configuration
		}
	}
	schema["additionalProperties"] = false
	models := schema["properties"].(map[string]any)["models"].(map[string]any)["items"].(map[string]any)
	models["additionalProperties"] = false
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("vscode.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("vscode.json")
	if err != nil {
		t.Fatal(err)
	}
	var groups []map[string]any
	if err := json.Unmarshal(written(t, "vscode", ".config/Code/User/chatLanguageModels.json"), &groups); err != nil || len(groups) != 1 {
		t.Fatal(groups, err)
	}
	group := groups[0]
	if group["name"] != "Composer" || group["vendor"] != "customendpoint" {
		t.Errorf("it is %v of %v", group["name"], group["vendor"])
	}
	delete(group, "name")
	delete(group, "vendor")
	if err := compiled.Validate(group); err != nil {
		t.Error(err)
	}
	group["models"].([]any)[0].(map[string]any)["maxInputTokens"] = "many"
	if compiled.Validate(group) == nil {
		t.Error("the schema allows anything")
	}
}

// TestCrushKnowsItsModels: the models of a provider are those of Crush's own library. Each field that it writes is in the file,
// and no other. (Its program can't be had here.)
func TestCrushKnowsItsModels(t *testing.T) {
	var file struct {
		Providers map[string]struct {
			Type   catwalk.Type
			Models []json.RawMessage
		}
	}
	if err := json.Unmarshal(written(t, "crush", ".config/crush/crush.json"), &file); err != nil {
		t.Fatal(err)
	}
	composer := file.Providers["composer"]
	if composer.Type != catwalk.TypeOpenAICompat || len(composer.Models) == 0 {
		t.Errorf("the provider is %q, with %d models", composer.Type, len(composer.Models))
	}
	for _, text := range composer.Models {
		var model catwalk.Model
		strict := json.NewDecoder(bytes.NewReader(text))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&model); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		theirs, err := json.Marshal(model)
		if err != nil {
			t.Fatal(err)
		}
		if want, got := fields(t, theirs), fields(t, text); !maps.Equal(want, got) {
			t.Errorf("%s has the fields %v, want %v", text, got, want)
		}
	}
}

// fields are the names in an object. An empty object or list doesn't count: it is a field that is left out elsewhere.
func fields(t *testing.T, text []byte) map[string]bool {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for name, value := range object {
		if s := string(value); s != "{}" && s != "[]" && s != "null" {
			names[name] = true
		}
	}
	return names
}
