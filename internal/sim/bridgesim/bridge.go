package bridgesim

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/sdkv1"
	"composer-api/internal/memnet"
)

// The simulated bridge itself: its life, what a test may do to it, and the answers to the calls
// of sdk.v1 that are one request and one answer. Send, whose answer is a stream, is in run.go.
//
// Locks are taken in this order, and none is held while something waits: Bridge.mu, home.mu, Host.mu.
//
// Requests are decoded into structs without tags: encoding/json ignores the case of names, so
// that AgentID takes "agentId". Members that the simulation has no use for are ignored, as a
// bridge does with what it does not know.

// A Bridge is one simulated bridge. It implements sdkv1.Bridge; the rest of its methods are for tests. They may be called
// concurrently.
//
// It has two sides. As a server it answers sdk.v1 on listener, for client. As a client it calls
// the tools of the program at toolURL, through tools; the server of these calls is callback, which
// belongs to package sdkv1 and runs in this process, too. Both sides are networks in memory.
//
// Its life has two ends, of which a test may see the first alone:
//
//	Kill    the process is gone: requests and runs are cut off, Exited is closed
//	Close   Kill, and what this process holds for the bridge is released
//
//	client ──► listener: Ping, CreateAgent, Send …       sdk.v1, answered by serve
//	callback ◄── tools: CallCustomTool                   asked by run.post
type Bridge struct {
	// home, number, token and both networks are set when the bridge starts, and don't change.
	home     *home
	number   int // from 1, of all that the host has started
	token    string
	listener *memnet.Listener
	server   *http.Server
	callback *sdkv1.CallbackServer
	client   *sdkv1.Client
	tools    *http.Client // for the calls of tools
	life     context.Context
	end      context.CancelFunc
	exited   chan struct{}
	over     sync.Once

	mu   sync.Mutex
	hung chan struct{} // not nil once it answers nothing any more; closed at its end
	// memory is what Memory says, in bytes. toolURL and toolKey are where the client has said that its
	// tools are, and the bearer token for it; "" before SetToolCallback. loaded has the agents that may
	// be sent messages now, by id: those of the home that this bridge has created or resumed.
	memory   int64
	toolURL  string
	toolKey  string
	loaded   map[string]*loaded
	runs     map[string]*run // by id; those that have ended, too
	runCount int
}

// A loaded agent is one that this bridge has created or resumed. The model and the tools are
// those of the last CreateAgent or ResumeAgent, and are what its runs record: the bridge has no
// models of its own. It is not changed afterwards; resuming an agent again makes a new one, and
// a run that is on keeps the one with which it began.
type loaded struct {
	// agent is what the home keeps on disk: another bridge may load it, too.
	agent *bridgeAgent
	key   string
	model string
	tools []string
}

// idleMemory is what a bridge takes when it has done nothing yet, in bytes.
const idleMemory = 130 << 20

// newBridge starts a bridge that calls handle for its tools. It can be asked at once, but tests
// get it only after connect. The caller must close it, also when connect fails.
//
// Its goroutines are the server's and those of runs; both end with Kill.
func newBridge(h *home, handle sdkv1.CallHandler) *Bridge {
	// The callback server listens here, and the bridge's client of it dials here.
	tools := memnet.Listen()
	b := &Bridge{
		home: h, token: rand.Text(), listener: memnet.Listen(), exited: make(chan struct{}),
		callback: sdkv1.NewCallbackServer(tools, handle), tools: &http.Client{Transport: tools.Transport(nil)},
		memory: idleMemory, loaded: map[string]*loaded{}, runs: map[string]*run{},
	}
	h.host.mu.Lock()
	// Numbers are never given again, so a test can name a bridge that is gone.
	h.host.started++
	// Counted over all homes, so that a record's Bridge names one process.
	b.number = h.host.started
	h.host.mu.Unlock()
	b.life, b.end = context.WithCancel(context.Background())
	b.server = &http.Server{Handler: http.HandlerFunc(b.serve), ReadHeaderTimeout: time.Minute}
	go b.server.Serve(b.listener)
	return b
}

// connect makes the client for the bridge, and tells the bridge where tools are run. client is set
// here and never changed; the methods of other goroutines come after Start has returned the bridge.
func (b *Bridge) connect(ctx context.Context) error {
	b.client = sdkv1.NewClient("http://bridge", agent.NewSecret(b.token), &http.Client{Transport: b.listener.Transport(nil)})
	return b.client.SetToolCallback(ctx, b.callback.URL(), b.callback.Token())
}

// Client implements sdkv1.Bridge.
func (b *Bridge) Client() *sdkv1.Client { return b.client }

// Exited implements sdkv1.Bridge.
func (b *Bridge) Exited() <-chan struct{} { return b.exited }

