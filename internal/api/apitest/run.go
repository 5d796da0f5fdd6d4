package apitest

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"composer-api/internal/agent"
	"composer-api/internal/api/published"
	"composer-api/internal/golden"
	"composer-api/internal/sse"
)

// How a case is run: for each scenario of the file, streamed and whole, the surface decodes the
// request, its turn plays the events, and what was decoded and answered is compared with the
// golden files. The form of a case is told in doc.go, that of events in script.go.

// Created is the time of all answers in the cases.
// Fixed, so that golden files don't change from day to day.
var Created = time.Unix(1_790_000_000, 0)

// A Surface is what the cases are run against.
//
// A value of it is all that a surface's test needs:
//
//	apitest.Run(t, apitest.Surface{Name: "chat", StreamMembers: `"stream":true`, Serve: …})
type Surface struct {
	// Name is the prefix of the surface's files in a case.
	Name string
	// StreamMembers are the members that make a request one for a stream: `"stream":true`.
	StreamMembers string
	// Always are lines of the description that every request of this surface has, because its API requires
	// what the others leave out. They are ignored.
	Always string
	// Document and Event name what OpenAI's published document calls a whole answer and an event of a stream; "" for
	// what isn't published.
	Document, Event string
	// Serve answers a request as the real handler does: decode, turn, encode, failures included. turn takes
	// the place of the gateway. Ids and times in the answer must not vary; its time is Created.
	Serve func(w http.ResponseWriter, body []byte, turn func(*agent.Request, agent.Sink) error)
}

// dir is the folder of the cases, relative to the packages beside this one.
const dir = "../apitest/testdata"

// Run runs the cases of dir that are for surface. A folder without cases is an error, because
// it is a wrong path. A case without a request for this surface is skipped.
func Run(t *testing.T, surface Surface) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runFile(t, file, surface) })
	}
}

// runFile runs one case: each of its scenarios, streamed and whole. The description of a
// request is a golden file that all surfaces share: each must make the same one.
//
// Both modes run the same events, so a difference between stream and body can only be the
// encoder's.
func runFile(t *testing.T, file string, surface Surface) {
	c, err := readCase(file)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	ran := false
	for _, scenario := range c.scenarios() {
		for _, mode := range []string{"stream", "body"} {
			// Not every case is for every surface: some things only one API has.
			request, ok := c.request(surface, mode, scenario)
			if !ok {
				continue
			}
			ran = true
			script, err := parseScript(c.find("events", scenario))
			if err != nil {
				t.Fatalf("events of scenario %q: %v", scenario, err)
			}
			decoded, answer := serve(surface, request, script.play)
			twice := &twiceTold{}
			_, again := serve(surface, request, func(sink agent.Sink) error {
				*twice = twiceTold{Sink: sink}
				return script.play(twice)
			})
			// A stream can do so, too, as long as nothing of the answer has gone out.
			if again != answer || mode == "body" && twice.ended && !twice.rewound {
				t.Errorf("%s of scenario %q, begun again (%v):\n%s", mode, scenario, twice.rewound, cmp.Diff(answer, again))
			}
			if err := surface.published(answer); err != nil {
				t.Errorf("%s of scenario %q: %v", mode, scenario, err)
			}
			// Without events only what is refused before the turn has an answer to compare.
			if script != nil || decoded == "" {
				got[name(surface.Name+"."+mode, scenario)] = answer
			}
			// One description for all surfaces: a surface that understands its request differently
			// makes this file another one, and its test fails.
			if decoded != "" && c.ownsRequest(surface, scenario) {
				got[name("decoded", scenario)] = decoded
			}
		}
	}
	if !ran {
		t.Skipf("no request for %s", surface.Name)
	}
	compare(t, c, surface, got)
}

// serve makes the surface answer a request, and returns what it has understood and what the
// client got. The answer is the status, the header in alphabetical order, and the body. Always
// is taken out of the description once.
//
// decoded is "" when the surface refused the request before its turn.
func serve(surface Surface, request string, play func(agent.Sink) error) (decoded, answer string) {
	// Without a server: what httpd adds to an answer is not a surface's.
	rec := httptest.NewRecorder()
	surface.Serve(rec, []byte(request), func(r *agent.Request, sink agent.Sink) error {
		decoded = strings.Replace(describe(r), surface.Always, "", 1)
		return play(sink)
	})
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", rec.Code)
	header := rec.Result().Header
	for _, name := range slices.Sorted(maps.Keys(header)) {
		fmt.Fprintf(&b, "%s: %s\n", strings.ToLower(name), strings.Join(header[name], ", "))
	}
	b.WriteString("\n" + rec.Body.String())
	return decoded, b.String()
}

