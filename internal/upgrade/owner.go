package upgrade

import (
	"context"
	"path/filepath"
	"strings"
)

// A package manager owns the files that it has put in place: it would overwrite a program that was changed behind its back, or
// refuse to. So its own command is told instead.

// An Owner is a package manager to whom the program belongs.
type Owner struct {
	// Name is what it is called: "Homebrew".
	Name string
	// Command upgrades the program.
	Command string
}

// A place is a part of the program's path that only one package manager makes, with slashes.
type place struct {
	part string
	// owner is who made it.
	owner Owner
}

// places are looked through in this order: what is more special comes first.
var places = []place{
	{"/nix/store/", Owner{"Nix", "nix profile upgrade composer-api"}},
	{"/Cellar/", Owner{"Homebrew", "brew upgrade composer-api"}},
	{"/Caskroom/", Owner{"Homebrew", "brew upgrade composer-api"}},
	{"/scoop/apps/", Owner{"Scoop", "scoop update composer-api"}},
	{"/_npx/", Owner{"npx", "npx composer-api@latest"}},
	{"/node_modules/.pnpm/", Owner{"pnpm", "pnpm add -g composer-api@latest"}},
	{"/.bun/", Owner{"Bun", "bun add -g composer-api@latest"}},
	{"/node_modules/", Owner{"npm", "npm install -g composer-api@latest"}},
	{"/uv/tools/", Owner{"uv", "uv tool upgrade composer-api"}},
	{"/pipx/", Owner{"pipx", "pipx upgrade composer-api"}},
	// The cache of 'uv tool run', which is uvx.
	{"/uv/archive-v", Owner{"uvx", "uvx composer-api@latest"}},
	{"/uv/environments-v", Owner{"uvx", "uvx composer-api@latest"}},
}

// A database is that of a system's packages. Its command succeeds for a file that belongs to one.
type database struct {
	// name is what the person is told.
	name    string
	command []string // the file comes behind
	kind    string   // of the release's file for it
	install string   // before the file's address or name
}

// databases are asked in this order. One that isn't installed here says no.
var databases = []database{
	{"dpkg", []string{"dpkg-query", "--search"}, "deb", "sudo apt install ./"},
	{"rpm", []string{"rpm", "--query", "--file"}, "rpm", "sudo rpm --upgrade "},
	{"apk", []string{"apk", "info", "--who-owns"}, "apk", "sudo apk add --allow-untrusted ./"},
}

// Owner is the package manager that the program belongs to; ok is false when there is none. r is the release that would be
// installed, which the command may name.
func (u *Upgrader) Owner(ctx context.Context, r *Release) (owner Owner, ok bool) {
	// By the path first: it costs nothing, and starts no program.
	path := strings.ReplaceAll(u.Program, `\`, "/")
	for _, p := range places {
		if strings.Contains(path, p.part) {
			return p.owner, true
		}
	}
	if u.installedByPip() {
		return Owner{"pip", "pip install --upgrade composer-api"}, true
	}
	if u.Query == nil {
		return Owner{}, false
	}
	for _, d := range databases {
		if u.Query(ctx, append(d.command[:len(d.command):len(d.command)], u.Program)...) {
			file := r.packageFile(u.Arch, d.kind)
			address := u.Releases + "/download/" + r.Version + "/" + file
			return Owner{d.name, "curl -LO " + address + " && " + d.install + file}, true
		}
	}
	return Owner{}, false
}

// installedByPip reports whether the program lies in a Python environment that knows of it: pip leaves a folder with the
// package's name among its libraries.
//
//	ENVIRONMENT/bin/composer-api            Linux and macOS
//	ENVIRONMENT/lib/python3.13/site-packages/composer_api-1.2.3.dist-info
//	ENVIRONMENT\Scripts\composer-api.exe    Windows
//	ENVIRONMENT\Lib\site-packages\composer_api-1.2.3.dist-info
func (u *Upgrader) installedByPip() bool {
	environment := filepath.Dir(filepath.Dir(u.Program))
	// Debian's Python calls the folder dist-packages.
	for _, libraries := range []string{"lib/python3*/site-packages", "lib/python3*/dist-packages", "Lib/site-packages"} {
		found, err := filepath.Glob(filepath.Join(environment, filepath.FromSlash(libraries), "composer_api-*.dist-info"))
		if err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}