// Memory implements sdkv1.Bridge. It is the resident memory that the client watches to replace
// a bridge that has grown, in bytes. Runs don't change it, only Grow does.
func (b *Bridge) Memory() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.memory
}

// Grow sets what Memory says. The value is in bytes and not added to the one before.
func (b *Bridge) Grow(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.memory = bytes
}

// Hang makes the bridge answer nothing any more, as one whose only thread is stuck. Requests that
// come from now on wait for Kill, and are broken off then. Runs go on, but nobody can ask for them.
// It is called once in the life of a bridge: Kill frees those who wait for the last one alone.
func (b *Bridge) Hang() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hung = make(chan struct{})
}

// Disconnect breaks the connections to Cursor that the bridge's runs have at this moment. A run
// notices it where it waits: for a delay, a hold, or the results of calls. Then it tries again
// by itself, see fault.go. The stream to the client is not broken.
func (b *Bridge) Disconnect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.runs {
		select {
		case r.cut <- struct{}{}:
		default: // it is broken already, or has ended
		}
	}
}

// Kill ends the bridge as a crash would. It is Exited that tells the client. The home stays, and with
// it the marks of the agents that had a run, as on a real disk. It may be called more than once.
func (b *Bridge) Kill() {
	b.over.Do(func() {
		b.mu.Lock()
		// Those who wait for a bridge that hangs are freed first, or server.Close would leave them
		// waiting.
		if b.hung != nil {
			close(b.hung)
		}
		b.mu.Unlock()
		b.end()
		b.listener.Close()
		b.server.Close()
		host := b.home.host
		host.mu.Lock()
		host.bridges = slices.DeleteFunc(host.bridges, func(other *Bridge) bool { return other == b })
		host.mu.Unlock()
		close(b.exited)
	})
}

// Close implements sdkv1.Bridge. It may be called for a bridge that was killed, and for one
// whose connect has failed.
func (b *Bridge) Close() error {
	b.Kill()
	b.client.Close()
	b.tools.CloseIdleConnections()
	return b.callback.Close()
}

// The prefix of every method, and the services.
const (
	control = "/sdk.v1.SdkBridgeControlService/"
	agents  = "/sdk.v1.SdkAgentService/"
)

// serve answers one request. What is checked first wins, in this order: a bridge that hangs, a wrong
// token, an error that the test has ordered (Host.Refuse), an unknown method, and only then the request.
func (b *Bridge) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	hung := b.hung
	b.mu.Unlock()
	if hung != nil {
		<-hung
		// The connection breaks off without an answer, as that of a killed process.
		panic(http.ErrAbortHandler)
	}
	if r.Header.Get("Authorization") != "Bearer "+b.token {
		writeError(w, &wireError{Code: "unauthenticated", Message: "Unauthorized"})
		return
	}
	if e := b.home.host.refused(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]); e != nil {
		writeError(w, e)
		return
	}
	if r.URL.Path == agents+"Send" {
		b.send(w, r)
		return
	}
	// The methods of the contract that the client uses. Others exist in the real bridge.
	unary := map[string]func(*json.Decoder) (any, *wireError){
		control + "Ping":            func(*json.Decoder) (any, *wireError) { return map[string]string{"message": "pong"}, nil },
		control + "SetToolCallback": b.setToolCallback,
		agents + "CreateAgent":      b.createAgent,
		agents + "ResumeAgent":      b.resumeAgent,
		agents + "DeleteAgent":      b.deleteAgent,
		agents + "CancelRun":        b.cancelRun,
	}[r.URL.Path]
	if unary == nil {
		writeError(w, &wireError{Code: "unimplemented", Message: "no such method"})
		return
	}
	answer, e := unary(json.NewDecoder(r.Body))
	if e != nil {
		writeError(w, e)
		return
	}
	writeJSON(w, answer)
}

// unreadable is the error for a request that is not JSON of the contract.
func unreadable(err error) *wireError {
	return &wireError{Code: "invalid_argument", Message: "cannot decode message: " + err.Error()}
}

