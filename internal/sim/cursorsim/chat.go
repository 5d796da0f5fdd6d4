package cursorsim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"composer-api/internal/sim/script"
)

// The older chat endpoint. In this order: the turns that wait between two requests, one request
// from its reading to its end, and the frames of its answer. The request's fields are in
// chat_request.go, the text in which clients put a conversation in chat_transcript.go, and the
// forms of an answer in chat_style.go.

// chatPath is where the older chat endpoint is always served. Config.ChatPaths adds others.
//
// That endpoint has one request and one streamed answer, and no way for the client to say anything
// while the answer is streamed. Tool calls are text in the answer (see [chatStyle]), and their results
// are in the text of the next request (see [transcript]). So a turn of the script with a call spans
// several requests:
//
//	POST /chat   transcript                  the turn up to its first call; parked in chats
//	POST /chat   transcript with results     claimed: the turn from there on
const chatPath = "/chat"

// chats are the turns that wait for the results of their calls, by conversation. The next request of
// the conversation brings them in its transcript. mu protects the map; a turn belongs to the request
// that claimed it.
type chats struct {
	// mu guards the map; keep is how many turns may wait. The oldest is forgotten first.
	mu   sync.Mutex
	keep int
	oldest[string, *chatTurn]
}

// A chatTurn is a turn of the script that is played over several requests, one after the other.
// It belongs to the request that plays it; between two requests it is in chats, and nobody's.
type chatTurn struct {
	// player goes on where the request before has stopped.
	player *script.Player
	open   map[int]int // calls without a result: the transcript's number → the script's
}

// park keeps a turn until the results come. A conversation has one parked turn: an older one is
// displaced. So are turns of other conversations, the oldest first, when there are more than keep.
func (c *chats) park(conversation string, t *chatTurn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(conversation, t, c.keep)
}

// claim returns the turn of this conversation, if all the results that it waits for are in the
// transcript, and hands them to its player; nil otherwise. In both cases nothing waits any more: a
// turn whose results did not come is forgotten, because the conversation has gone on without them.
func (c *chats) claim(conversation string, results map[int]script.Result) *chatTurn {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Results are matched by their numbers in the transcript, which is all that the protocol has:
	// it knows no ids of calls.
	t := c.items[conversation]
	if t == nil {
		return nil
	}
	c.items[conversation] = nil
	for number, n := range t.open {
		r, ok := results[number]
		if !ok {
			return nil
		}
		t.player.Result(n, r)
	}
	return t
}

// A chatRun is one request of the older chat endpoint and its answer. It belongs to the
// goroutine that serves the request. request, transcript and turn are set by read, and may be
// missing in finish when it has failed.
type chatRun struct {
	// From here to transcript: what belongs to this request alone.
	sim        *Sim
	rec        *Run
	ctx        context.Context
	wire       *wire
	request    *chatRequest
	transcript transcript
	// turn may have begun with an earlier request. style is chosen again for each answer.
	turn      *chatTurn
	style     chatStyle
	answering bool // the answer has begun in the thinking field
}

// chat serves the older chat endpoint. The request is read before the token is judged, so that the
// record of a refused request has its prompt, too.
func (s *Sim) chat(w http.ResponseWriter, r *http.Request) {
	rec := &Run{
		Transport: "chat", Path: r.URL.Path, Header: publicHeader(r.Header), RequestID: r.Header.Get("X-Request-Id"),
	}
	keyHash, authorized := s.tokens.check(bearer(r))
	rec.KeyHash = keyHash
	// Added before anything can fail, so that a refused request is in the journal, too.
	fresh := s.journal.add(rec)
	c := &chatRun{
		sim: s, rec: rec, ctx: r.Context(),
		wire: newWire(w, r),
	}
	// The run's number goes into the seed, so that two runs of one test misbehave differently, and
	// each the same in every test.
	if s.config.Seed != 0 {
		random := rand.New(rand.NewPCG(s.config.Seed, uint64(rec.Seq)))
		c.wire.misbehave(random)
		c.style = randomStyle(random)
	}
	if !fresh {
		c.violation("x-request-id " + rec.RequestID + " was used before")
	}
	c.checkHeader(r.Header)
	err := c.read(r.Body)
	// A request that can't be read is told that, also without a token: the mistake in it is what a
	// test looks for.
	if err == nil && !authorized {
		err = errUnauthenticated
	}
	if err == nil {
		err = c.play(w)
	}
	c.finish(w, err)
}

