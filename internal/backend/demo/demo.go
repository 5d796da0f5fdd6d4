// Package demo is a backend that plays scripts in process: no key, no network. It is the backend of
// `serve --demo`, and it shows what a backend is in the fewest lines.
//
// A prompt may hold the script that it wants played (see package script); other prompts get the script's
// default answer. Steps that only a wire can show (frames, blobs, heartbeats) are skipped.
package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/sim/script"
)

// A Backend plays scripts. It is safe for concurrent use and owns nothing that needs closing.
// The playlist remembers which turns of the script were played; it has a lock of its own.
type Backend struct {
	playlist script.Playlist
}

// New makes a Backend whose runs play s, turn by turn; a nil s leaves the default answer.
func New(s *script.Script) *Backend {
	b := &Backend{}
	b.playlist.Set(s)
	return b
}

// Name implements agent.Backend.
func (*Backend) Name() string { return "demo" }

// Start implements agent.Backend. A turn that begins with an error or a status is refused here. The
// run plays one turn, which the request's facts choose (conditions of the script). A conversation of
// another backend is ConversationLost, upon which the gateway starts from the transcript.
// Nothing runs between two calls of the run's methods: a run is played by whoever calls Next.
func (b *Backend) Start(ctx context.Context, req *agent.Request) (agent.Run, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// The id of the conversation that goes on counts before the request's; without both it is a new one.
	id := req.ConversationID
	if req.Continue != nil {
		c, ok := req.Continue.(conversation)
		if !ok {
			return nil, &agent.Error{Code: agent.ConversationLost}
		}
		id = string(c)
	}
	if id == "" {
		id = agent.NewID("demo-", 22)
	}
	// What a script may ask about is taken once. A request that is adapted later changes the tools alone.
	f := facts(req)
	r := &run{player: b.playlist.Player(f), tools: agent.IndexTools(req.Offered()), id: conversation(id), closed: make(chan struct{})}
	// The first step is looked at now, because an error of Start has an HTTP status, and one of
	// Next may come after the header.
	if err := refusal(r.peek()); err != nil {
		return nil, err
	}
	return r, nil
}

// Restore implements agent.Restorer. data are what MarshalBinary has written.
func (*Backend) Restore(data []byte) (agent.Conversation, error) {
	if !strings.HasPrefix(string(data), restorePrefix) {
		return nil, &agent.Error{Code: agent.ConversationLost}
	}
	return conversation(data[len(restorePrefix):]), nil
}

// facts is what a script may ask about the request. The prompt is the user's messages after the
// last answer of the model: directives in earlier messages were played already. Images are
// counted in all messages of that part, also those that are not the user's.
func facts(req *agent.Request) script.Facts {
	f := script.Facts{Model: req.Model.String(), Messages: len(req.Messages), Continued: req.Continue != nil, Attempt: 1, Default: asked(req)}
	for _, t := range req.Offered() {
		f.Tools = append(f.Tools, t.Name)
	}
	// What follows the user's last message (results of tools, say) is no part of the prompt.
	// The part is req.Messages[begin:end].
	end := len(req.Messages)
	for end > 0 && req.Messages[end-1].Role != agent.User {
		end--
	}
	begin := end
	for begin > 0 && req.Messages[begin-1].Role != agent.Assistant && req.Messages[begin-1].Role != agent.ToolRole {
		begin--
	}
	var prompt []string
	for i := range req.Messages[begin:end] {
		m := &req.Messages[begin+i]
		for _, p := range m.Parts {
			if p.Image != nil {
				f.Images++
			}
		}
		if m.Role == agent.User {
			prompt = append(prompt, m.Text())
		}
	}
	f.Prompt = strings.Join(prompt, "\n")
	return f
}

// asked is what is played for a request that asks for a form: the call that its tool choice demands, then JSON of its format.
// It is nil for a request that asks for none.
func asked(req *agent.Request) []script.Step {
	var steps []script.Step
	if tools := req.Offered(); req.ToolChoice.Mode == agent.ToolsRequired && len(tools) > 0 {
		// The first of the tools that may be called; where the choice names one, it is the only one
		// offered.
		call := script.Call{Tool: tools[0].Name, Args: arguments(tools[0].Parameters)}
		steps = append(steps, script.Calls{Announced: 1, Steps: []script.Step{call}})
	}
	switch req.Format.Kind {
	case agent.JSONSchema:
		steps = append(steps, script.Say{Text: string(sample(req.Format.Schema))})
	case agent.JSONObject:
		steps = append(steps, script.Say{Text: `{"answer": "sample"}`})
	// A call that was demanded is followed by a sentence with its result, so that the conversation
	// has an end.
	case agent.PlainText:
		if steps != nil {
			steps = append(steps, script.Say{Text: "The tools said: {results}"})
		}
	}
	return steps
}

