package localagent

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"composer-api/internal/agent"
	"composer-api/internal/agent/agenttest"
	"composer-api/internal/cursorsim"
)

// sdkSent is what Cursor's own SDK sent to the simulator; conformance/cursorsdk keeps it up to date.
const sdkSent = "../../../conformance/cursorsdk/testdata/sent"

// differences lists where we say something else than the SDK, on purpose. Fields below one that is listed count with it.
var differences = map[string]string{
	"- exec.request_context.env.workspacePaths": "the paths of this machine are nobody's business",
	"- exec.request_context.env.projectFolder":  "so is this one",
	"- exec.mcp.error":                          "a failed tool is a success that is an error, which may hold images",
	"+ exec.mcp.success.isError":                "that is how",
	"+ exec.mcp.toolNotFound":                   "a tool that was not offered: the protocol has an answer of its own for it",
	"+ header.user-agent":                       "we don't say that we are somebody else",
}

// TestOurClientSaysWhatTheSDKSays compares the fields of all messages that the SDK sent to the simulator with those
// that we send to it in the same situations.
func TestOurClientSaysWhatTheSDKSays(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(sdkSent, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("what the SDK sent is not there", err)
	}
	theirs := fields{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		theirs.addRun(t, data)
	}
	ours := fields{}
	synctest.Test(t, func(t *testing.T) {
		for _, run := range likeTheSDK(t) {
			data, err := json.Marshal(run)
			if err != nil {
				t.Fatal(err)
			}
			ours.addRun(t, data)
		}
	})
	listed := map[string]bool{}
	check := func(sign string, has, lacks fields) {
		for _, path := range slices.Sorted(maps.Keys(has)) {
			if lacks[path] {
				continue
			}
			known := false
			for d := range differences {
				if path := sign + " " + path; path == d || strings.HasPrefix(path, d+".") {
					listed[d], known = true, true
				}
			}
			if !known {
				t.Errorf("%s %s", sign, path)
			}
		}
	}
	check("-", theirs, ours) // what the SDK says and we don't
	check("+", ours, theirs)
	for d := range differences {
		if !listed[d] {
			t.Errorf("%s: listed, but there is no such difference", d)
		}
	}
}

// likeTheSDK does what conformance/cursorsdk has the SDK do.
func likeTheSDK(t *testing.T) []cursorsim.Run {
	r := newRig(t, `turn
text Hello.
turn
calls 2
call look {"path":"a"}
call missing {}
end
text {results}
turn when images
set-blob note Remember this.
checkpoint
get-blob note
cut
turn when resume
query ask-question
query mcp-auth
exec 700
text Two.
turn
text No tools.
`, cursorsim.Config{}, nil)
	req := agenttest.Request("hello")
	req.Continue = collect(t, r.start(t, req)).Done.Conversation

	run := r.start(t, req)
	call := collect(t, run).Calls[0]
	picture := agent.Part{Image: &agent.Image{MIME: "image/png", Data: []byte("png")}}
	if err := run.Resume(t.Context(), []agent.ToolResult{{CallID: call.ID, IsError: true, Parts: []agent.Part{{Text: "no"}, picture}}}); err != nil {
		t.Fatal(err)
	}
	collect(t, run)

	req = agenttest.Request("what is this?")
	req.Messages[0].Parts = append(req.Messages[0].Parts, picture)
	collect(t, r.start(t, req))

	req = agenttest.Request("just talk")
	req.Tools = nil
	collect(t, r.start(t, req))
	r.noViolations(t)
	return r.sim.Runs()
}

// fields is a set of paths of fields, without what a schema or a checkpoint holds.
type fields map[string]bool

// addRun adds the fields of a run as the simulator records it.
func (f fields) addRun(t *testing.T, data []byte) {
	t.Helper()
	var run struct {
		Header  map[string]any
		Request any
		Execs   []struct {
			Kind   string
			Answer map[string]any
		}
		Blobs, Answers []any
	}
	if err := json.Unmarshal(data, &run); err != nil {
		t.Fatal(err)
	}
	for name := range run.Header {
		f["header."+strings.ToLower(name)] = true
	}
	f.add("request", run.Request)
	f.add("blob", run.Blobs)
	f.add("answer", run.Answers)
	for _, x := range run.Execs {
		for name, value := range x.Answer {
			if strings.HasSuffix(name, "Result") {
				f.add("exec."+x.Kind, value)
			} else {
				f.add("exec."+name, value)
			}
		}
	}
}

func (f fields) add(path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			switch name {
			case "inputSchema", "conversationState":
				f[path+"."+name] = true
			case "success", "requestContext":
				if path == "exec.request_context" {
					f.add(path, inner) // shorter paths for what there is most of
					continue
				}
				fallthrough
			default:
				f.add(path+"."+name, inner)
			}
		}
	case []any:
		for _, item := range value {
			f.add(path, item)
		}
	default:
		f[path] = true
	}
}
