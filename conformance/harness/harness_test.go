package harness

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestIDsAreNumberedInTheOrderOfTheirAppearance(t *testing.T) {
	const a, b = "call_0123456789abcdefghijklmn", "call_abcdefghijklmn0123456789"
	got := normalise("resp_" + a[5:] + " made " + b + " and " + a + "; " + b + " failed, call_me did not")
	if want := "resp#1 made call#1 and call#2; call#1 failed, call_me did not"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnAddressIsReadFromAWholeLine(t *testing.T) {
	o := newOutput()
	o.Write([]byte("it listens on http://127.0.0.1:80"))
	if len(o.address) > 0 {
		t.Errorf("half an address was taken: %s", <-o.address)
	}
	o.Write([]byte("80 (upstreams: none)\nand http://127.0.0.1:1\n"))
	if got := <-o.address; got != "http://127.0.0.1:8080" {
		t.Errorf("the address is %s", got)
	}
}

func TestASummaryTellsWhatTestsLookAt(t *testing.T) {
	got := Summary([]Run{
		{Model: "m", Attempt: 1, End: "well", Execs: []Exec{{Kind: "request_context"}, {Kind: "mcp", Tool: "look", Result: "seen"}}},
		{Model: "m", Attempt: 2, Continued: true, Resume: true, Tools: []string{"look"}, Images: 1, End: "error", Error: "why", Failures: []string{"expect x"}},
		{Model: "m", Execs: []Exec{{Kind: "mcp", Tool: "look"}}},
		{Model: "m", End: "left", Error: "in one way or another"},
	})
	const want = `run 1: m, end well
  mcp look: "seen"
run 2: m, attempt 2, continued, resumed, tools look, images 1, end error (why)
  FAILED: expect x
run 3: m, end parked
  mcp look: ""
run 4: m, end left
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestPlatformsAreNamedAsNpmDoes(t *testing.T) {
	for _, tt := range [][3]string{
		{"linux", "amd64", "linux-x64"}, {"linux", "arm64", "linux-arm64"}, {"darwin", "amd64", "darwin-x64"}, {"darwin", "arm64", "darwin-arm64"},
	} {
		if got := platform(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s/%s is %s, want %s", tt[0], tt[1], got, tt[2])
		}
	}
}

// TestClientsAreNotPinnedToOnePlatform: a client that comes as a program of its own is there for each platform that the
// tests run on, and a test that names one says PLATFORM.
func TestClientsAreNotPinnedToOnePlatform(t *testing.T) {
	packages := regexp.MustCompile(`"(@?[a-z/-]+)-(linux|darwin)-(x64|arm64)":`)
	for _, file := range []string{"package.json", "node/package.json", "agents/package.json"} {
		data, err := os.ReadFile(filepath.Join(root(), file))
		if err != nil {
			t.Fatal(err)
		}
		platforms := map[string][]string{}
		for _, m := range packages.FindAllStringSubmatch(string(data), -1) {
			name := strings.TrimSuffix(m[1], "-bin") // Node's package for Apple's ARM processors
			platforms[name] = append(platforms[name], m[2]+"-"+m[3])
		}
		for name, all := range platforms {
			if slices.Sort(all); !slices.Equal(all, []string{"darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64"}) {
				t.Errorf("%s has %s for %q", file, name, all)
			}
		}
		if len(platforms) == 0 {
			t.Errorf("%s names no program", file)
		}
	}
	sources, err := filepath.Glob(filepath.Join(root(), "*", "*.go"))
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	pinned := regexp.MustCompile(`Installed\([^)]*(linux|darwin|x64|x86_64|arm64)`)
	for _, source := range sources {
		data, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if found := pinned.Find(data); found != nil && filepath.Base(source) != "harness_test.go" {
			t.Errorf("%s: %s", source, found)
		}
	}
}
