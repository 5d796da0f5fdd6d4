package localagent

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/golden"
	"composer-api/internal/sim/cursorsim"
)

// sdkFolder is where Cursor's own SDK checks the simulator: what the model says to it (script.txt), and what it sent
// then, a file for each stream (sent).
const sdkFolder = "../../../conformance/cursorsdk/testdata"

// sdkStreams are the streams of that script, in their order.
var sdkStreams = []string{"text", "call", "parallel", "failing", "image", "strange", "cut", "resume", "error", "without-tools"}

// differences are the fields in which we differ from the SDK on purpose, and why. A field belongs to the first whose
// pattern matches its whole path.
var differences = []struct{ why, path string }{
	{"The records are of SDK 1.0.32, while we say what 1.1.0 says: which SDK we are is a setting (CURSOR_SDK_CLIENT_VERSION), and field 34, whose meaning is not known, is 0. Its trace context of zeros is a transport header.",
		`header\.x-cursor-client-version\[0\]|unknown\.request\.34`},
	{"We don't take Brotli: it would need a module, and what is streamed is too small to gain from it.",
		`header\.connect-accept-encoding\[0\]`},
	{"The paths of the gateway's machine are not the user's, and nobody's business.",
		`exec\.request_context\..*\.env\.(workspacePaths\[0\]|projectFolder)`},
	{"Nor are the SDK's folders for terminals, notes and transcripts (7, 8, 12) and its working directory (20, 21); of sandbox, computer use and smart mode (14, 19, 22) a gateway has nothing to say.",
		`unknown\.request_context\..*\.env\.\d+`},
	{"We keep no notes (9); whose name commits and pull requests bear (26, 27) is for the client to say.",
		`unknown\.request_context\..*\.request_context\.\d+`},
	{"The instructions are in our own words, and have the first line alone of what a tool says about itself: agents' tools say pages, and say them elsewhere in the message.",
		`exec\.(request_context|mcp_state)\..*\.(instructions|serverUseInstructions)`},
	{"A tool that failed is a success that is an error, because what it says may be several texts and images.",
		`exec\.mcp\.answer\.mcpResult\.(error\.error|success\.(content\[0\]\.text\.text|isError))`},
	{"For a tool that was not offered the protocol has an answer of its own, which names those that were.",
		`exec\.mcp#2\.answer\.mcpResult\.(error|toolNotFound)\..*`},
	{"What we refuse, we refuse in our own words.",
		`exec\.unknown\.thrown|answers\[\d\]\..*\.rejected\.reason`},
	{"The conversation as upstream had us keep it. In its fourth turn the model repeats what we said of the tool that was not offered.",
		`blobs\[\d\]\.getBlobResult\.blobData|request\.conversationState\.(turns\[3\]|tokenDetails\.usedTokens)`},
}

// TestOurClientSaysWhatTheSDKSays does with a Backend what conformance/cursorsdk does with Cursor's SDK, against the
// same simulator with the same script, and compares what was sent, value by value. The golden file lists what differs.
//
// What the records don't hold, the simulator has an eye on: the blob key, heartbeats, the end of each exec, and the
// state that goes back.
func TestOurClientSaysWhatTheSDKSays(t *testing.T) {
	var ours []cursorsim.Run
	synctest.Test(t, func(t *testing.T) { ours = likeTheSDK(t) })
	if len(ours) != len(sdkStreams) {
		t.Fatalf("%d streams, want %d", len(ours), len(sdkStreams))
	}
	found := map[difference][]string{} // in which streams
	for i, stream := range sdkStreams {
		sent, err := os.ReadFile(filepath.Join(sdkFolder, "sent", stream+".json"))
		if err != nil {
			t.Fatal(err)
		}
		record, err := json.Marshal(ours[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range compare(readRecord(t, sent), readRecord(t, record)) {
			found[d] = append(found[d], stream)
		}
	}
	golden.File(t, "testdata/sdk/differences.txt", explain(t, found))
}

// explain lists the differences under their reasons. It fails the test for a difference without a reason and for a
// reason without a difference.
func explain(t *testing.T, found map[difference][]string) string {
	var b strings.Builder
	b.WriteString("What we say otherwise than Cursor's SDK: field (streams): the SDK's value -> ours.\n")
	for _, reason := range differences {
		fmt.Fprintf(&b, "\n# %s\n", reason.why)
		path := regexp.MustCompile("^(" + reason.path + ")$")
		used := false
		for _, d := range slices.SortedFunc(maps.Keys(found), byPath) {
			if path.MatchString(d.path) {
				fmt.Fprintf(&b, "%s (%s): %s -> %s\n", d.path, streams(found[d]), d.theirs, d.ours)
				delete(found, d)
				used = true
			}
		}
		if !used {
			t.Errorf("there is no such difference any more: %s", reason.why)
		}
	}
	for _, d := range slices.SortedFunc(maps.Keys(found), byPath) {
		t.Errorf("a difference without a reason: %s (%s): %s -> %s", d.path, streams(found[d]), d.theirs, d.ours)
	}
	return b.String()
}

func byPath(a, b difference) int {
	return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.theirs, b.theirs), cmp.Compare(a.ours, b.ours))
}