// setToolCallback takes note of where the client's tools are. An empty URL means that there are
// none any more; agents with tools can't be created or resumed then.
func (b *Bridge) setToolCallback(d *json.Decoder) (any, *wireError) {
	var in struct{ URL, AuthToken string }
	if err := d.Decode(&in); err != nil {
		return nil, unreadable(err)
	}
	if in.URL != "" && in.AuthToken == "" {
		return nil, sdkError("invalid_argument", "auth_token is required with url")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.toolURL, b.toolKey = in.URL, in.AuthToken
	return struct{}{}, nil
}

// options are what an agent is created or resumed with. Only the members that change what the
// simulation does or records are here.
type options struct {
	// The names are those of the SDK's JSON.
	Model struct {
		ID     string
		Params []struct{ ID, Value string }
	}
	APIKey  string
	AgentID string
	Local   struct {
		Cwd         []string
		CustomTools map[string]struct{}
	}
	Tools *struct{ Names []string }
}

// check says what the bridge refuses. It checks little: not the key, not the parameters, not
// the folder. So an error in what a client sends there is not found with it.
//
// The sentences are the real bridge's, because the client looks for some of them.
func (o *options) check(toolURL string) *wireError {
	if len(o.Local.CustomTools) > 0 && toolURL == "" {
		return sdkError("failed_precondition", "local.custom_tools requires a host tool callback server")
	}
	if !strings.HasPrefix(o.Model.ID, "composer-") {
		return sdkError("invalid_argument", "Cannot use this model: "+o.Model.ID+". Available models: composer-2.5")
	}
	return nil
}

// model is the model as agent.Model prints it.
func (o *options) model() string {
	text := o.Model.ID
	for _, p := range o.Model.Params {
		text += ";" + p.ID + "=" + p.Value
	}
	return text
}

// load makes the agent one of this bridge's. mu is held. The names of the tools are sorted,
// because they come from an object of JSON, and records must not depend on the order of a Go map.
func (b *Bridge) load(a *bridgeAgent, o *options) {
	l := &loaded{agent: a, key: o.APIKey, model: o.model()}
	for name := range o.Local.CustomTools {
		l.tools = append(l.tools, name)
	}
	slices.Sort(l.tools)
	b.loaded[a.id] = l
}

// createAgent makes an agent in the home, under the client's id when it has given one. An id
// that exists already is overwritten: no client of this program does that.
func (b *Bridge) createAgent(d *json.Decoder) (any, *wireError) {
	var in struct{ Options options }
	if err := d.Decode(&in); err != nil {
		return nil, unreadable(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := in.Options.check(b.toolURL); e != nil {
		return nil, e
	}
	// No mark: a new agent has no run.
	a := &bridgeAgent{id: in.Options.AgentID}
	if a.id == "" {
		a.id = "agent-" + rand.Text()
	}
	b.home.mu.Lock()
	b.home.agents[a.id] = a
	b.home.mu.Unlock()
	b.load(a, &in.Options)
	return map[string]string{"agentId": a.id}, nil
}

// resumeAgent makes an agent of the home one of this bridge's. It is no error when it is one
// already; then it has the new options from its next run on.
func (b *Bridge) resumeAgent(d *json.Decoder) (any, *wireError) {
	var in struct {
		AgentID string
		Options options
	}
	if err := d.Decode(&in); err != nil {
		return nil, unreadable(err)
	}
	a := b.home.find(in.AgentID)
	if a == nil {
		return nil, sdkError("not_found", "Agent "+in.AgentID+" not found")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := in.Options.check(b.toolURL); e != nil {
		return nil, e
	}
	b.load(a, &in.Options)
	return map[string]string{"agentId": a.id}, nil
}

// deleteAgent removes an agent from the home and from this bridge. Its run, if one is on, goes
// on to its end.
//
// The agent's mark goes with it, so an id that is used again begins without one.
func (b *Bridge) deleteAgent(d *json.Decoder) (any, *wireError) {
	var in struct{ AgentID string }
	if err := d.Decode(&in); err != nil {
		return nil, unreadable(err)
	}
	b.home.mu.Lock()
	_, known := b.home.agents[in.AgentID]
	delete(b.home.agents, in.AgentID)
	b.home.mu.Unlock()
	b.mu.Lock()
	delete(b.loaded, in.AgentID)
	b.mu.Unlock()
	if !known {
		return nil, sdkError("not_found", "Agent "+in.AgentID+" not found")
	}
	return struct{}{}, nil
}

// cancelRun ends a run. A call that is held is not ended by it. To cancel a run that has ended
// is no error. It returns before the run has ended; the end is told in the stream.
func (b *Bridge) cancelRun(d *json.Decoder) (any, *wireError) {
	var in struct{ RunID string }
	if err := d.Decode(&in); err != nil {
		return nil, unreadable(err)
	}
	b.mu.Lock()
	r := b.runs[in.RunID]
	b.mu.Unlock()
	if r == nil {
		return nil, sdkError("invalid_argument", "Run "+in.RunID+" not found")
	}
	// The goroutine of the run notices it where it waits, or after its present step.
	r.cancel()
	return struct{}{}, nil
}

// Agents are the ids of the agents that the bridge's home keeps. They are sorted. Tests look
// here for agents that nobody deletes.
func (b *Bridge) Agents() []string {
	b.home.mu.Lock()
	defer b.home.mu.Unlock()
	var ids []string
	for id := range b.home.agents {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
