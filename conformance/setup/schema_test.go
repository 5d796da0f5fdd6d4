package setup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
