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

// chatPath is where the older chat endpoint is always served.
const chatPath = "/chat"

// chats are the turns that wait for the results of their calls, by conversation. The next request of the conversation
// brings them in its transcript.
type chats struct {
	mu   sync.Mutex
	keep int
	oldest[string, *chatTurn]
}

// A chatTurn is a turn of the script that is played over several requests.
type chatTurn struct {
	player *script.Player
	open   map[int]int // calls without a result: the transcript's number → the script's
}

// park keeps a turn until the results come.
func (c *chats) park(conversation string, t *chatTurn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(conversation, t, c.keep)
}

// claim returns the turn that waits for results which are all in the transcript; nil when there is none. What waited for
// others is forgotten: the conversation has gone on without them.
func (c *chats) claim(conversation string, results map[int]script.Result) *chatTurn {
	c.mu.Lock()
	defer c.mu.Unlock()
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

// A chatRun is one request of the older chat endpoint and its answer.
type chatRun struct {
	sim        *Sim
	rec        *Run
	ctx        context.Context
	wire       *wire
	request    *chatRequest
	transcript transcript
	turn       *chatTurn
	style      chatStyle
	answering  bool // the answer has begun in the thinking field
}

// chat serves the older chat endpoint.
func (s *Sim) chat(w http.ResponseWriter, r *http.Request) {
	rec := &Run{
		Transport: "chat", Path: r.URL.Path, Header: publicHeader(r.Header), RequestID: r.Header.Get("X-Request-Id"),
	}
	keyHash, authorized := s.tokens.check(bearer(r))
	rec.KeyHash = keyHash
	fresh := s.journal.add(rec)
	c := &chatRun{
		sim: s, rec: rec, ctx: r.Context(),
		wire: newWire(w, r),
	}
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
	if err == nil && !authorized {
		err = errUnauthenticated
	}
	if err == nil {
		err = c.play(w)
	}
	c.finish(w, err)
}

// read reads the one message of the request, and its end, without which net/http doesn't notice that the client leaves.
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
	c.turn = c.sim.chats.claim(c.request.conversationID, c.transcript.results)
	if c.turn == nil {
		c.turn = &chatTurn{player: c.sim.playlist.Player(script.Facts{
			Prompt: c.transcript.prompt, Model: c.request.model, Tools: c.transcript.tools, Images: c.request.images,
			Messages: c.transcript.messages, Attempt: attempt,
		})}
	}
	return nil
}

// attempt counts the requests of one name.
func (c *conversation) attempt(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempts[name]++
	return c.attempts[name]
}

// play plays the turn up to its end or to a call. nil means that the answer ended well.
func (c *chatRun) play(w http.ResponseWriter) error {
	step, more := c.turn.player.Next()
	if s, ok := step.(script.Status); ok && more {
		return &statusError{s}
	}
	w.WriteHeader(http.StatusOK)
	if err := c.wire.flush(); err != nil {
		return err
	}
	for more {
		waits, err := c.do(step)
		if err != nil || waits {
			return err
		}
		step, more = c.turn.player.Next()
	}
	return nil
}

// do plays one step; waits says that the next one needs the results of calls. Steps that this endpoint has nothing for
// are skipped.
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
	case script.Garbage:
		return false, c.garbage(s.Kind)
	case script.Unknown:
		return false, c.unknown()
	case script.Frames:
		err := c.wire.flushHeld()
		c.wire.frames = s.How
		return false, err
	case script.Gzip:
		c.wire.compress = s.On
	}
	return false, nil
}

// The fields of a response frame.
const (
	chatFrameBinaryCall = 1
	chatFrameMessage    = 2
	chatMessageText     = 1
	chatMessageThinking = 25
)

// send sends a frame with a text in one of the two fields.
func (c *chatRun) send(thinking bool, text string) error {
	if text == "" {
		return nil
	}
	message := appendString(nil, chatMessageText, text)
	if thinking {
		message = appendMessage(nil, chatMessageThinking, appendString(nil, 1, text))
	}
	return c.wire.sendPayload(appendMessage(nil, chatFrameMessage, message))
}

// think sends reasoning. A model that has begun its answer in the thinking field can't think any more.
func (c *chatRun) think(text string) error {
	if c.answering {
		return nil
	}
	return c.send(true, text)
}

// say sends a piece of the answer, in the field that the style wants.
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

// sendPieces sends a text whose beginning comes in several frames, cut anywhere.
func (c *chatRun) sendPieces(thinking bool, cut, whole string) error {
	for c.style.random != nil && len(cut) > 1 {
		n := 1 + c.style.random.IntN(len(cut)-1)
		if err := c.send(thinking, cut[:n]); err != nil {
			return err
		}
		cut = cut[n:]
	}
	return c.send(thinking, cut+whole)
}

// calls writes tool calls into the answer. The turn waits if the client is to run any of them.
func (c *chatRun) calls(s script.Calls) (waits bool, err error) {
	var block strings.Builder
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
		if call.Builtin || !c.transcript.offers(call.Tool) {
			c.turn.player.Result(call.N, script.Result{Text: "no tool of the name " + call.Tool, IsError: true})
			continue // the client takes it for text
		}
		number++
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

// pause waits; alive sends frames without anything in them meanwhile. 0 is until the client leaves.
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
			if err := errors.Join(c.wire.frame(0, nil), c.wire.flushHeld()); err != nil {
				return err
			}
		}
	}
}

func (c *chatRun) garbage(kind string) error {
	if err := c.wire.garbage(kind); err != nil {
		return err
	}
	if kind == "length" {
		return c.pause(0, false)
	}
	return errGarbage
}

// unknown sends a frame that nobody knows, and a tool call in the binary form, which clients are to ignore.
func (c *chatRun) unknown() error {
	if err := c.wire.frame(0, unknownMessage()); err != nil {
		return err
	}
	call := appendMessage(nil, chatFrameBinaryCall, appendString(nil, 1, "\x08\x01"))
	return c.wire.frame(0, call)
}

// chatErrorOf is endErrorOf with the details as this endpoint says them, in JSON beside the bytes.
func chatErrorOf(s script.Error) *endError {
	e := endErrorOf(s)
	if len(e.Details) > 0 {
		e.Details[0].Debug, _ = json.Marshal(map[string]any{
			"details": map[string]string{"title": s.Title, "detail": s.Message},
		})
	}
	return e
}

// finish writes the end of the answer and of the record.
func (c *chatRun) finish(w http.ResponseWriter, err error) {
	end, written := EndedError, error(nil)
	var status *statusError
	var scripted scriptError
	var refused *endError
	switch {
	case err == nil:
		end, written = EndedWell, c.wire.end(nil)
	case errors.Is(err, errDrop):
		end, written = EndedDropped, c.wire.end(nil)
	case errors.Is(err, errCut):
		end = EndedCut
	case errors.Is(err, errGarbage):
	case errors.As(err, &status):
		status.write(w)
	case errors.As(err, &scripted):
		written = c.wire.end(scripted.endError)
	case errors.As(err, &refused):
		end, written = EndedRefused, c.wire.end(refused)
	default:
		end = EndedLeft
	}
	if written != nil {
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
	if end == EndedCut {
		// What was sent so far arrives before the reset.
		_ = c.wire.flushHeld()
		panic(http.ErrAbortHandler)
	}
}

// record changes the run's record, under the journal's lock.
func (c *chatRun) record(change func(*Run)) { c.sim.journal.update(c.rec, change) }

// violation notes what the client did wrong in this run.
func (c *chatRun) violation(what string) { c.sim.journal.violation(c.rec.Seq, what) }