// read reads the one message of the request, notes what is wrong with it, and finds the turn to play:
// the one that waits for the results in this transcript, else a new one from the playlist.
//
// It reads the body to its end, because net/http notices only then that the client leaves.
func (c *chatRun) read(body io.Reader) error {
	_, payload, err := readFrame(body)
	if err != nil {
		return &endError{Code: "invalid_argument", Message: "the request is no Connect message: " + err.Error()}
	}
	if n, _ := io.Copy(io.Discard, body); n > 0 {
		c.violation("there is more than one message in the request")
	}
	c.request, err = decodeChatRequest(payload)
	if err != nil {
		return &endError{Code: "invalid_argument", Message: err.Error()}
	}
	for _, wrong := range c.request.check() {
		c.violation(wrong)
	}
	c.transcript = readTranscript(c.request.text)
	attempt := c.sim.conversations.of(c.request.conversationID).attempt("chat " + hashOf(c.request.text))
	c.record(func(r *Run) {
		r.ConversationID, r.Attempt, r.Mode = c.request.conversationID, attempt, c.request.mode
		r.Prompt, r.Model, r.Images, r.Tools = c.request.text, c.request.model, c.request.images, c.transcript.tools
	})
	// A turn that waited for other results than these is given up by claim.
	c.turn = c.sim.chats.claim(c.request.conversationID, c.transcript.results)
	if c.turn == nil {
		c.turn = &chatTurn{player: c.sim.playlist.Player(script.Facts{
			Prompt: c.transcript.prompt, Model: c.request.model, Tools: c.transcript.tools, Images: c.request.images,
			Messages: c.transcript.messages, Attempt: attempt,
			Told: c.request.text, Conversation: c.request.conversationID, Key: c.rec.KeyHash,
		})}
	}
	return nil
}

// attempt counts the requests of one name, from 1. The older endpoint has no run id; its requests are
// named by their text, so a client's retry counts as a second attempt.
func (c *conversation) attempt(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempts[name]++
	return c.attempts[name]
}

// play plays the turn up to its end or to a call of a client's tool. nil means that the answer ended
// well. A turn that waits for results ends its request well: the answer is whole as far as it goes.
func (c *chatRun) play(w http.ResponseWriter) error {
	step, more := c.turn.player.Next()
	// Only as the first step: later the status has been sent.
	if s, ok := step.(script.Status); ok && more {
		return &statusError{s}
	}
	// From here on an error can't have an HTTP status any more.
	w.WriteHeader(http.StatusOK)
	if err := c.wire.flush(); err != nil {
		return err
	}
	for more {
		waits, err := c.do(step)
		if err != nil || waits {
			return err
		}
		// Asked only when the step before has ended: the player fills results in as it reads.
		step, more = c.turn.player.Next()
	}
	return nil
}

// do plays one step; waits says that the next one needs the results of calls. Steps that this endpoint
// has no message for (blobs, checkpoints, queries, usage) are skipped.
func (c *chatRun) do(step script.Step) (waits bool, err error) {
	switch s := step.(type) {
	case script.Text:
		return false, c.say(s.Text)
	case script.Think:
		return false, c.think(s.Text)
	case script.Calls:
		return c.calls(s)
	case script.Delay:
		if s.For == 0 {
			return false, nil
		}
		return false, c.pause(s.For, true)
	case script.Hold:
		return false, c.pause(s.For, true)
	case script.Stall:
		return false, c.pause(s.For, false)
	case script.Cut:
		return false, errCut
	case script.Drop:
		return false, errDrop
	case script.Error:
		return false, scriptError{chatErrorOf(s)}
	// What follows is broken on purpose; a client must not take it for an answer.
	case script.Garbage:
		return false, c.garbage(s.Kind)
	case script.Unknown:
		return false, c.unknown()
	// What the old way has kept back goes out first.
	case script.Frames:
		err := c.wire.flushHeld()
		c.wire.frames = s.How
		return false, err
	case script.Gzip:
		c.wire.compress = s.On
	}
	return false, nil
}

// The fields of a response frame: {1: binary tool call} or {2: {1: text, 25: {1: thinking}}}.
const (
	chatFrameBinaryCall = 1
	chatFrameMessage    = 2
	chatMessageText     = 1
	chatMessageThinking = 25
)

// send sends a frame with a text in one of the two fields. No text is no frame.
func (c *chatRun) send(thinking bool, text string) error {
	if text == "" {
		return nil
	}
	// A frame has one of the two fields, never both.
	message := appendString(nil, chatMessageText, text)
	if thinking {
		message = appendMessage(nil, chatMessageThinking, appendString(nil, 1, text))
	}
	return c.wire.sendPayload(appendMessage(nil, chatFrameMessage, message))
}

// think sends reasoning. Once the answer has begun in the thinking field there is no way to send more
// of it, so it is dropped.
func (c *chatRun) think(text string) error {
	if c.answering {
		return nil
	}
	return c.send(true, text)
}

// say sends a piece of the answer, in the field that the style wants. In the thinking field the first
// piece has the marker before it that ends the reasoning.
func (c *chatRun) say(text string) error {
	if c.style.final == "" {
		return c.send(false, text)
	}
	if !c.answering {
		c.answering = true
		return c.sendPieces(true, c.style.final, text)
	}
	return c.send(true, text)
}

