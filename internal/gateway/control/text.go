package control

import "composer-api/internal/agent"

// Text and thinking on their way to the client: what passes now, what waits for the turn's end, and where a limit of the
// client's ends the turn.

// text takes a piece of text whose markup was read. It is the markup filter's Text function,
// and so is called within take and endMarkup only.
func (r *Run) text(text []byte) {
	if !r.pass {
		text = r.piece(agent.Text, text)
	}
	r.out.text(agent.Text, text)
}

// piece returns what may pass now of a piece of text or thinking. It ends the turn, in the queue, when that is all that may
// pass.
//
// Once a call was given a turn is not cut, because the client must be able to answer the call; what is over the limit is
// left out all the same.
//
// Which limiter counts depends on whether the text is shown now or later (holds): text that is held is
// counted on its way in, so that an endless answer is cut, and searched for stop texts when it is given.
func (r *Run) piece(kind agent.Kind, text []byte) []byte {
	// Upstream may go on writing for a while; nothing of it is wanted.
	if r.isCut {
		return nil
	}
	if kind == agent.Text {
		text = r.narration.watch(text, r.turn.req.Tools)
	}
	holds := r.holds()
	limit := r.turn.text.text
	switch {
	case kind == agent.Reasoning && holds:
		limit = r.turn.count.thinking
	case kind == agent.Reasoning:
		limit = r.turn.text.thinking
	case holds:
		limit = r.turn.count.text
	}
	out, cut := limit(text)
	if holds && kind == agent.Text {
		r.hold(out)
		out = nil
	}
	if cut != 0 && len(r.calls.given) == 0 {
		r.out.text(kind, out)
		r.cut(cut)
		return nil
	}
	r.shown = r.shown || kind == agent.Text && len(out) > 0
	return out
}

// cut ends the turn at the client's limit. Upstream is cut off: what it would have gone on to say counts for nobody. The
// conversation isn't in the Done event then: it holds more than the client has seen, so it can't be continued.
//
// It closes inner while the turn goes on in the queue: after this, take ignores what may still
// come, and the gateway reads the end from out.
func (r *Run) cut(reason agent.Reason) {
	r.isCut = true
	_ = r.inner.Close()
	done := agent.Done{Reason: reason}
	if reason == agent.Length {
		r.release()
	} else {
		done.StopText = r.turn.text.met
	}
	r.finish(done)
}

// maxHeld bounds the text that waits for the end of a turn, in bytes. It is the same as the
// gateway's bound of an answer (maxAnswer), which counts only what was given.
const maxHeld = 16 << 20

// holds reports whether text waits: for the turn's end when it must be JSON, or for a call that must come, after which it is
// what the model said before it.
func (r *Run) holds() bool {
	return r.turn.mustBeJSON() || r.turn.mustCall() && len(r.calls.given) == 0
}

// hold keeps a piece of text. What is beyond maxHeld is dropped: as JSON it is cut off then, and doesn't fit.
func (r *Run) hold(text []byte) {
	r.held = append(r.held, text[:min(len(text), maxHeld-len(r.held))]...)
}

// release gives the text that was held back, as far as the stop texts let it pass. What should
// have been JSON and is not the answer (a call follows it, or a limit has cut it) is dropped: a
// client that expects JSON reads all text as such. It is called before a call is given, at a
// token limit, and at the end of a turn with calls.
func (r *Run) release() {
	if r.turn.mustBeJSON() {
		r.held = nil
	}
	if len(r.held) > 0 {
		out, _ := r.turn.text.text(r.held)
		r.out.text(agent.Text, out)
		r.held = nil
	}
	rest, _ := r.turn.text.rest()
	r.out.text(agent.Text, rest)
}
