package gateway

import (
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/control"
)

// Which parked run waits for the results that a request brings. There are two ways to find it:
// by the ids of the calls, which is exact, and by the transcript, for clients that give the
// calls ids of their own. Either way the run is taken only if it has seen what the request
// tells (mismatch) and can go on with the tools that the request offers (control.Run.Adapt).
//
//	by id          found and fits       resumed
//	               found, does not fit  closed: its conversation has gone another way
//	               not found            by transcript
//	by transcript  exactly one fits     resumed, with the request's call ids replaced by ours
//	               none, or several     nothing; the turn goes on without a parked run

// A waiting is a parked run that waits for tool results, and what is needed to decide whether a request has them. It is not
// changed once it is parked; its run belongs to whoever claims it.
//
// finishWithCalls makes it. Its fields are what a later request is compared with; none of them is
// content, but for given, which tellRewritten needs to tell the model what the client has changed.
type waiting struct {
	// run is open: its backend keeps the upstream stream alive.
	run     *control.Run
	backend string
	model   string
	tools   Digest
	format  agent.FormatID   // the form of the answer that the model was told of
	seen    Digest           // what the model has seen, up to the calls
	bare    Digest           // the same without what it has said beside the calls
	aloud   Digest           // the same with what it has thought beside them as text; seen if that was nothing
	asked   []askedCall      // the calls of the open group, in order, of which it waits for the last
	calls   []string         // ids of the calls whose results it waits for
	given   []agent.ToolCall // those calls, as the client was given them
	since   time.Time        // when it was parked
	origin  agent.Origin     // of the request whose turn has parked it
}

// claim takes the parked run that waits for this request's results, if there is one and the request has the transcript that the
// run has seen. A run that was waiting for these results but has seen something else is closed: nothing can continue it. The caller
// owns the run that it gets.
//
// nil also covers a request that brings no results at all, which is most first requests.
func (t *turn) claim() *waiting {
	ids := waitedFor(t.req.Messages)
	if len(ids) == 0 {
		return nil
	}
	w, ok := t.g.lot.Claim(t.req.Caller.Owner, ids)
	if !ok {
		return t.claimByTranscript()
	}
	aloud, reason := t.mismatch(w, t.req.Messages, t.past)
	if reason == "" && !w.run.Adapt(t.req) {
		reason = "other tools"
	}
	if reason != "" {
		t.g.cfg.Log.Info("parked run given up", "id", t.req.Origin.RequestID, "reason", reason)
		w.run.Close()
		return nil
	}
	t.aloud = aloud
	return w
}

// Awaits returns the ids of the calls whose results req brings, and whether a run waits for them here. Where none does,
// another replica may hold it.
func (g *Gateway) Awaits(req *agent.Request) (calls []string, here bool) {
	calls = waitedFor(req.Messages)
	return calls, g.lot.Has(req.Caller.Owner, calls)
}

// maxCandidates is how many runs that wait after the same transcript are compared with a request.
const maxCandidates = 8

// claimByTranscript takes the one parked run that has seen this request's transcript, for clients that rename their calls. With
// several such runs it takes none, because their results could be mixed up, unless only one has the request's tools. See
// decisions/0013.
//
// Find leaves the candidates in the lot, so other requests may claim them while they are
// compared here. The claim at the end is what decides: it is by the ids of the run's own calls,
// and only one request gets it.
func (t *turn) claimByTranscript() *waiting {
	if t.g.lot.Len() == 0 {
		return nil
	}
	if len(t.past.calls) == 0 {
		return nil
	}
	// messages is the request's transcript with the run's own ids for the calls, as resume needs it.
	type match struct {
		w        *waiting
		messages []agent.Message
	}
	var same, others []match // those with the request's tools, and those that can go on with them
	asked := t.past.asked()
	for _, w := range t.g.lot.Find(t.req.Caller.Owner, string(asked[:]), maxCandidates) {
		with, ok := renamed(t.req.Messages, w.asked)
		if !ok {
			continue
		}
		switch _, reason := t.mismatch(w, with, digestUpToNew(with)); {
		case reason != "":
		case w.tools == t.toolsDigest():
			same = append(same, match{w, with})
		case t.stillOffers(w):
			others = append(others, match{w, with})
		}
	}
	found := same
	if len(found) == 0 {
		found = others
	}
	if len(found) != 1 {
		return nil
	}
	w, ok := t.g.lot.Claim(t.req.Caller.Owner, found[0].w.calls)
	if !ok {
		return nil // another request was faster
	}
	req := *t.req
	req.Messages = found[0].messages
	t.req = &req
	if !w.run.Adapt(t.req) {
		w.run.Close()
		return nil
	}
	return w
}

// mismatch says why the request, with these messages, can't continue w; "" when it can. past is the digest of the messages up
// to the first that is new. The answer is for the log. That a client has edited its history shows as another transcript.
//
// seen and bare are both accepted: some clients send the text beside a call back and some do
// not. A request that does send text must send the text that the model has said, and may send all that it has
// thought with it: aloud reports that.
//
// A message in place of the results goes to the run: the user has interrupted it. But not when the request asks for what the
// run was not begun for, such as a summary without tools, or JSON by a schema: that is no interruption, and the run would go on
// with its own task. Results may come with no tools and with another form: they are what the run waits for.
func (t *turn) mismatch(w *waiting, messages []agent.Message, past *digester) (aloud bool, reason string) {
	switch {
	case w.backend != t.backend.Name():
		return false, "another upstream"
	case w.model != t.req.Model.String():
		return false, "another model"
	case !brings(messages, w.calls) && len(t.req.Offered()) == 0:
		return false, "no results and no tools"
	case !brings(messages, w.calls) && w.format != t.req.Format.ID():
		return false, "no results and another form of the answer"
	}
	d := past.beforeResults(w.calls, t.known(w))
	switch sum := d.sum(); {
	case sum == w.seen, d.text == nil && sum == w.bare:
		return false, ""
	case sum == w.aloud:
		return true, ""
	}
	return false, "another transcript"
}

// stillOffers reports whether the request offers the tools of the calls that w waits for, or no tools
// at all. No tools at all is fine, because some clients leave them out when they only bring results.
func (t *turn) stillOffers(w *waiting) bool {
	called := make([]string, len(w.given))
	for i := range w.given {
		called[i] = w.given[i].Name
	}
	return agent.StillOffered(called, t.req.Offered())
}

// supersede ends the runs that wait for results in this conversation, because it goes on now
// without them. Their results can't come any more: a client that goes on in the same
// conversation has given them up, by an interrupt or an edit. Without this they would hold an
// upstream stream each until ParkTimeout.
func (t *turn) supersede() {
	if t.g.lot.Len() > 0 {
		t.g.lot.Supersede(t.req.Caller.Owner, callIDs(t.req.Messages), conversationOf(t.req, t.toolsDigest()))
	}
}
