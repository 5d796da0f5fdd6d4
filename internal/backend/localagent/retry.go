package localagent

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/agentwire"
	"composer-api/internal/cursor/cursorerr"
)

// tries is what a run has done, and may still do, to continue after its stream broke.
//
//	no output yet                          start again, or resume from a checkpoint if there is one
//	output, all covered by a checkpoint    resume from it
//	output after the last checkpoint       end with an error
//
// A retry never repeats text. After a resume, the model would write what comes after the checkpoint again, perhaps
// in other words, and would make its calls again. We could hold back what repeats, but only as long as it repeats
// exactly, which models don't. Cursor makes a checkpoint after each step, so at most a step is lost.
//
// Who decides what:
//
//	tries.next       whether a run in this state may have another attempt at all
//	retry.Attempts   how many more, and after which pause (package retry, the same for all backends)
//	attempt          how it begins: with the user's message, the conversation, or the last checkpoint
//	giveUp           what the gateway is told when there is none
type tries struct {
	from *conversation // what is being continued; nil at the beginning

	output bool // something was given out, or a result was sent
	dirty  bool // the same since the last checkpoint, so that a resume would repeat it

	// attempts counts, and says how long to wait.
	attempts retry.Attempts
	// It is kept so that Auth can be told which token upstream has refused, and so that errors
	// can be searched for it.
	token agent.Secret // the access token of the last attempt
	fresh bool         // the next attempt takes a new connection, because the one before got no answer
}

// recordOutput records that there was output. From then on a run can only resume, so the user's
// message, which may be megabytes, is dropped. The caller has the reading role, or mu while the turn
// is over. A result that was sent counts, too: upstream has it, and a new start would lose it.
func (r *run) recordOutput() {
	r.clock.modelContinues()
	if !r.tries.output {
		r.ticket.UserAction = nil
	}
	r.tries.output, r.tries.dirty = true, true
}

// checkpoint records a checkpoint, which covers all output before it.
func (t *tries) checkpoint() {
	t.dirty = false
	t.attempts.Checkpoint()
}

// next decides what follows f: another attempt after pause when err is nil, else the run ends with err.
//
// A lost conversation is not tried again: the gateway starts a new one from the transcript,
// which a retry here would only delay.
func (t *tries) next(f *cursorerr.Failure) (pause time.Duration, err *agent.Error) {
	if t.output && t.dirty || t.from != nil && f.LostConversation {
		return 0, f.Err
	}
	return t.attempts.Next(f, t.output)
}

// connect makes the first stream, with retries. It returns when upstream has accepted the run. Errors are
// *agent.Error.
//
// No turn is under way yet, so nobody but Close can interfere.
func (r *run) connect(ctx context.Context) error {
	r.tries.attempts.Begin(r.backend.cfg.StartTimeout)
	if f := r.attempt(ctx); f != nil {
		r.retry(ctx, f)
	}
	if err := r.endError(); err != nil {
		return failed(err).Err
	}
	return nil
}

// endedWell reports whether a stream that ended with err has brought the whole answer:
//
//	no turn_ended                                never
//	turn_ended, then more of the model           only if the stream ended properly (io.EOF): the turn was a sub-agent's
//	turn_ended and nothing of the model after    always, also after an error
//
// Source: the protocol's description of ends. The caller has the reading role.
func (r *run) endedWell(err error) bool {
	return r.clock.ended.Load() || r.turnEnded && errors.Is(err, io.EOF)
}

// streamEnded decides what err, the end of a stream, means: the end of the run, another attempt, or an error. It
// returns when the next attempt is accepted or the run is over. The caller has the reading role and not mu.
func (r *run) streamEnded(ctx context.Context, err error) {
	if r.endedWell(err) {
		r.finishWell()
		return
	}
	r.tries.attempts.Begin(r.backend.cfg.StartTimeout)
	r.retry(ctx, failed(err))
}