// sendPieces sends cut and then whole. When the simulator misbehaves, cut comes in several frames,
// separated anywhere, also inside a character: clients have to recognise markers over the borders of
// frames.
func (c *chatRun) sendPieces(thinking bool, cut, whole string) error {
	for c.style.random != nil && len(cut) > 1 {
		// At least one byte of cut stays for the last frame.
		n := 1 + c.style.random.IntN(len(cut)-1)
		if err := c.send(thinking, cut[:n]); err != nil {
			return err
		}
		cut = cut[n:]
	}
	return c.send(thinking, cut+whole)
}

// calls writes tool calls into the answer, as one block of text. The turn waits for their results.
// Calls are numbered over the whole conversation, on from the last one that has a result in the
// transcript, because that is how clients name results. A call of a tool that wasn't offered counts as
// well: the client says under it that there is no such tool.
func (c *chatRun) calls(s script.Calls) (waits bool, err error) {
	var block strings.Builder
	// Only the calls of this step wait; those before have had their results.
	c.turn.open = map[int]int{}
	number := c.transcript.lastCall
	for _, inner := range s.Steps {
		call, ok := inner.(script.Call)
		if !ok {
			if _, err := c.do(inner); err != nil {
				return false, err
			}
			continue
		}
		c.style.writeCall(&block, call)
		number++ // also for a tool that wasn't offered: the transcript says so under the call
		c.turn.open[number] = call.N
	}
	if !c.answering && c.style.final != "" {
		err = c.say("")
	}
	text := c.style.mark("tool_calls_begin") + block.String() + c.style.mark("tool_calls_end")
	if err == nil {
		err = c.sendPieces(c.answering, text, "")
	}
	if err != nil || len(c.turn.open) == 0 {
		return false, err
	}
	c.sim.chats.park(c.request.conversationID, c.turn)
	return true, nil
}

// pause waits for d, or with 0 until the client leaves. With alive, an empty frame is sent every
// heartbeatEvery meanwhile.
func (c *chatRun) pause(d time.Duration, alive bool) error {
	if err := c.wire.flushHeld(); err != nil {
		return err
	}
	var over <-chan time.Time
	if d > 0 {
		over = time.After(d)
	}
	beat := time.NewTicker(heartbeatEvery)
	defer beat.Stop()
	for {
		select {
		case <-over:
			return nil
		case <-c.ctx.Done():
			return contextErr(c.ctx)
		case <-beat.C:
			if !alive {
				continue
			}
			// An empty frame says nothing, and shows that the connection lives.
			if err := errors.Join(c.wire.frame(0, nil), c.wire.flushHeld()); err != nil {
				return err
			}
		}
	}
}

// garbage sends bytes that are no message. After "length" the client is still reading, so the stream
// stays open until it gives up.
func (c *chatRun) garbage(kind string) error {
	if err := c.wire.garbage(kind); err != nil {
		return err
	}
	if kind == "length" {
		return c.pause(0, false)
	}
	return errGarbage
}

// unknown sends a frame of an unknown kind, and a tool call in the binary form, which clients are to
// ignore.
func (c *chatRun) unknown() error {
	if err := c.wire.frame(0, unknownMessage()); err != nil {
		return err
	}
	call := appendMessage(nil, chatFrameBinaryCall, appendString(nil, 1, "\x08\x01"))
	return c.wire.frame(0, call)
}

// chatErrorOf is endErrorOf in the form of this endpoint: title and detail are also in debug.details,
// as JSON, beside the encoded ErrorDetails.
func chatErrorOf(s script.Error) *endError {
	e := endErrorOf(s)
	if len(e.Details) > 0 {
		e.Details[0].Debug, _ = json.Marshal(map[string]any{
			"details": map[string]string{"title": s.Title, "detail": s.Message},
		})
	}
	return e
}

// finish names the end of the run, records it, and only then tells the client: a test that has
// seen the end of the answer finds it recorded. A cut is a panic with http.ErrAbortHandler,
// which is how net/http breaks a connection.
func (c *chatRun) finish(w http.ResponseWriter, err error) {
	end := endOf(err)
	// The last frames may have gone into a connection that nobody reads any more.
	if end == EndedWell && c.ctx.Err() != nil {
		end = EndedLeft
	}
	c.record(func(r *Run) {
		r.Ended, r.End = time.Now(), end
		if err != nil {
			r.Error = err.Error()
		}
		if c.turn != nil {
			r.Failures = c.turn.player.Failed()
		}
	})
	c.sim.config.Log.Info("chat", "run", c.rec.Seq, "end", end, "model", c.rec.Model, "tools", len(c.rec.Tools), "error", err)
	// Whether this fails doesn't matter: a client that resets the stream as soon as it has read the end frame can make
	// the flush of that very frame fail.
	_ = c.wire.finish(w, end, err)
	if end == EndedCut {
		panic(http.ErrAbortHandler)
	}
}

// record changes the run's record, under the journal's lock.
func (c *chatRun) record(change func(*Run)) { c.sim.journal.update(c.rec, change) }

// violation notes what the client did wrong in this run.
func (c *chatRun) violation(what string) { c.sim.journal.violation(c.rec.Seq, what) }