// streams names the streams that a difference is in.
func streams(names []string) string {
	switch missing := slices.DeleteFunc(slices.Clone(sdkStreams), func(s string) bool { return slices.Contains(names, s) }); len(missing) {
	case 0:
		return "all"
	case 1:
		return "all but " + missing[0]
	}
	return strings.Join(names, ", ")
}

// likeTheSDK does what conformance/cursorsdk/drive.mjs does.
func likeTheSDK(t *testing.T) []cursorsim.Run {
	script, err := os.ReadFile(filepath.Join(sdkFolder, "script.txt"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, string(script), cursorsim.Config{}, nil)
	data, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
	if err != nil {
		t.Fatal(err)
	}
	pixel := agent.Part{Image: &agent.Image{MIME: "image/png", Data: data}}

	c := &sdkClient{rig: r, results: map[string]agent.ToolResult{
		"sum":     {Parts: []agent.Part{{Text: "3"}}},
		"product": {Parts: []agent.Part{{Text: "12"}, pixel}},
		"broken":  {Parts: []agent.Part{{Text: "it is broken"}}, IsError: true},
	}}
	for _, name := range []string{"sum", "product", "broken"} {
		c.tools = append(c.tools, agent.Tool{
			Name: name, Description: "Gives " + name + ".",
			Parameters: json.RawMessage(`{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}`),
		})
	}
	c.turn(t, agent.Part{Text: "Say something."})
	c.turn(t, agent.Part{Text: "What is 1 + 2?"})
	c.turn(t, agent.Part{Text: "What are 1 + 2 and 3 * 4?"})
	c.turn(t, agent.Part{Text: "Use the broken tool, and one that does not exist."})
	c.turn(t, agent.Part{Text: "What is this?"}, pixel)
	c.turn(t, agent.Part{Text: "Be strange."})
	c.turn(t, agent.Part{Text: "Break in the middle."})
	c.turn(t, agent.Part{Text: "Fail."})

	c = &sdkClient{rig: r}
	c.turn(t, agent.Part{Text: "Just talk."})

	synctest.Wait()
	r.noViolations(t)
	runs := r.sim.Runs()
	for i, run := range runs {
		for _, failure := range run.Failures {
			t.Errorf("stream %d: %s", i+1, failure)
		}
	}
	return runs
}

// An sdkClient is a conversation with its tools, as the SDK's agent is one.
type sdkClient struct {
	*rig
	tools        []agent.Tool
	results      map[string]agent.ToolResult // by tool
	conversation agent.Conversation
}

// turn says something to the model and runs its tools until it is done, or until upstream says why not: that is for the
// record to tell.
func (c *sdkClient) turn(t *testing.T, message ...agent.Part) {
	t.Helper()
	req := backendtest.Request("")
	req.Messages[0].Parts, req.Tools, req.Continue = message, c.tools, c.conversation
	run := c.start(t, req)
	defer run.Close()
	for {
		turn, err := backendtest.Collect(t.Context(), run)
		if err != nil {
			return
		}
		if turn.Done.Reason != agent.ToolCalls {
			c.conversation = turn.Done.Conversation
			return
		}
		var results []agent.ToolResult
		for _, call := range turn.Calls {
			result := c.results[call.Name]
			result.CallID = call.ID
			results = append(results, result)
		}
		if err := run.Resume(t.Context(), results); err != nil {
			t.Fatal(err)
		}
	}
}
