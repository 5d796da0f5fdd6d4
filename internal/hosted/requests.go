package hosted

import (
	"context"
	"errors"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
	"composer-api/internal/watch"
)

// A Request is one request with a hosted key, being logged: BeginRequest has written its row,
// and Finish completes it. If the process dies between, the row stays with status 0. It belongs
// to one turn, and Finish is called once.
type Request struct {
	service *Service
	// log is the row as it was written. Finish changes a copy.
	log  store.RequestLog
	left []agent.RateLimit // of the key's limits; nil when it has none that clients are told
}

// BeginRequest records that a request with a hosted key has begun. It does so before the work, so that
// no request goes unrecorded: when it can't be written, or the key's limits don't allow it, the request must be refused with
// the error. The caller calls Finish, whatever happens. A request with a Cursor key of the
// caller's own is not logged: then BeginRequest returns nil, nil, and Finish of nil does nothing.
//
// Errors are *agent.Error: Overloaded when the store is unavailable; InvalidKey when the account was deleted meanwhile; for a
// key with limits PermissionDenied, RateLimited and QuotaExceeded.
func (s *Service) BeginRequest(ctx context.Context, req *agent.Request) (*Request, error) {
	caller := &req.Caller
	if caller.KeyID == "" {
		return nil, nil
	}
	// The owner is the account's id behind a prefix, see store.AccountOwner.
	r := &Request{service: s, log: store.RequestLog{
		ID: agent.NewID("log_", 22), Account: strings.TrimPrefix(caller.Owner, store.AccountOwner("")), KeyID: caller.KeyID,
		RequestID: req.Origin.RequestID, Endpoint: req.Origin.Endpoint, Created: s.cfg.Now(), Runner: s.cfg.Runner,
	}}
	var err error
	// Most keys have no limits, and theirs is the cheaper write: no lock, and nothing to be summed
	// up.
	if caller.Limited {
		r.left, err = s.admit(ctx, req, r.log)
	} else {
		err = s.cfg.Store.BeginRequest(ctx, r.log)
	}
	var refused *agent.Error
	switch {
	case err == nil:
		return r, nil
	// From admit: what the key may not. Errors of the store are none of agent's.
	case errors.As(err, &refused):
		return nil, refused
	case errors.Is(err, store.ErrNotFound):
		return nil, invalidKey()
	}
	return nil, storeError(err)
}

// finishTimeout bounds how long the end of a request waits for the store. The client has its answer by
// then, but the server counts the request as running.
const finishTimeout = 5 * time.Second

// Finish records how the request ended, and when its turn reached each stage. It works after ctx has ended, because the
// client may be gone. A failure is only logged, because the answer is already out.
func (r *Request) Finish(ctx context.Context, turn *watch.Turn, status int) {
	if r == nil {
		return
	}
	l := r.log
	l.Status, l.Timeline = status, timeline(turn)
	// A turn that never reached upstream has neither model nor run.
	if !turn.Connected.IsZero() {
		l.Model, l.UpstreamRun = turn.Accepted.Model.String(), turn.Accepted.ConversationID
	}
	// Usage that upstream has not reported is an estimate, which l.Estimated says.
	l.InputTokens, l.CachedTokens = turn.Usage.Prompt(), turn.Usage.CacheRead
	l.OutputTokens, l.ReasoningTokens = turn.Usage.Output, turn.Usage.Reasoning
	l.CostUSD, l.Estimated = turn.Usage.CostUSD(), turn.Usage.Estimated
	// From the beginning of the request, the wait for its place included.
	l.Duration = r.service.cfg.Now().Sub(l.Created)
	if turn.Err != nil {
		l.ErrorCode = agent.CodeOf(turn.Err).String()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if err := r.service.cfg.Store.FinishRequest(ctx, l); err != nil {
		r.service.cfg.Log.Warn("the end of a request could not be logged", "log", l.ID, "account", l.Account, "err", err)
	}
}

// timeline is what the store keeps of a turn's stages.
func timeline(turn *watch.Turn) store.Timeline {
	t := store.Timeline{Queue: turn.Queue(), Parked: turn.Done.Reason == agent.ToolCalls}
	if !turn.Connected.IsZero() {
		t.Backend, t.Resume, t.ToolWait = turn.Accepted.Upstream, string(turn.Accepted.Resume), turn.Accepted.Waited
		t.Connect = turn.Connected.Sub(turn.Begun)
	}
	if !turn.FirstToken.IsZero() {
		t.FirstToken = turn.FirstToken.Sub(turn.Begun)
	}
	repairs := make([]string, len(turn.Done.Repairs))
	for i, r := range turn.Done.Repairs {
		repairs[i] = string(r)
	}
	t.Repairs = strings.Join(repairs, " ")
	return t
}