// conversation is the id of a conversation. Nothing else has to be remembered, because the
// script does not depend on what was played before. It implements agent.Conversation.
type conversation string

// restorePrefix begins the bytes of a conversation, so that bytes of another backend are refused.
const restorePrefix = "demo:"

func (c conversation) ID() string                     { return string(c) }
func (c conversation) Size() int                      { return len(c) }
func (c conversation) MarshalBinary() ([]byte, error) { return []byte(restorePrefix + string(c)), nil }

// A run plays one turn of a script, which is one or more turns of ours: each tool call ends one.
//
//	playing ── Calls ──► calling: yields each Call ──► Done(tool_calls) ──► waiting
//	   ▲                                                                       │ Resume
//	   └───────────────────────────────────────────────────────────────────────┘
//	   └── the script ends ──► Usage, Done(stop) ──► over
//
// closed is the only thing that Close and the others share; everything below it is for one goroutine.
type run struct {
	// player says what comes next. It belongs to the run, also while that is parked.
	player *script.Player
	tools  *agent.ToolIndex // those that may be called
	id     conversation

	closeOnce sync.Once
	closed    chan struct{}

	// What follows belongs to the goroutine that calls Next and Resume.
	next    script.Step // when peeked; nil is the end
	peeked  bool
	inner   []script.Step  // what is left of the Calls that are being announced
	calling bool           // Calls have begun and Done is owed
	open    map[string]int // calls that wait for a result, by id: the script's number
	// usage is what the script says that the turn has cost; nil: it is counted from the texts.
	usage          *agent.Usage
	text, thinking agent.TextJoiner
	over           bool // Done was yielded, and no call is open
}

// errClosed is what Next and Resume return after Close.
var errClosed = errors.New("the run is closed")

// peek looks at the script's next step; nil at the end. It must not be called while calls are open: the
// player fills in their results when it reads the step.
func (r *run) peek() script.Step {
	if !r.peeked {
		r.next, _ = r.player.Next()
		r.peeked = true
	}
	return r.next
}

// take returns the step to play now; nil at the end. Steps within announced calls come before
// the next step of the script.
func (r *run) take() script.Step {
	if len(r.inner) > 0 {
		step := r.inner[0]
		r.inner = r.inner[1:]
		return step
	}
	step := r.peek()
	r.peeked = false
	return step
}

// Next implements agent.Run.
//
// The order matters: the end of announced calls comes before the check for a missing Resume, because their
// Done is still owed. A step that yields nothing, such as a delay, is carried out and the next one taken.
func (r *run) Next(ctx context.Context) (agent.Event, error) {
	for {
		select {
		case <-r.closed:
			return agent.Event{}, &agent.Error{Code: agent.Canceled, Err: errClosed}
		case <-ctx.Done():
			return agent.Event{}, ctx.Err()
		default:
		}
		// Also without open calls: all of them may have been of tools that the client doesn't have.
		if r.calling && len(r.inner) == 0 {
			r.calling = false
			if len(r.open) > 0 {
				return done(agent.Done{Reason: agent.ToolCalls}), nil
			}
		}
		if r.over {
			return agent.Event{}, &agent.Error{Code: agent.Internal, Err: errors.New("Next after the end of the run")}
		}
		if len(r.open) > 0 && !r.calling {
			return agent.Event{}, &agent.Error{Code: agent.Internal, Err: errors.New("Next before Resume")}
		}
		// ok false is a step without an event: the loop takes the next one.
		e, ok, err := r.play(ctx, r.take())
		if err != nil || ok {
			return e, err
		}
	}
}

// done is the event that ends a turn.
func done(d agent.Done) agent.Event { return agent.Event{Kind: agent.DoneKind, Done: &d} }

