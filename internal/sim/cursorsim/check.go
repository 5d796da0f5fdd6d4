package cursorsim

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// What the simulator asks of a client on the local-agent endpoint, beside that its messages can be decoded.
// The three times at which it looks: when the stream begins (checkHeader), when the run request has come
// (checkRequest), and when the run is over (checkEnd). A violation changes nothing for the client.

// The values that x-cursor-agent-allowed-tools may have: for requests without tools, and for those
// with tools of the client. Both ask the server to keep Cursor's built-in tools away from the model.
const (
	allowNothing = ""
	allowMCP     = "mcp_tool_call,get_mcp_tools_tool_call,list_mcp_resources_tool_call,read_mcp_resource_tool_call,mcp_auth_tool_call"
)

// hex64 is a key of 256 bits as hex digits.
var hex64 = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// checkHeader checks what can be checked before the first message. The wanted values are those of
// Cursor's SDK.
func (p *run) checkHeader() {
	h := p.header
	for _, c := range []struct{ name, want string }{
		{"content-type", "application/connect+proto"},
		{"connect-protocol-version", "1"},
		{"x-cursor-client-type", "sdk"},
		{"x-ghost-mode", "true"},
	} {
		if got := h.Get(c.name); got != c.want {
			p.violation("header %s is %q, not %q", c.name, got, c.want)
		}
	}
	for _, name := range []string{"x-cursor-client-version", "x-request-id", "x-original-request-id"} {
		if h.Get(name) == "" {
			p.violation("header %s is missing", name)
		}
	}
	if !hex64.MatchString(h.Get("X-Blob-Encryption-Key")) {
		p.violation("header x-blob-encryption-key is not 64 hex digits")
	}
}

// checkRequest checks the first message, and the header against it.
//
// It runs before the script is asked for a turn, so that a wrong request is noted whatever is played.
func (p *run) checkRequest() {
	req, h := p.request, p.header
	if req.GetRunId() != h.Get("X-Original-Request-Id") {
		p.violation("run_id is %q, x-original-request-id is %q", req.GetRunId(), h.Get("X-Original-Request-Id"))
	}
	if req.GetConversationId() == "" {
		p.violation("conversation_id is missing")
	}
	// Cursor's SDK sends an empty one in the first turn, so present and empty is what we ask for.
	if req.ConversationState == nil {
		p.violation("conversation_state is missing; an empty one belongs into the first turn")
	}
	if !known(req.GetRequestedModel().GetModelId()) {
		p.violation("requested_model %q is none of the catalogue", req.GetRequestedModel().GetModelId())
	}
	tools := req.GetMcpTools().GetMcpTools()
	want := allowNothing
	if len(tools) > 0 {
		want = allowMCP
	}
	// Present and empty is a value of its own here: it allows nothing.
	switch got, present := h["X-Cursor-Agent-Allowed-Tools"]; {
	case !present:
		p.violation("header x-cursor-agent-allowed-tools is missing")
	case strings.Join(got, ",") != want:
		p.violation("header x-cursor-agent-allowed-tools is %q, not %q", got, want)
	}
	p.checkTools("run request", tools)
	p.checkConversation()
}

// checkConversation checks a follow-up against what the conversation was before: the same blob key,
// and a state that the server has given out. A conversation that this process doesn't know, or knows
// only without a key, can't be checked. It takes the conversation's lock.
//
// The new blob key is remembered in any case, so that one change is one violation.
func (p *run) checkConversation() {
	c := p.conversation
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.rec.Continued && c.blobKey != "" {
		if c.blobKey != p.rec.BlobKey {
			p.violation("the conversation's blob key has changed")
		}
		if _, sent := c.checkpoints.items[stateHash(p.request.GetConversationState())]; !sent {
			p.violation("conversation_state is no checkpoint that this conversation was given")
		}
	}
	c.blobKey = p.rec.BlobKey
}

// How often a client has to send heartbeats: one for the stream, and one for each open exec.
const (
	clientHeartbeat = 5 * time.Second
	execHeartbeat   = 3 * time.Second
)

// checkEnd checks what can be judged only when the run is over: the number of heartbeats, and, if the
// run ended well, that every answered exec was closed. A run that ended early may have cut the client
// off in the middle of it.
func (p *run) checkEnd(end string) {
	p.checkRhythm("client heartbeats", p.rec.Heartbeats, time.Since(p.started), clientHeartbeat)
	// Only execs that are still open: a client need not send heartbeats for one that it has answered.
	for _, e := range p.execs.byID {
		if !e.done {
			p.checkRhythm("heartbeats of exec "+e.kind, e.heartbeats, time.Since(e.asked), execHeartbeat)
		}
	}
	if end != EndedWell {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(p.execs.byID)) {
		if e := p.execs.byID[id]; e.done && !e.closed && !e.aborted {
			p.violation("exec %d (%s): no stream_close after the answer", e.id, e.kind)
		}
	}
}

// awaitCloses gives the last stream_close two seconds to arrive. That it is missing is no error here;
// checkEnd judges.
func (p *run) awaitCloses() error {
	grace := time.NewTimer(2 * time.Second)
	defer grace.Stop()
	_, err := p.read(p.execs.allClosed, grace.C, false)
	return err
}
