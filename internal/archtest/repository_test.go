package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository, seen from this package.
const root = "../.."

// files lists what is committed, or would be.
func files(t *testing.T) []string {
	t.Helper()
	git := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard")
	git.Dir = root
	out, err := git.Output()
	if err != nil {
		t.Skipf("this is no git checkout: %v", err)
	}
	return strings.Fields(string(out))
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if os.IsNotExist(err) {
		return nil // deleted, and not yet committed
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// machinePath is a path that exists on somebody's machine only.
var machinePath = regexp.MustCompile(`(^|[\s"'=(` + "`" + `])/(work|root|home/[a-z]+|Users/[A-Za-z]+)/`)

func TestNoFileNamesAPathOfSomebodysMachine(t *testing.T) {
	for _, name := range files(t) {
		if name == "internal/archtest/repository_test.go" {
			continue
		}
		for i, line := range bytes.Split(read(t, name), []byte("\n")) {
			if found := machinePath.Find(line); found != nil && !isBinary(line) {
				t.Errorf("%s:%d: %s", name, i+1, bytes.TrimSpace(found))
			}
		}
	}
}

// TestNoChangeIsListedTwice: git merges the list of changes by keeping the lines of both sides, and that may keep one twice.
func TestNoChangeIsListedTwice(t *testing.T) {
	seen := map[string]int{}
	for i, line := range strings.Split(string(read(t, "CHANGELOG.md")), "\n") {
		if first := seen[line]; first > 0 && strings.HasPrefix(line, "- ") {
			t.Errorf("line %d of CHANGELOG.md stands in line %d already: %.60s", i+1, first, line)
		}
		seen[line] = i + 1
	}
}

func isBinary(line []byte) bool { return bytes.IndexByte(line, 0) >= 0 }

// lockFiles record what was installed. With a registry's address in them, nobody else could install from another.
var lockFiles = []string{"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", ".npmrc", "requirements.txt", "uv.lock", "poetry.lock", "Cargo.lock"}

var registry = regexp.MustCompile(`https?://[a-z0-9.:-]+|"resolved"`)

func TestNoLockFileNamesARegistry(t *testing.T) {
	for _, name := range files(t) {
		if !slices.Contains(lockFiles, path.Base(name)) {
			continue
		}
		for i, line := range bytes.Split(read(t, name), []byte("\n")) {
			// Packages name the page where their authors take donations.
			if found := registry.Find(line); found != nil && !bytes.Contains(line, []byte(`"url": `)) {
				t.Errorf("%s:%d: %s", name, i+1, found)
			}
		}
	}
}

// maxLines is where a file has long ceased to be one idea. Tables of cases are better read in several files, too.
const maxLines = 1000

func TestNoFileIsTooLong(t *testing.T) {
	for _, name := range files(t) {
		if !strings.HasSuffix(name, ".go") || isGenerated(read(t, name)) {
			continue // a generated file is not read, so its length says nothing
		}
		if n := bytes.Count(read(t, name), []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines, more than %d: find the ideas in it", name, n, maxLines)
		}
	}
}

// TestNoPackageHasAnInitFunction keeps wiring where it can be read: in cli.
func TestNoPackageHasAnInitFunction(t *testing.T) {
	for _, name := range files(t) {
		data := read(t, name)
		if !strings.HasSuffix(name, ".go") || isGenerated(data) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, data, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init", name)
			}
		}
	}
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func isGenerated(data []byte) bool { return generated.Match(data) }