// play carries out one step; ok is false when it yields no event. A call of a tool that the client doesn't
// have never reaches the client: its result is an error at once, as a server would make it.
func (r *run) play(ctx context.Context, step script.Step) (e agent.Event, ok bool, err error) {
	switch s := step.(type) {
	case nil:
		return r.finish(), true, nil
	case script.Text:
		text := r.text.Add([]byte(s.Text))
		return agent.Event{Kind: agent.Text, Text: text}, len(text) > 0, nil
	case script.Think:
		text := r.thinking.Add([]byte(s.Text))
		return agent.Event{Kind: agent.Reasoning, Text: text}, len(text) > 0, nil
	case script.Calls:
		r.inner, r.calling, r.open = s.Steps, true, map[string]int{}
	case script.Call:
		tool := r.tools.Find(s.Tool)
		switch {
		case s.Builtin:
			r.player.Result(s.N, script.Result{Text: "the demo has no tools of its own", IsError: true})
			return e, false, nil
		case tool == nil:
			r.player.Result(s.N, script.Result{Text: "tool not found: " + s.Tool, IsError: true})
			return e, false, nil
		}
		call := &agent.ToolCall{ID: agent.NewCallID(), Name: tool.Name, Arguments: s.Args}
		r.open[call.ID] = s.N
		return agent.Event{Kind: agent.Call, Call: call}, true, nil
	case script.Usage:
		r.usage = &agent.Usage{Input: s.Input, Output: s.Output, CacheRead: s.CacheRead, CacheWrite: s.CacheWrite, Reasoning: s.Reasoning}
	case script.Delay:
		return e, false, r.wait(ctx, time.After(s.For))
	case script.Hold:
		return e, false, r.hold(ctx, s.For)
	case script.Stall:
		return e, false, r.hold(ctx, s.For)
	// All three are the same from here: there is no wire that could show the difference.
	case script.Cut, script.Drop, script.Garbage:
		return e, false, &agent.Error{Code: agent.Upstream, Message: "The connection to the upstream service was lost.", Err: errors.New("scripted")}
	case script.Error, script.Status:
		return e, false, refusal(step)
	}
	return e, false, nil
}

// finish ends the run. It is called twice if the script has a usage: first for that, then for
// Done. The text that TextJoiner still holds back is lost, if a script ends within a character.
func (r *run) finish() agent.Event {
	if r.usage != nil {
		e := agent.Event{Kind: agent.UsageKind, Usage: r.usage}
		r.usage = nil
		return e
	}
	r.over = true
	return done(agent.Done{Reason: agent.Stop, Conversation: r.id})
}

// hold waits for d, or until Close or the context's end when d is 0.
func (r *run) hold(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return r.wait(ctx, nil)
	}
	return r.wait(ctx, time.After(d))
}

// wait waits for until, or fails with what ended first: the run or the context. A nil until never comes.
func (r *run) wait(ctx context.Context, until <-chan time.Time) error {
	select {
	case <-until:
		return nil
	case <-r.closed:
		return &agent.Error{Code: agent.Canceled, Err: errClosed}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Buffered implements agent.Run. Only the steps that wait make Next wait. It may take a step
// from the player to look at it; take returns that one later.
func (r *run) Buffered() bool {
	if r.over || len(r.open) > 0 && len(r.inner) == 0 {
		return false
	}
	step := r.inner
	if len(step) == 0 {
		step = []script.Step{r.peek()}
	}
	switch step[0].(type) {
	case script.Delay, script.Hold, script.Stall:
		return false
	}
	return true
}

// Adapt implements agent.Adaptable. Tools can change between two requests of a turn; calls from
// now on are of the new ones.
func (r *run) Adapt(req *agent.Request) bool {
	r.tools = agent.IndexTools(req.Offered())
	return true
}

// Resume implements agent.Run. It needs a result for each open call, and for no other. What the
// user has said beside a result is added to its text.
func (r *run) Resume(_ context.Context, results []agent.ToolResult) error {
	select {
	case <-r.closed:
		return &agent.Error{Code: agent.Canceled, Err: errClosed}
	default:
	}
	for _, result := range results {
		n, ok := r.open[result.CallID]
		if !ok {
			return &agent.Error{Code: agent.Internal, Err: fmt.Errorf("a result for call %q, which is not open", result.CallID)}
		}
		delete(r.open, result.CallID)
		m := agent.Message{Parts: append(slices.Clip(result.Parts), result.Said...)}
		r.player.Result(n, script.Result{Text: m.Text(), IsError: result.IsError})
	}
	// The results of all calls come in one Resume, as agent.Run says.
	if len(r.open) > 0 {
		return &agent.Error{Code: agent.Internal, Err: fmt.Errorf("%d calls have no result", len(r.open))}
	}
	return nil
}

// Close implements agent.Run.
func (r *run) Close() error {
	r.closeOnce.Do(func() { close(r.closed) })
	return nil
}