// retry makes attempts after the failure f until one succeeds, or ends the run. The caller has the reading role and
// not mu, because pauses and attempts take seconds.
//
// fresh is set after a time-out of ours: the connection may be the reason. A refused token is
// dropped from the cache, so that the next attempt exchanges the key for a new one.
func (r *run) retry(ctx context.Context, f *cursorerr.Failure) {
	r.clock.accepted.Store(0)
	for f != nil {
		// next decides by what the client has got already.
		pause, err := r.tries.next(f)
		if err != nil {
			r.giveUp(f, err)
			return
		}
		if !retry.Wait(pause, ctx, r.life) {
			r.interrupt(cmp.Or(ctx.Err(), error(errClosed)))
			return
		}
		r.tries.fresh = f.OwnTimeout
		if f.BadToken {
			r.backend.cfg.Auth.Drop(r.ticket.Key, r.tries.token)
		}
		if f = r.attempt(ctx); ctx.Err() != nil {
			r.interrupt(ctx.Err())
			return
		}
	}
	r.tries.attempts.Accepted()
}

// AcceptedAt implements agent.Retrying. It is zero while a retry is under way. It takes no lock, so it may be
// called beside Next.
func (r *run) AcceptedAt() time.Time {
	taken := r.clock.accepted.Load()
	if taken == 0 {
		return time.Time{}
	}
	return r.clock.at(taken)
}

// attempt opens a stream: from the run's last checkpoint if it has one, else with the user's message. It waits for
// the access token, a connection and upstream's headers; ctx and Close end the waiting. nil means that the stream is
// now the run's.
//
// The order is token, connection, stream; each of them may wait, and all of them end with ctx or Close.
func (r *run) attempt(ctx context.Context) *cursorerr.Failure {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()

	b := r.backend
	token, err := b.cfg.Auth.Token(ctx, r.ticket.Key)
	if err != nil {
		return failed(err)
	}
	r.tries.token = token
	s, err := openStream(ctx, opening{
		pool: b.pool, fresh: r.tries.fresh, target: b.endpoint, header: r.ticket.Header(token, b.cfg.ClientVersion),
		first: r.opening(), timeout: b.cfg.StartTimeout,
	})
	if err != nil {
		return failed(err)
	}
	return r.install(s)
}

// opening is the first envelope of an attempt, in pieces: a resume of this run, a continued conversation, or a new
// one.
//
// A resume repeats no message of the user's: the checkpoint has it.
func (r *run) opening() [][]byte {
	switch {
	case r.checkpoint != nil:
		return r.ticket.Envelope(r.checkpoint, agentwire.ResumeAction())
	case r.tries.from != nil:
		return r.ticket.Envelope(r.tries.from.checkpoint, r.ticket.UserAction)
	}
	return r.ticket.Envelope(nil, r.ticket.UserAction)
}

// install makes s the run's stream, in place of one that is over. It resets everything that belongs to a single
// stream: open execs, announced calls, incomplete characters. When the run was closed meanwhile, s is closed and the
// failure says so.
//
// The pacer gets the alarm with the first stream, so a run that waits to be accepted sends no heartbeats.
func (r *run) install(s *stream) *cursorerr.Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over != nil { // closed meanwhile
		r.closeInBackground(s, r.over)
		return failed(r.over)
	}
	if old := r.stream; old != nil {
		r.closeInBackground(old, errClosed)
	}
	r.stream, r.execs, r.calls = s, execs{}, calls{}
	r.text, r.thinking = agent.TextJoiner{}, agent.TextJoiner{}
	r.turnEnded, r.ahead = false, false
	r.clock.restart()
	r.clock.accepted.Store(r.clock.now())
	r.backend.pacer.set(&r.alarm, r.clock.nextBeat)
	return nil
}

// giveUp ends the run with err, after the failure f. A continued conversation that upstream does not know any more
// becomes agent.ConversationLost, after which the gateway begins again with the whole transcript.
func (r *run) giveUp(f *cursorerr.Failure, err *agent.Error) {
	err = r.withoutSecrets(err)
	if r.tries.from != nil && !r.tries.output && (f.LostConversation || r.blobs.missed && err.Code == agent.Upstream) {
		err = &agent.Error{Code: agent.ConversationLost, Err: err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopFor(err)
	r.unwatch()
}

// withoutSecrets is err without our secrets, in case upstream has repeated them.
func (r *run) withoutSecrets(err *agent.Error) *agent.Error {
	return cursorerr.WithoutSecrets(err, r.ticket.Key, r.tries.token)
}
