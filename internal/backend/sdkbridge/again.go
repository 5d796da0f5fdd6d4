package sdkbridge

import (
	"context"
	"errors"

	"composer-api/internal/agent"
	"composer-api/internal/backend/retry"
)

// When a run begins, and when it begins again. There are three occasions for the second:
//
//	Start                  attempts until upstream takes one: open
//	the stream has broken  a new attempt on another bridge: broken
//	the bridge itself asks upstream again, in the same attempt: anew
//
// In all of them nothing is said twice: a run of which the client has heard text or a call doesn't begin again.

// openInTime is open within StartTimeout. That is Cursor's time: it begins when there is a bridge, whose own start has a limit
// of its own (sdkv1.Home's) and on a slow or busy machine may take as long as all that follows.
func (r *run) openInTime(ctx context.Context) error {
	// What else goes wrong with the bridge, open meets again, and knows what it means for this run.
	if _, err := r.backend.await(ctx, r.req.Caller.Owner, func(*worker) {}); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, r.backend.cfg.StartTimeout)
	defer cancel()
	r.attempts.Begin(r.backend.cfg.StartTimeout)
	return r.open(ctx)
}

// open makes attempts until upstream takes one, as far as the policy of retries goes. Errors are *agent.Error, or ctx's own.
//
// A run that continues a conversation has one attempt only: whether the agent has got the message
// can't be told, and a second one would say it twice. The gateway starts from the transcript then.
func (r *run) open(ctx context.Context) error {
	for {
		at, f := r.backend.send(ctx, r)
		if f == nil {
			r.mu.Lock()
			r.attempt = at
			r.mu.Unlock()
			r.attempts.Accepted()
			return nil
		}
		if r.req.Continue != nil {
			// What can't be repeated safely becomes "lost", which the gateway answers by sending
			// the whole transcript. What is wrong with the account or the request stays what it is:
			// it would be the same again.
			if f.Retryable || f.Err.Code == agent.Overloaded { // the agent may have got the message, or has another run
				return &agent.Error{Code: agent.ConversationLost, Err: f.Err}
			}
			return f.Err
		}
		pause, err := r.attempts.Next(f, false)
		if err != nil {
			return err
		}
		// False when either has ended: nobody waits for the answer, or the server is shutting down.
		if !retry.Wait(pause, ctx, r.backend.life) {
			return f.Err
		}
	}
}

// maxAnew is how many times the bridge may ask upstream again by itself before there is output. After an error it does so
// three times, and reports the error then; when connections break, it would go on for minutes.
const maxAnew = 4

// anew handles that the bridge asks upstream again. What was said before is forgotten, if nobody has heard it yet; thinking
// that was heard stays.
func (r *run) anew(at *attempt) error {
	if r.spoken.Load() { // since the reader has looked
		at.abandon()
		return errAnew
	}
	if r.begunOn++; r.begunOn > maxAnew {
		at.abandon()
		return &agent.Error{Code: agent.Upstream, Final: true, Message: "The connection to Cursor broke several times. Please try again later."}
	}
	r.out, r.written, r.tokens = nil, 0, 0
	r.mu.Lock()
	defer r.mu.Unlock()
	r.announced = 0
	return nil
}

// broken handles the loss of the stream. A run that stood on a bridge which has died begins again on another one, if
// nothing was said yet.
//
//	what was said       continued conversation      what follows
//	text or a call      any                         the error
//	nothing             yes                         ConversationLost: the gateway starts anew
//	nothing             no                          another attempt, as the policy of retries allows
func (r *run) broken(ctx context.Context, at *attempt, err error) error {
	if ours := (*agent.Error)(nil); errors.As(err, &ours) { // the reader has ended it
		return ours
	}
	// A bridge that has died has taken its runs with it, and there is nobody to tell.
	at.end(!at.worker.died()) // a run that is still on is cancelled
	f := failed(err)
	if r.spoken.Load() {
		return f.Err
	}
	if r.req.Continue != nil { // the agent may have got the message
		return &agent.Error{Code: agent.ConversationLost, Err: f.Err}
	}
	// The next attempt has its own moment of being accepted.
	r.taken.Store(0)
	// The new attempt has the same time as the first one had, but no longer than the caller of Next waits.
	r.attempts.Begin(r.backend.cfg.StartTimeout)
	pause, final := r.attempts.Next(f, false)
	if final != nil {
		return final
	}
	if !retry.Wait(pause, ctx, at.life) {
		return f.Err
	}
	r.out, r.written, r.tokens = nil, 0, 0
	if err := r.openInTime(ctx); err != nil {
		return err
	}
	select {
	case <-r.closed: // meanwhile, and with the attempt before
		r.current().abandon()
	default:
	}
	return nil
}