// published checks an answer against OpenAI's published document. Where the published document
// isn't there, nothing is checked; see package published.
func (s *Surface) published(answer string) error {
	head, body, _ := strings.Cut(answer, "\n\n")
	switch {
	case s.Document == "", body == "": // a case without events ends with decoding
		return nil
	case strings.Contains(head, "content-type: text/event-stream"):
		for event, err := range sse.Scan(strings.NewReader(body)) {
			if err != nil {
				return err
			}
			name := s.Event
			switch {
			case event.Data == "[DONE]", s.Event == "":
				continue
			case strings.HasPrefix(event.Data, `{"error":`): // of chat, which has no other form for one
				name = "ErrorResponse"
			}
			if err := published.Check(name, []byte(event.Data)); err != nil {
				return fmt.Errorf("%w\n%s", err, event.Data)
			}
		}
		return nil
	case !strings.HasPrefix(head, "200\n"):
		return published.Check("ErrorResponse", []byte(body))
	}
	return published.Check(s.Document, []byte(body))
}

// compare compares with the golden files, or rewrites them. A golden file that no scenario
// makes any more is an error. Only golden files of this surface are missed, because others may
// be made by another package's test.
//
// With -update nothing fails: whoever refreshes reads the diff.
func compare(t *testing.T, c *testCase, surface Surface, got map[string]string) {
	if golden.Updating() {
		if err := c.rewrite(surface, got); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if diff := cmp.Diff(c.files[name], got[name]); diff != "" {
			t.Errorf("%s (make golden refreshes it):\n%s", name, diff)
		}
	}
	for name := range c.files {
		if _, made := got[name]; surface.isGolden(name) && !made {
			t.Errorf("%s: nothing makes this golden file any more", name)
		}
	}
}

// isGolden reports whether a file of a case is a golden file of this surface alone.
func (s *Surface) isGolden(file string) bool {
	kind, _, _ := strings.Cut(file, " ")
	return kind == s.Name+".stream" || kind == s.Name+".body"
}

// A testCase is a case file. files has the content of the archive by name; archive keeps the
// order and the comment.
type testCase struct {
	path    string
	archive *txtar.Archive
	files   map[string]string
}

// readCase reads a case file.
func readCase(path string) (*testCase, error) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		return nil, err
	}
	c := &testCase{path: path, archive: archive, files: map[string]string{}}
	for _, f := range archive.Files {
		c.files[f.Name] = string(f.Data)
	}
	return c, nil
}

// name is the name of a file in a scenario.
func name(kind, scenario string) string {
	if scenario == "" {
		return kind
	}
	return kind + " " + scenario
}

// scenarios are the scenarios that the case's inputs name, or the one without a name. Golden
// files don't count: they are made from scenarios and don't make any.
func (c *testCase) scenarios() []string {
	var all []string
	for _, f := range c.archive.Files {
		kind, scenario, _ := strings.Cut(f.Name, " ")
		if scenario != "" && (kind == "events" || strings.HasSuffix(kind, ".request")) && !slices.Contains(all, scenario) {
			all = append(all, scenario)
		}
	}
	if all == nil {
		return []string{""}
	}
	return all
}

// find is the scenario's file of this kind, or the one for all scenarios.
func (c *testCase) find(kind, scenario string) string {
	if data, ok := c.files[name(kind, scenario)]; ok {
		return data
	}
	return c.files[kind]
}

// request is the request that the surface gets; ok is false when the case is not for this
// surface. A request for a stream is the surface's own one, or else the common one with
// StreamMembers put first.
func (c *testCase) request(s Surface, mode, scenario string) (string, bool) {
	if mode == "stream" {
		if own := c.find(s.Name+".stream.request", scenario); own != "" {
			return own, true
		}
	}
	request := c.find(s.Name+".request", scenario)
	if inner, found := strings.CutPrefix(request, "{"); found && mode == "stream" {
		// An empty object has no member before which a comma could stand.
		comma := ","
		if strings.HasPrefix(strings.TrimSpace(inner), "}") {
			comma = ""
		}
		request = "{" + s.StreamMembers + comma + inner
	}
	return request, request != ""
}

// ownsRequest reports whether the scenario has a request of its own. Only then is there a description for it.
func (c *testCase) ownsRequest(s Surface, scenario string) bool {
	_, own := c.files[name(s.Name+".request", scenario)]
	return own
}

// rewrite replaces the surface's golden files in the case. It reads the file again, because the test of
// another surface may have rewritten its own files meanwhile. New files go to the end of the archive,
// and those that nothing makes any more are removed. The archive's order and its inputs stay.
//
// The tests of two packages write the same file; what one has written stays.
func (c *testCase) rewrite(s Surface, got map[string]string) error {
	// Read again, see above.
	archive, err := txtar.ParseFile(c.path)
	if err != nil {
		return err
	}
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool {
		_, again := got[f.Name]
		return s.isGolden(f.Name) && !again
	})
	for _, name := range slices.Sorted(maps.Keys(got)) {
		// A file keeps its place, so that the diff shows what changed and nothing else.
		i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == name })
		if i < 0 {
			i = len(archive.Files)
			archive.Files = append(archive.Files, txtar.File{Name: name})
		}
		archive.Files[i].Data = []byte(got[name])
	}
	return os.WriteFile(c.path, txtar.Format(archive), 0o644)
}
