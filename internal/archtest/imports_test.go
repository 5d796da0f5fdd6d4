package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "composer-api/"

// arrows says which of our packages each package may import; * is all of them. Paths are below internal. Tests may
// import what they need, but for what never forbids.
var arrows = map[string][]string{
	// The middle: what a request is, what a run yields.
	"agent":               {},
	"agent/agenttest":     {"agent"}, // for tests
	"backend/backendtest": {"agent", "sim/script"},

	// A turn, and what it needs.
	"gateway":                    {"agent", "gateway/catalog", "gateway/control", "gateway/park", "lru", "store"},
	"gateway/control":            {"agent", "cursor/markup", "lru", "schema"},
	"gateway/pdftext":            {"agent", "gateway/gate", "lru"},
	"gateway/park":               {},
	"gateway/catalog":            {"agent"},
	"backend/localagent/toolmap": {"agent"},

	// The ways to a model.
	"backend/localagent":   {"agent", "cursor/agentwire", "cursor/cursorerr", "cursor/connectwire", "cursor/auth", "cursor/pb", "cursor/reach", "backend/localagent/toolmap", "backend/meter", "backend/retry", "h2client", "lru"},
	"backend/chat":         {"agent", "cursor/markup", "cursor/sections", "cursor/cursorerr", "backend/replay", "backend/retry", "cursor/connectwire", "cursor/reach", "sse"},
	"backend/bridge":       {"agent", "backend/replay", "backend/retry", "cursor/agentwire", "cursor/connectwire", "cursor/cursorerr", "cursor/pb", "cursor/reach"},
	"cursor/cursorerr":     {"agent", "cursor/connectwire", "cursor/auth", "cursor/pb"},
	"backend/replay":       {"agent", "backend/retry", "cursor/cursorerr", "cursor/reach"},
	"backend/retry":        {"agent", "cursor/cursorerr"},
	"backend/demo":         {"agent", "sim/script"},
	"bridgeserver":         {"agent", "backend/replay", "cursor/agentwire", "cursor/connectwire", "cursor/pb"},
	"cursor/agentwire":     {"agent", "cursor/connectwire", "cursor/pb", "cursor/sections"},
	"cursor/sections":      {},
	"cursor/connectwire":   {},
	"cursor/auth":          {"agent", "cursor/reach"},
	"cursor/reach":         {"agent"},
	"cursor/pb":            {},
	"backend/sdkbridge":    {"agent", "backend/meter", "backend/retry", "cursor/agentwire", "cursor/connectwire", "cursor/cursorerr", "cursor/sdkv1"},
	"backend/meter":        {"agent"},
	"cursor/sdkv1":         {"agent", "cursor/connectwire"},
	"cursor/bridgechild":   {"agent", "cursor/sdkv1"},
	"cursor/bridgeinstall": {"agent"},
	"cursor/markup":        {"agent", "cursor/sections"},

	// The public API.
	"api":                         {"agent"},
	"api/openai":                  {"agent", "api", "schema"},
	"api/chat":                    {"agent", "api", "api/known", "api/openai", "sse"},
	"api/known":                   {"lru"},
	"api/chat/stored":             {"agent", "api", "api/chat", "api/kept", "api/openai", "store"},
	"api/kept":                    {"agent", "api/openai", "store"},
	"api/messages":                {"agent", "api", "api/known", "api/openai", "sse", "store/seal"},
	"api/completions":             {"agent", "api", "api/openai", "sse"},
	"api/models":                  {"agent", "api", "api/openai", "gateway/catalog"},
	"api/responses":               {"agent", "api", "api/known", "api/openai", "sse"},
	"api/responses/responsestest": {"api/published", "sse"},
	"api/responses/service":       {"agent", "api", "api/kept", "api/known", "api/openai", "api/responses", "lru", "sse", "store", "store/seal"},
	"api/admin":                   {"agent", "api", "api/forwarded", "api/kept", "hosted", "store"},
	"api/accounts":                {"agent", "api", "api/forwarded", "api/openai", "hosted", "hosted/waitlist"},
	"api/forwarded":               {},
	"api/usage":                   {"agent", "api", "api/kept", "api/openai", "store"},
	"api/apitest":                 {"agent", "api/published", "golden", "sse"},
	"api/published":               {}, // for tests
	"sse":                         {},
	"gateway/gate":                {},
	"gateway/imagefetch":          {"agent", "gateway/gate"},
	"httpd":                       {"agent", "api", "api/openai", "gateway/gate", "hosted/keys", "localtoken", "store"},
	"localtoken":                  {"agent", "atomicfile"},
	"keyring":                     {"agent"},
	"replica":                     {"agent", "store"},

	// What a browser gets.
	"pages":         {"agent", "api", "api/forwarded", "api/openai", "gateway/catalog", "hosted", "hosted/keys", "pages/session", "store", "watch"},
	"pages/session": {"agent", "store"},

	// What is kept, and for whom.
	"store":                       {},
	"store/bounded":               {"store"},
	"store/sealed":                {"store/seal", "store"},
	"store/notice":                {"store"},
	"store/sqlstore":              {"store", "store/notice"},
	"store/memstore":              {"store", "store/notice"}, // for tests
	"store/storetest":             {"store"},
	"store/seal":                  {},
	"certificate":                 {},
	"certificate/certificatetest": {}, // for tests
	"hosted/keys":                 {"agent"},
	"hosted/reference":            {"agent", "hosted", "hosted/keys", "store", "store/seal"},
	"hosted":                      {"agent", "hosted/keys", "store/seal", "store", "watch"},
	"hosted/waitlist":             {"agent"},

	// The simulator shares no framing code with the client, so that two readings of the protocol check each other.
	"sim/script":    {},
	"sim/cursorsim": {"cursor/pb", "sim/script"},
	"sim/bridgesim": {"agent", "cursor/sdkv1", "memnet", "sim/script"},

	// To see what goes on.
	"watch":   {"agent"},
	"metrics": {"agent", "httpd", "store", "store/bounded", "watch"},
	"traces":  {"agent", "httpd", "watch"},

	// The edge.
	"service":             {},
	"running":             {"atomicfile"},
	"atomicfile":          {},
	"upgrade":             {},
	"upgrade/upgradetest": {}, // for tests
	"status":              {"agent", "api", "localtoken", "watch"},
	"doctor":              {"agent", "cursor/reach", "setup"},
	"setup":               {"agent", "atomicfile", "setup/configfile"},
	"setup/configfile":    {},

	"config":   {"agent"},
	"cli":      {"*"},
	"h2client": {},
	"lru":      {},
	"schema":   {},
	"memnet":   {},
	"golden":   {}, // for tests
	"archtest": {},
	"simtest":  {}, // tests only
	"costtest": {}, // tests only
}

