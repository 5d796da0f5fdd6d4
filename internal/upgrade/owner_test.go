package upgrade

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackageManagersKeepTheirFiles has where each puts the program.
func TestPackageManagersKeepTheirFiles(t *testing.T) {
	for program, want := range map[string]string{
		"/opt/homebrew/Cellar/composer-api/1.0.0/bin/composer-api":                                 "brew upgrade composer-api",
		"/opt/homebrew/Caskroom/composer-api/1.0.0/composer-api":                                   "brew upgrade composer-api",
		`C:\Users\ada\scoop\apps\composer-api\1.0.0\composer-api.exe`:                              "scoop update composer-api",
		"/nix/store/0c1d-composer-api-1.0.0/bin/composer-api":                                      "nix profile upgrade composer-api",
		"/usr/lib/node_modules/composer-api/node_modules/@composer-api/linux-x64/composer-api":     "npm install -g composer-api@latest",
		"~/.npm/_npx/0a1b/node_modules/@composer-api/linux-x64/composer-api":                       "npx composer-api@latest",
		"~/.local/share/pnpm/global/5/node_modules/.pnpm/@composer-api+linux-x64@1/x/composer-api": "pnpm add -g composer-api@latest",
		"~/.bun/install/global/node_modules/@composer-api/linux-x64/composer-api":                  "bun add -g composer-api@latest",
		"~/.local/share/uv/tools/composer-api/bin/composer-api":                                    "uv tool upgrade composer-api",
		"~/.cache/uv/archive-v0/Xq3/bin/composer-api":                                              "uvx composer-api@latest",
		"~/.local/share/pipx/venvs/composer-api/bin/composer-api":                                  "pipx upgrade composer-api",
		"/usr/local/bin/composer-api":                                                              "",
		"~/bin/composer-api":                                                                       "",
	} {
		owner, _ := (&Upgrader{Program: program}).Owner(t.Context(), nil)
		if owner.Command != want {
			t.Errorf("%s: %q instead of %q", program, owner.Command, want)
		}
	}
}

func TestAPythonEnvironmentKeepsItsFiles(t *testing.T) {
	for _, libraries := range []string{"lib/python3.13/site-packages", "Lib/site-packages"} {
		environment := t.TempDir()
		u := &Upgrader{Program: filepath.Join(environment, "bin", "composer-api")}
		if err := os.MkdirAll(filepath.Join(environment, libraries, "another-1.0.dist-info"), 0o755); err != nil {
			t.Fatal(err)
		}
		if owner, owned := u.Owner(t.Context(), nil); owned {
			t.Errorf("it is taken for %s's", owner.Name)
		}
		if err := os.MkdirAll(filepath.Join(environment, libraries, "composer_api-1.0.0.dist-info"), 0o755); err != nil {
			t.Fatal(err)
		}
		if owner, _ := u.Owner(t.Context(), nil); owner.Command != "pip install --upgrade composer-api" {
			t.Errorf("%+v", owner)
		}
	}
}

// TestTheSystemsPackagesAreAsked: the command for a package names its file in the release.
func TestTheSystemsPackagesAreAsked(t *testing.T) {
	for manager, want := range map[string]string{
		"dpkg-query --search": "curl -LO https://releases.example/download/v1.1.0/composer-api_1.1.0_linux_arm64.deb && sudo apt install ./composer-api_1.1.0_linux_arm64.deb",
		"rpm --query --file":  "curl -LO https://releases.example/download/v1.1.0/composer-api_1.1.0_linux_arm64.rpm && sudo rpm --upgrade composer-api_1.1.0_linux_arm64.rpm",
		"apk info --who-owns": "curl -LO https://releases.example/download/v1.1.0/composer-api_1.1.0_linux_arm64.apk && sudo apk add --allow-untrusted ./composer-api_1.1.0_linux_arm64.apk",
		"another":             "",
	} {
		u := &Upgrader{Releases: "https://releases.example", Program: "/usr/bin/composer-api", Arch: "arm64", Query: func(_ context.Context, line ...string) bool {
			return strings.Join(line, " ") == manager+" /usr/bin/composer-api"
		}}
		if owner, owned := u.Owner(t.Context(), &Release{Version: "v1.1.0"}); owner.Command != want || owned != (want != "") {
			t.Errorf("%s: %+v", manager, owner)
		}
	}
}
