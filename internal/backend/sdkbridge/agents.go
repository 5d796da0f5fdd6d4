package sdkbridge

import (
	"context"
	"errors"
	"time"

	"composer-api/internal/agent"
)

// Agents: conversations that the bridge keeps. Their content lies in files in the pool's home, where
// any bridge of that pool can open them; here is only what is needed to find and to end them.

// A bridgeAgent is an agent: a conversation in a pool's home. Its fields but the first four are guarded by Backend.mu.
//
//	state     in             run     worker
//	running   pool.agents    set     set
//	idle      pool.agents    nil     the bridge that has it, or nil when that has ended
//	dying     pool.dying     nil     delete is under way
//	doomed    pool.dying     nil     waits for a bridge that can delete it (pool.doomed)
type bridgeAgent struct {
	// id, pool, setup and key are set when the agent is made.
	id    string
	pool  *pool
	setup setup
	// key is of the request that has created it: the bridge needs one to delete it.
	key agent.Secret

	worker *worker   // the bridge that has it; nil once that has ended
	run    *run      // the run that is on; nil between runs
	runs   int       // messages sent so far
	used   uint64    // Backend.clock at the last use
	rested time.Time // when the last run ended
}

// create makes an agent for r's request.
//
// After an error nothing is left of it: finish removes the agent and releases the worker.
func (b *Backend) create(ctx context.Context, r *run) (*bridgeAgent, *worker, error) {
	w, err := b.acquire(ctx, r.req.Caller.Owner)
	if err != nil {
		return nil, nil, err
	}
	a := b.register(w, r)
	options := w.options(r.req)
	// The id is ours, so that calls which come before the answer find the agent.
	options.AgentID = a.id
	id, err := w.bridge.Client().CreateAgent(ctx, options)
	if err == nil && id != a.id {
		err = &agent.Error{Code: agent.Upstream, Message: "Cursor's bridge gave the conversation another id than the one it was asked for."}
	}
	if err != nil {
		b.finish(a, w, r, false)
		return nil, nil, err
	}
	return a, w, nil
}

// register notes an agent before the bridge knows it, so that its calls find it. The request's
// own conversation id is used if it is free; a pinned session's may still be in use.
//
// A session's id isn't free as long as an agent of the pool has it, also one that is being
// deleted.
func (b *Backend) register(w *worker, r *run) *bridgeAgent {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := &bridgeAgent{id: r.req.ConversationID, pool: w.pool, setup: setupOf(r.req), key: r.req.Caller.CursorKey, worker: w, run: r}
	if a.id == "" || w.pool.agents[a.id] != nil || w.pool.dying[a.id] != nil {
		a.id = agent.NewConversationID()
	}
	w.pool.agents[a.id] = a
	return a
}

// resume takes the agent of a conversation for r. When its bridge has ended, another one of the pool takes it over.
//
// With an error, the agent is removed if its bridge could not resume it, and kept if there was
// no bridge to ask.
func (b *Backend) resume(ctx context.Context, c *conversation, r *run) (*bridgeAgent, *worker, error) {
	a := c.agent
	w, err := b.claim(c, r)
	if w != nil || err != nil {
		return a, w, err
	}
	// A bridge of the agent's own pool: the agent's files lie in that pool's home.
	if w, err = b.acquire(ctx, a.pool.owner); err != nil {
		b.finish(a, nil, r, true)
		return nil, nil, err
	}
	if err := w.bridge.Client().ResumeAgent(ctx, a.id, w.options(r.req)); err != nil {
		b.finish(a, w, r, false)
		return nil, nil, &agent.Error{Code: agent.ConversationLost, Err: err}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	a.worker = w
	return a, w, nil
}

// claim makes r the run of a conversation's agent. The worker is nil when no bridge has the agent just now.
//
// runs tells the newest state of the conversation from older ones: another run has added to it
// since, and the bridge can't go back.
func (b *Backend) claim(c *conversation, r *run) (*worker, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := c.agent
	// Any of these means that the state which the client stands on is not the agent's newest one,
	// or that somebody else stands on it just now.
	if b.closed || a.pool.agents[a.id] != a || a.run != nil || a.runs != c.runs || a.setup != setupOf(r.req) {
		return nil, &agent.Error{Code: agent.ConversationLost, Err: errors.New("sdkbridge: the agent has gone on, or is gone")}
	}
	b.clock++
	a.run, a.used, a.pool.used = r, b.clock, b.clock
	if w := a.worker; w != nil && !w.retired && !w.gone() {
		// Counted under the same lock under which the worker was found fit, or else it could end in
		// between.
		w.take()
		return w, nil
	}
	return nil, nil
}

// finish lets go of an agent's run, and of the worker unless that is nil. keep says that the agent
// can be continued; it is deleted otherwise. It may be called with an agent that was removed already.
func (b *Backend) finish(a *bridgeAgent, w *worker, r *run, keep bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letGo(a, w, r, keep)
}

// letGo is finish with mu held. A run that has lost its agent to another (a.run is another)
// only releases its worker.
//
// At most one other agent is removed for it: the number of idle ones grows by one at a time.
func (b *Backend) letGo(a *bridgeAgent, w *worker, r *run, keep bool) {
	if w != nil {
		w.release()
	}
	if a.run != r {
		return
	}
	b.clock++
	a.run, a.used, a.rested = nil, b.clock, time.Now()
	if !keep {
		b.remove(a)
	} else if oldest := b.surplus(); oldest != nil {
		b.remove(oldest)
	}
}

// surplus is the idle agent that was used longest ago, if there are more idle agents than are
// kept. mu is held. It looks through all agents, of which there are some hundreds at most.
func (b *Backend) surplus() *bridgeAgent {
	idle := 0
	var oldest *bridgeAgent
	for _, p := range b.pools {
		for _, a := range p.agents {
			if a.run != nil {
				continue
			}
			idle++
			if oldest == nil || a.used < oldest.used {
				oldest = a
			}
		}
	}
	if idle <= b.cfg.MaxIdleAgents {
		return nil
	}
	return oldest
}

// remove forgets an agent and deletes what was said with it: closing it would leave that on the disk, and three files open.
// Any bridge of the pool can do so. mu is held.
//
// From here on nobody finds the agent. Its id can be used again only when the bridge has deleted it.
func (b *Backend) remove(a *bridgeAgent) {
	p := a.pool
	delete(p.agents, a.id)
	// Until the bridge has confirmed it. A pinned session that comes back meanwhile gets another
	// id.
	p.dying[a.id] = a
	w := a.worker
	if w == nil || w.retired || w.gone() {
		w = p.leastBusy()
	}
	if w == nil {
		p.doomed = append(p.doomed, a)
		b.dropIfEmpty(p)
		return
	}
	w.delete(a)
}