// pure packages import nothing outside the standard library.
var pure = []string{"agent", "gateway/park", "backend/localagent/toolmap", "cursor/connectwire", "sse", "store/seal", "store", "lru", "memnet", "cursor/auth", "cursor/reach", "localtoken"}

// never holds for tests, too.
var never = map[string][]string{
	// Two readings of the protocol check each other only as long as they share no code.
	"sim/cursorsim": {"backend/", "cursor/connectwire", "cursor/agentwire"},
	"sim/bridgesim": {"backend/", "cursor/connectwire", "cursor/agentwire"},
	"sim/script":    {"backend/", "cursor/"},
	"agent":         {"backend/", "api/", "gateway"},
}

// A pkg is a folder of Go files and what they import.
type pkg struct {
	imports     []string // without the tests
	testImports []string
}

func TestImportsFollowTheArrows(t *testing.T) {
	packages := load(t, filepath.Join(root, "internal"))
	for name, p := range packages {
		allowed, known := arrows[name]
		if !known {
			t.Errorf("package %s has no row in the table: add one, and think about what it may import", name)
			continue
		}
		for _, path := range p.imports {
			ours, isOurs := strings.CutPrefix(path, module+"internal/")
			switch {
			case isOurs && !slices.Contains(allowed, ours) && !slices.Contains(allowed, "*"):
				t.Errorf("%s imports %s, which its row does not allow", name, ours)
			case !isOurs && slices.Contains(pure, name) && strings.Contains(path, "."):
				t.Errorf("%s imports %s, but may import the standard library only", name, path)
			}
		}
		for _, path := range append(p.imports, p.testImports...) {
			for _, forbidden := range never[name] {
				if strings.HasPrefix(path, module+"internal/"+forbidden) {
					t.Errorf("%s imports %s, not even its tests may", name, path)
				}
			}
		}
	}
}

