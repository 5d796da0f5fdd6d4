package sdkbridge

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/bridgechild"
	"composer-api/internal/cursor/sdkv1"
)

// A worker is one bridge process with its agents. Agents and runs never move to another worker.
type worker struct {
	child *bridgechild.Child
	log   *slog.Logger
	max   int // agents that are kept between runs

	mu      sync.Mutex
	agents  map[string]*bridgeAgent // by id
	clock   uint64                  // counts uses of agents
	started int                     // runs begun in this process
	active  int                     // runs that are on
	retired bool                    // no new run begins; it ends when the last one has
	drained chan struct{}           // closed when retired and no run is on; nil before

	deleting sync.WaitGroup // agents that are being deleted
}

// callTool is the sdkv1.CallHandler of the worker's bridge.
func (w *worker) callTool(ctx context.Context, call sdkv1.CustomToolCall) sdkv1.ToolResult {
	w.mu.Lock()
	var r *run
	if a := w.agents[call.AgentID]; a != nil {
		r = a.run
	}
	w.mu.Unlock()
	if r == nil {
		return sdkv1.ToolError("This conversation is over. Don't call the tool again.")
	}
	return r.hold(ctx, call)
}

// callTimeout bounds a unary call that only the bridge itself answers.
const callTimeout = 10 * time.Second

// create makes an agent for req. ctx bounds it.
func (w *worker) create(ctx context.Context, req *agent.Request) (*bridgeAgent, error) {
	a := &bridgeAgent{worker: w, setup: setupOf(req), key: req.Caller.CursorKey, id: req.ConversationID}
	w.mu.Lock()
	if a.id == "" || w.agents[a.id] != nil {
		a.id = "agent-" + agent.NewUUID()
	}
	w.agents[a.id] = a // before the bridge knows it, so that its calls find it
	w.touch(a)
	w.mu.Unlock()
	options := sdkv1.AgentOptions{
		Model: sdkv1.ModelSelection{ID: req.Model.ID}, APIKey: a.key, AgentID: a.id,
		Local: sdkv1.LocalOptions{Cwd: []string{w.child.Workspace()}},
		Tools: sdkv1.ToolList{Names: []string{}},
	}
	for _, p := range req.Model.Params {
		options.Model.Params = append(options.Model.Params, sdkv1.ParameterValue{ID: p.ID, Value: p.Value})
	}
	if offered := req.Offered(); len(offered) > 0 {
		options.Tools.Names = []string{"mcp"}
		options.Local.CustomTools = make(map[string]sdkv1.ToolDefinition, len(offered))
		for _, tool := range offered {
			options.Local.CustomTools[tool.Name] = sdkv1.ToolDefinition{Description: tool.Description, InputSchema: schemaOf(tool)}
		}
	}
	id, err := w.child.Client.CreateAgent(ctx, options)
	if err == nil && id != a.id {
		err = &agent.Error{Code: agent.Upstream, Message: "Cursor's bridge gave the conversation another id than the one it was asked for."}
	}
	if err != nil {
		w.forget(a)
		return nil, err
	}
	return a, nil
}

// anyObject is the schema of a tool that doesn't say what it takes.
const anyObject = `{"type":"object","properties":{},"additionalProperties":true}`

func schemaOf(tool agent.Tool) json.RawMessage {
	var object map[string]json.RawMessage
	if len(tool.Parameters) == 0 || json.Unmarshal(tool.Parameters, &object) != nil || object == nil {
		return json.RawMessage(anyObject)
	}
	return tool.Parameters
}

// touch notes that an agent is used. mu is held.
func (w *worker) touch(a *bridgeAgent) {
	w.clock++
	a.used = w.clock
}

// reuse takes the agent of a conversation for another run; false when the conversation can't be continued.
func (w *worker) reuse(c *conversation, req *agent.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := c.agent
	if w.retired || w.agents[a.id] != a || a.run != nil || a.runs != c.runs || a.setup != setupOf(req) {
		return false
	}
	w.touch(a)
	return true
}

// begin makes r the run of its agent.
func (w *worker) begin(a *bridgeAgent, r *run) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.retired || a.run != nil || w.agents[a.id] != a {
		return false
	}
	a.run = r
	a.runs++
	w.started++
	w.active++
	return true
}

// end lets go of a run. keep says that its agent can be continued; it is deleted otherwise.
func (w *worker) end(a *bridgeAgent, r *run, keep bool) {
	w.mu.Lock()
	if a.run != r {
		w.mu.Unlock()
		return
	}
	a.run = nil
	w.active--
	if w.retired && w.active == 0 {
		close(w.drained)
	}
	var surplus []*bridgeAgent
	if !keep || w.retired {
		surplus = append(surplus, a)
	} else if oldest := w.surplus(); oldest != nil {
		surplus = append(surplus, oldest)
	}
	w.mu.Unlock()
	for _, a := range surplus {
		w.remove(a)
	}
}

// surplus is the idle agent that was used longest ago, if there are more idle agents than are kept. mu is held.
func (w *worker) surplus() *bridgeAgent {
	idle := 0
	var oldest *bridgeAgent
	for _, a := range w.agents {
		if a.run != nil {
			continue
		}
		idle++
		if oldest == nil || a.used < oldest.used {
			oldest = a
		}
	}
	if idle <= w.max {
		return nil
	}
	return oldest
}

func (w *worker) forget(a *bridgeAgent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.agents[a.id] == a {
		delete(w.agents, a.id)
	}
}

// remove deletes an agent, in the background: nobody waits for it.
func (w *worker) remove(a *bridgeAgent) {
	w.forget(a)
	w.deleting.Go(func() {
		defer agent.CatchPanic(func(err *agent.Error) { w.log.Error("deleting an agent panicked", "err", err) })
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		if err := w.child.Client.DeleteAgent(ctx, a.id, w.child.Workspace(), a.key); err != nil && !w.gone() {
			w.log.Debug("an agent of the bridge could not be deleted", "err", callError(err))
		}
	})
}

// gone reports whether the process has ended.
func (w *worker) gone() bool {
	select {
	case <-w.child.Exited():
		return true
	default:
		return false
	}
}

// died reports whether the process has ended, and waits a moment for the news: a stream breaks a little before.
func (w *worker) died() bool {
	const moment = 200 * time.Millisecond
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-w.child.Exited():
		return true
	case <-timer.C:
		return false
	}
}

// worn reports whether the process has had enough runs to be replaced.
func (w *worker) worn(after int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.retired || w.started >= after
}

// idle reports whether no run is on.
func (w *worker) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active == 0
}

// retire lets no new run begin. The channel is closed when the last run has ended.
func (w *worker) retire() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.retired {
		w.retired = true
		w.drained = make(chan struct{})
		if w.active == 0 {
			close(w.drained)
		}
	}
	return w.drained
}
