package bridgesim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"composer-api/internal/sim/script"
)

// How the simulated model calls the client's tools: the bridge asks the program by HTTP, and holds
// the call for as long as the answer takes, which may be hours when a person has to decide.

// calls makes the calls of a step, all at once, and waits until each has an answer. It reports
// whether the connection to Cursor has broken meanwhile. The calls are made by goroutines of
// their own, but everything is said by the goroutine of the run, as the answers come in. Steps
// between the calls (text, delays) are played in their place, and a fault of theirs is ignored.
//
//	announced?   tool-requests-listed
//	each call    partial-tool-call, twice; tool-call-started
//	an answer    noted in the record, given to the player; tool-call-completed
func (r *run) calls(player *script.Player, s script.Calls) (broken bool) {
	if s.Announced > 0 {
		r.update("tool-requests-listed", message{"callCount": s.Announced})
	}
	type answer struct {
		call script.Call
		// id is the call's on the wire.
		id     string
		result script.Result
	}
	var open int
	// Without room: each call's goroutine waits until the run takes its answer, or until somebody
	// else does at the end.
	answers := make(chan answer)
	for _, step := range s.Steps {
		call, ok := step.(script.Call)
		if !ok {
			r.do(player, step)
			continue
		}
		// The id is new in every attempt of the run, as on the real bridge.
		//
		// Run and number make it unique among all bridges of a test.
		id := fmt.Sprintf("toolu_%s_%d", r.id, call.N)
		open++
		if !call.Builtin { // of its own tools the bridge says nothing
			r.reportCall(id, &call, "running", "partial-tool-call", "partial-tool-call", "tool-call-started")
		}
		go func() {
			answers <- answer{call, id, r.callTool(id, &call)}
		}()
	}
	for ; open > 0; open-- {
		select {
		case a := <-answers:
			player.Result(a.call.N, a.result)
			said := a.result.Text
			if a.result.IsError {
				said = "error: " + said
			}
			r.bridge.home.host.note(r, func(record *Run) { record.Results = append(record.Results, said) })
			if !a.call.Builtin {
				r.reportCall(a.id, &a.call, "completed", "tool-call-completed")
			}
		// The bridge begins the run again, and the calls of this attempt with it.
		case <-r.cut:
			broken = true
		case <-r.life.Done():
			broken = true // do looks at life itself
		}
		if broken {
			// A call that is held is ended neither by the end of its run nor by another attempt. Its answer reaches nobody.
			go func() {
				for range open {
					<-answers
				}
			}()
			return true
		}
	}
	return false
}

// reportCall says what becomes of a call, once for each kind, and each time twice. Each is once
// an update and once an SDK message, with the same id.
func (r *run) reportCall(id string, call *script.Call, status string, kinds ...string) {
	arguments := message{"providerIdentifier": "custom-user-tools", "toolName": call.Tool, "args": call.Args}
	for _, kind := range kinds {
		r.update(kind, message{"callId": id, "toolCall": message{"type": "mcp", "args": arguments}, "modelCallId": ""})
		r.tell("tool_call", message{"call_id": id, "name": "mcp", "status": status, "args": arguments})
	}
}

// callTool asks the host to run a tool. Whatever else it answers than a result becomes an error
// that the model sees: the run goes on. It is called in a goroutine of its own and says nothing.
func (r *run) callTool(id string, call *script.Call) script.Result {
	if call.Builtin {
		return script.Result{Text: "the simulated bridge has no tools of its own", IsError: true}
	}
	// The real bridge answers such a call by itself. The client never hears of it.
	if !slices.Contains(r.loaded.tools, call.Tool) {
		return script.Result{Text: "Unknown custom tool: " + call.Tool, IsError: true}
	}
	// Both requests have the same id, by which the client can tell.
	if r.bridge.home.host.repeats() {
		go r.post(id, call) // its answer is lost
	}
	text, isError, err := r.post(id, call)
	if err != nil {
		return script.Result{Text: "[internal] " + err.Error(), IsError: true}
	}
	return script.Result{Text: text, IsError: isError}
}

// A toolRequest is what the bridge asks the caller's tools, in JSON. Source: CallCustomTool of sdk.v1.
type toolRequest struct {
	ToolName string `json:"toolName"`
	// Args are JSON inside of JSON: an object, and not a text.
	Args       json.RawMessage `json:"args"`
	ToolCallID string          `json:"toolCallId"`
	AgentID    string          `json:"agentId"`
}

// post asks the tools' server, and returns the texts of the result, one after the other. Of a part
// that is no text only the type is kept. err is set when there is no result: the connection has
// failed, the bridge has ended, or the status is not 200, in which case the error is the body.
func (r *run) post(id string, call *script.Call) (text string, isError bool, err error) {
	b := r.bridge
	b.mu.Lock()
	// Read for each call: SetToolCallback may have changed them.
	url, key := b.toolURL, b.toolKey
	b.mu.Unlock()
	body, err := json.Marshal(toolRequest{ToolName: call.Tool, Args: call.Args, ToolCallID: id, AgentID: r.loaded.agent.id})
	if err != nil {
		return "", false, err
	}
	// Bound to the bridge and not to the run, see calls.
	req, err := http.NewRequestWithContext(b.life, http.MethodPost, url+"/sdk.v1.SdkCustomToolCallbackService/CallCustomTool", bytes.NewReader(body))
	if err != nil {
		return "", false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := b.tools.Do(req)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	// The body is what the model reads then, as it is.
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(resp.Body)
		return "", false, fmt.Errorf("%s", said)
	}
	var answer struct {
		Result struct {
			Content []struct{ Type, Text string }
			IsError bool
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", false, err
	}
	for _, part := range answer.Result.Content {
		if part.Type == "text" {
			text += part.Text
		} else {
			text += "(" + part.Type + ")"
		}
	}
	return text, answer.Result.IsError, nil
}