// TestEveryArrowIsUsed keeps the table as small as the truth: an arrow that nobody uses is a door left open.
func TestEveryArrowIsUsed(t *testing.T) {
	packages := load(t, filepath.Join(root, "internal"))
	for name, allowed := range arrows {
		p, exists := packages[name]
		if !exists {
			t.Errorf("the table has a row for %s, which is no package: remove it", name)
			continue
		}
		for _, ours := range allowed {
			if ours != "*" && !slices.Contains(p.imports, module+"internal/"+ours) {
				t.Errorf("%s may import %s and does not: remove the arrow", name, ours)
			}
		}
	}
}

// surfaces are the folders directly below api that have routes, in a file routes.go of their own or of the service below
// them. What lies below a surface belongs to it.
func surfaces(t *testing.T) []string {
	t.Helper()
	var homes []string
	for _, pattern := range []string{"*/routes.go", "*/service/routes.go"} {
		found, err := filepath.Glob(filepath.Join(root, "internal", "api", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			home, _, _ := strings.Cut(strings.TrimPrefix(filepath.ToSlash(file), filepath.ToSlash(root)+"/internal/api/"), "/")
			homes = append(homes, "api/"+home)
		}
	}
	if len(homes) < 6 {
		t.Fatalf("only %v are surfaces", homes)
	}
	return homes
}

// TestSurfacesDoNotKnowEachOther holds for the server, too, which mounts routes without knowing whose they are.
func TestSurfacesDoNotKnowEachOther(t *testing.T) {
	homes := surfaces(t)
	for name, p := range load(t, filepath.Join(root, "internal")) {
		for _, home := range homes {
			if name == home || strings.HasPrefix(name, home+"/") || name == "cli" {
				continue
			}
			for _, path := range p.imports {
				if ours := strings.TrimPrefix(path, module+"internal/"); ours == home || strings.HasPrefix(ours, home+"/") {
					t.Errorf("%s imports %s: only cli knows the surfaces by name", name, ours)
				}
			}
		}
	}
}

// TestCursorsWireKnowsTheMiddleOnly keeps the gateway out of what knows Cursor's wire.
func TestCursorsWireKnowsTheMiddleOnly(t *testing.T) {
	for name, p := range load(t, filepath.Join(root, "internal")) {
		if !strings.HasPrefix(name, "cursor/") {
			continue
		}
		for _, path := range p.imports {
			ours, isOurs := strings.CutPrefix(path, module+"internal/")
			if isOurs && ours != "agent" && !strings.HasPrefix(ours, "cursor/") {
				t.Errorf("%s imports %s: a package of Cursor's wire imports agent and its siblings only", name, ours)
			}
		}
	}
}

func TestOnlyTheCommandImportsTheCommandLine(t *testing.T) {
	for name, p := range load(t, filepath.Join(root, "cmd")) {
		for _, path := range p.imports {
			if ours, ok := strings.CutPrefix(path, module+"internal/"); ok && ours != "cli" {
				t.Errorf("cmd/%s imports %s: main is a doorway to cli", name, ours)
			}
		}
	}
}

// load reads the imports of every package below dir, by its path below dir.
func load(t *testing.T, dir string) map[string]*pkg {
	t.Helper()
	packages := make(map[string]*pkg)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, filepath.Dir(path))
		p := packages[filepath.ToSlash(rel)]
		if p == nil {
			p = new(pkg)
			packages[filepath.ToSlash(rel)] = p
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if strings.HasSuffix(path, "_test.go") {
				p.testImports = append(p.testImports, imported)
			} else {
				p.imports = append(p.imports, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}
