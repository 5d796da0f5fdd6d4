package sdkbridge

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/sdkv1"
)

// A worker is one bridge. A run never moves to another one.
//
// started counts up to RecycleRuns, active down to 0 before a retired bridge ends. busy is
// their measure for "which bridge next": parked runs give its thread nothing to do.
type worker struct {
	// backend, pool, bridge and born don't change.
	backend  *Backend
	pool     *pool
	bridge   sdkv1.Bridge
	born     time.Time
	hopeless chan struct{}  // closed when the bridge does not answer any more, so that nobody waits for its runs
	deleting sync.WaitGroup // agents that are being deleted; none is added once retired is set

	// Guarded by Backend.mu.
	started int           // runs begun in this process
	active  int           // runs that are on
	parked  int           // those of them that wait for a client
	quiet   time.Time     // when the last run ended
	retired bool          // no new run begins; it ends when the last one has
	drained chan struct{} // closed when retired and no run is on; nil before
	missed  int           // signs of life that did not come, in a row
	memory  int64         // at the last look, in bytes
}

// callTool is the sdkv1.CallHandler of the worker's bridge. A call that belongs to no run is never answered: whatever was
// said would reach the model.
//
// It is called in a goroutine of the callback server for each call, and keeps that as long as
// the call waits.
func (w *worker) callTool(ctx context.Context, call sdkv1.CustomToolCall) sdkv1.ToolResult {
	w.backend.mu.Lock()
	var r *run
	// The bridge says for which agent it calls. An agent has one run at a time.
	if a := w.pool.agents[call.AgentID]; a != nil {
		r = a.run
	}
	w.backend.mu.Unlock()
	if r == nil {
		// Until the bridge gives the call up itself, which it does when its run ends.
		<-ctx.Done()
		return sdkv1.ToolError("This conversation is over.")
	}
	return r.hold(ctx, call)
}

// busy is how many runs give the bridge's thread something to do. mu is held.
func (w *worker) busy() int { return w.active - w.parked }

// take counts another run. mu is held.
func (w *worker) take() {
	w.active++
	w.started++
}

// release ends what take has begun. mu is held.
func (w *worker) release() {
	w.active--
	w.quiet = time.Now()
	// retire closes drained itself when no run is on, so it is closed once.
	if w.retired && w.active == 0 {
		close(w.drained)
	}
}

// park counts a run that begins or ends to wait for its client. mu is held.
func (w *worker) park(at *attempt, parked bool) {
	// A run may be resumed and closed at the same moment, so each of the two is counted once.
	if at.parked == parked {
		return
	}
	at.parked = parked
	if parked {
		w.parked++
	} else {
		w.parked--
	}
}

// callTimeout bounds a unary call that only the bridge itself answers.
const callTimeout = 10 * time.Second

// delete deletes an agent in the background: nobody waits for it. If the bridge ends meanwhile, the next
// one does it. mu is held. retire waits for deleting, so a bridge does not end in the middle of it.
func (w *worker) delete(a *bridgeAgent) {
	b, p := w.backend, w.pool
	w.deleting.Go(func() {
		defer agent.CatchPanic(b.panicked)
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		err := w.bridge.Client().DeleteAgent(ctx, a.id, p.home.Workspace(), a.key)
		b.mu.Lock()
		defer b.mu.Unlock()
		// What an agent has said lies in the folder, which the next bridge of the pool uses, too.
		if err != nil && w.gone() {
			p.doomed = append(p.doomed, a)
			return
		}
		delete(p.dying, a.id)
		if err != nil {
			b.cfg.Log.Debug("an agent of the bridge could not be deleted", "err", failed(err).Err)
		}
	})
}

// gone reports whether the process has ended.
func (w *worker) gone() bool {
	select {
	case <-w.bridge.Exited():
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
	case <-w.bridge.Exited():
		return true
	case <-timer.C:
		return false
	}
}

// options are what an agent for req is created or resumed with.
//
// Names is what the agent may use: "mcp" stands for the client's own tools, and none of the
// bridge's built-in ones is in the list.
func (w *worker) options(req *agent.Request) sdkv1.AgentOptions {
	// An empty list and not nil, which JSON would have as null: the list takes the bridge's own tools away.
	options := sdkv1.AgentOptions{
		Model: sdkv1.ModelSelection{ID: req.Model.ID}, APIKey: req.Caller.CursorKey,
		Local: sdkv1.LocalOptions{Cwd: []string{w.pool.home.Workspace()}},
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
	return options
}

// anyObject is the schema of a tool that doesn't say what it takes.
const anyObject = `{"type":"object","properties":{},"additionalProperties":true}`

// schemaOf is the schema of a tool's arguments. What is no JSON object gives one that allows
// anything.
func schemaOf(tool agent.Tool) json.RawMessage {
	var object map[string]json.RawMessage
	if len(tool.Parameters) == 0 || json.Unmarshal(tool.Parameters, &object) != nil || object == nil {
		return json.RawMessage(anyObject)
	}
	return tool.Parameters
}
