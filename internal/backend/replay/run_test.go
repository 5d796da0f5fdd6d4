package replay

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/cursor/cursorerr"

	"github.com/google/go-cmp/cmp"
)

// A played is an Answer that yields steps and then waits.
type played struct {
	steps   []backendtest.Step
	closed  chan struct{}
	refused []Refused
}

func (p *played) Refused() []Refused { return p.refused }

func (p *played) Next(ctx context.Context) (agent.Event, error) {
	if len(p.steps) == 0 {
		select {
		case <-ctx.Done():
			return agent.Event{}, ctx.Err()
		case <-p.closed:
			return agent.Event{}, &agent.Error{Code: agent.Canceled}
		}
	}
	s := p.steps[0]
	p.steps = p.steps[1:]
	return s.Event, s.Err
}

func (p *played) Buffered() bool { return len(p.steps) > 0 }

func (p *played) Close() error { close(p.closed); return nil }

// An upstream gives one answer after the other: steps, or an error instead.
type upstream struct {
	answers []any // []backendtest.Step, or *played with them and refused calls, or error
	asked   []*agent.Request
	at      []time.Duration // when, since begin
	begin   time.Time
	given   []*played
}

func (u *upstream) open(ctx context.Context, req *agent.Request) (Answer, error) {
	u.asked = append(u.asked, req)
	u.at = append(u.at, time.Since(u.begin))
	next := u.answers[0]
	u.answers = u.answers[1:]
	if err, ok := next.(error); ok {
		return nil, err
	}
	p, ok := next.(*played)
	if !ok {
		p = &played{steps: next.([]backendtest.Step)}
	}
	p.closed = make(chan struct{})
	u.given = append(u.given, p)
	return p, nil
}

func steps(s ...backendtest.Step) []backendtest.Step { return s }

func request() *agent.Request { return backendtest.Request("hello") }

var (
	broken  = &cursorerr.Failure{Retryable: true, Err: agent.Errorf(agent.Upstream, "cut")}
	refused = &cursorerr.Failure{BadToken: true, Err: agent.Errorf(agent.InvalidKey, "token")}
)

// busy is a refusal that asks for a wait.
func busy(wait time.Duration) error {
	return &cursorerr.Failure{Retryable: true, Err: &agent.Error{Code: agent.Overloaded, RetryAfter: wait}}
}

func TestResumeAsksAgainWithCallsAndResults(t *testing.T) {
	u := &upstream{answers: []any{
		steps(backendtest.Say("Let "), backendtest.Say("me look."), backendtest.CallTool("c1", "look", `{"path":"a"}`), backendtest.CallTool("c2", "look", `{}`), backendtest.Wait()),
		steps(backendtest.CallTool("c3", "look", `{}`), backendtest.Wait()),
		steps(backendtest.Say("Done."), backendtest.End("")),
	}}
	req := request()
	run, err := Start(t.Context(), req, Limits{}, nil, u.open)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if _, err := backendtest.Collect(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	text := func(s string) []agent.Part { return []agent.Part{{Text: s}} }
	results := []agent.ToolResult{{CallID: "c2", Parts: text("two"), IsError: true}, {CallID: "c1", Parts: text("one")}}
	if err := run.Resume(t.Context(), results); err != nil {
		t.Fatal(err)
	}
	if _, err := backendtest.Collect(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if err := run.Resume(t.Context(), []agent.ToolResult{{CallID: "c3", Parts: text("three"), Said: text("Hurry.")}}); err != nil {
		t.Fatal(err)
	}
	turn, err := backendtest.Collect(t.Context(), run)
	if err != nil || turn.Text != "Done." {
		t.Fatalf("%+v, %v", turn, err)
	}
	call := func(id, arguments string) agent.ToolCall {
		return agent.ToolCall{ID: id, Name: "look", Arguments: []byte(arguments)}
	}
	want := append(request().Messages,
		agent.Message{Role: agent.Assistant, Parts: text("Let me look."), Calls: []agent.ToolCall{call("c1", `{"path":"a"}`), call("c2", `{}`)}},
		agent.Message{Role: agent.ToolRole, CallID: "c2", Parts: text("two"), IsError: true},
		agent.Message{Role: agent.ToolRole, CallID: "c1", Parts: text("one")},
		agent.Message{Role: agent.Assistant, Calls: []agent.ToolCall{call("c3", `{}`)}},
		agent.Message{Role: agent.ToolRole, CallID: "c3", Parts: text("three")},
		agent.Message{Role: agent.User, Parts: text("Hurry.")},
	)
	if diff := cmp.Diff(want, u.asked[2].Messages); diff != "" {
		t.Errorf("the last transcript (-want +got)\n%s", diff)
	}
	if len(req.Messages) != 1 || u.asked[0] != req {
		t.Error("the caller's request was changed or copied")
	}
	for i, p := range u.given[:2] {
		select {
		case <-p.closed:
		default:
			t.Errorf("answer %d was left open", i+1)
		}
	}
}

// Whether a failure is tried again: how many attempts there were, with the waits between them, and what comes out.
func TestRetries(t *testing.T) {
	say := backendtest.Say("ok")
	good := steps(say, backendtest.End(""))
	for _, c := range []struct {
		name     string
		answers  []any
		attempts int
		waits    []time.Duration // between attempts, without jitter
		want     agent.Code      // 0 is success
	}{
		{"nothing fails", []any{good}, 1, nil, 0},
		{"the first attempt can't be opened", []any{broken, good}, 2, []time.Duration{250 * time.Millisecond}, 0},
		{"two attempts break before they say anything", []any{steps(backendtest.Fail(broken)), steps(backendtest.Fail(broken)), good}, 3,
			[]time.Duration{250 * time.Millisecond, 500 * time.Millisecond}, 0},
		{"three attempts break", []any{broken, steps(backendtest.Fail(broken)), broken}, 3,
			[]time.Duration{250 * time.Millisecond, 500 * time.Millisecond}, agent.Upstream},
		{"it breaks after text", []any{steps(say, backendtest.Fail(broken))}, 1, nil, agent.Upstream},
		{"it breaks after reasoning", []any{steps(backendtest.Think("hm"), backendtest.Fail(broken))}, 1, nil, agent.Upstream},
		{"a failure that lasts", []any{agent.Errorf(agent.ModelNotFound, "no")}, 1, nil, agent.ModelNotFound},
		{"a failure that nobody knows", []any{errors.New("oh")}, 1, nil, agent.Internal},
		{"upstream asks for a short wait", []any{busy(time.Second), good}, 2, []time.Duration{time.Second}, 0},
		{"upstream asks for less than we would wait", []any{broken, busy(100 * time.Millisecond), good}, 3,
			[]time.Duration{250 * time.Millisecond, 500 * time.Millisecond}, 0},
		{"upstream asks for a long wait", []any{busy(7 * time.Second)}, 1, nil, agent.Overloaded},
		{"a token has ended", []any{refused, good}, 2, []time.Duration{0}, 0},
		{"a token has ended in the stream", []any{steps(backendtest.Fail(refused)), good}, 2, []time.Duration{0}, 0},
		{"the new token is no better", []any{refused, refused}, 2, []time.Duration{0}, agent.InvalidKey},
		{"a token has ended and then it breaks", []any{refused, broken, good}, 3, []time.Duration{0, 250 * time.Millisecond}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{answers: c.answers, begin: time.Now()}
				run, err := Start(t.Context(), request(), Limits{}, nil, u.open)
				if err == nil {
					defer run.Close()
					_, err = backendtest.Collect(t.Context(), run)
				}
				if code := agent.CodeOf(err); code != c.want {
					t.Errorf("it ended with %v, want %v", err, c.want)
				}
				var known *agent.Error
				if err != nil && !errors.As(err, &known) {
					t.Errorf("%T is no *agent.Error", err)
				}
				if len(u.asked) != c.attempts {
					t.Fatalf("%d attempts, want %d", len(u.asked), c.attempts)
				}
				for i, want := range c.waits {
					got := u.at[i+1] - u.at[i]
					if got < want*8/10 || got > want*12/10 {
						t.Errorf("wait %d was %v, want about %v", i+1, got, want)
					}
				}
			})
		})
	}
}

func TestEachTurnHasItsOwnAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := steps(backendtest.CallTool("c", "look", `{}`), backendtest.Wait())
		u := &upstream{answers: []any{broken, broken, wait, broken, broken, steps(backendtest.End(""))}}
		run, err := Start(t.Context(), request(), Limits{}, nil, u.open)
		if err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		if _, err := backendtest.Collect(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		if err := run.Resume(t.Context(), []agent.ToolResult{{CallID: "c"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := backendtest.Collect(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCloseEndsAWaitBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answers: []any{steps(backendtest.Fail(broken)), errors.New("too late")}, begin: time.Now()}
		run, err := Start(t.Context(), request(), Limits{}, nil, u.open)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { _, err := run.Next(t.Context()); ended <- err }()
		synctest.Wait()
		run.Close()
		if err := <-ended; err == nil || len(u.asked) != 1 {
			t.Errorf("%v after %d attempts", err, len(u.asked))
		}
		if _, err := run.Next(t.Context()); agent.CodeOf(err) != agent.Canceled {
			t.Errorf("after Close: %v", err)
		}
		if err := run.Resume(t.Context(), nil); agent.CodeOf(err) != agent.Canceled {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestCloseEndsAnOpening(t *testing.T) {
	for _, kind := range []string{"that gives up", "that comes through all the same"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				late := &played{closed: make(chan struct{})}
				u := &upstream{answers: []any{steps(backendtest.CallTool("c", "look", `{}`), backendtest.Wait())}}
				asked := 0
				run, err := Start(t.Context(), request(), Limits{}, nil, func(ctx context.Context, req *agent.Request) (Answer, error) {
					if asked++; asked == 1 {
						return u.open(ctx, req)
					}
					<-ctx.Done()
					if kind == "that gives up" {
						return nil, &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
					}
					return late, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := backendtest.Collect(t.Context(), run); err != nil {
					t.Fatal(err)
				}
				resumed := make(chan error)
				go func() { resumed <- run.Resume(t.Context(), nil) }()
				synctest.Wait()
				run.Close()
				if err := <-resumed; agent.CodeOf(err) != agent.Canceled {
					t.Errorf("Resume: %v", err)
				}
				if kind != "that gives up" {
					<-late.closed
				}
			})
		})
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Start(ctx, request(), Limits{}, nil, func(context.Context, *agent.Request) (Answer, error) {
		cancel()
		return nil, io.ErrUnexpectedEOF
	})
	if agent.CodeOf(err) != agent.Canceled || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCallsOutOfOrderAreErrors(t *testing.T) {
	u := &upstream{answers: []any{steps(backendtest.Say("a"), backendtest.End(""))}}
	run, err := Start(t.Context(), request(), Limits{}, nil, u.open)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if err := run.Resume(t.Context(), nil); agent.CodeOf(err) != agent.Internal {
		t.Errorf("Resume in mid-turn: %v", err)
	}
	if _, err := backendtest.Collect(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Next(t.Context()); agent.CodeOf(err) != agent.Internal {
		t.Errorf("Next after the end: %v", err)
	}
	if run.Buffered() {
		t.Error("something is buffered after the end")
	}
}

// vain is an answer that calls a tool which there isn't.
func vain(before ...backendtest.Step) *played {
	call := agent.ToolCall{ID: "x1", Name: "nobody", Arguments: []byte(`{}`)}
	return &played{steps: append(before, backendtest.Spend(agent.Usage{Input: 10, Output: 1, Estimated: true}), backendtest.End("")),
		refused: []Refused{{Call: call, Why: "There is no such tool."}}}
}

func TestTheModelIsToldOfRefusedCalls(t *testing.T) {
	synctest.Test(t, testTheModelIsToldOfRefusedCalls)
}

func testTheModelIsToldOfRefusedCalls(t *testing.T) {
	u := &upstream{answers: []any{
		vain(backendtest.Say("Let me see. ")),
		broken, // before it has said anything: asked again
		steps(backendtest.Say("Sorry."), backendtest.Spend(agent.Usage{Input: 20, Output: 2}), backendtest.End("")),
	}}
	run, err := Start(t.Context(), request(), Limits{}, nil, u.open)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	turn, err := backendtest.Collect(t.Context(), run)
	if err != nil || turn.Text != "Let me see. Sorry." || len(turn.Calls) > 0 {
		t.Fatalf("%+v, %v", turn, err)
	}
	if diff := cmp.Diff(&agent.Usage{Input: 30, Output: 3, Estimated: true}, turn.Usage); diff != "" {
		t.Errorf("the usage of both answers: %s", diff)
	}
	want := append(request().Messages,
		agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: "Let me see. "}}, Calls: []agent.ToolCall{{ID: "x1", Name: "nobody", Arguments: []byte(`{}`)}}},
		agent.Message{Role: agent.ToolRole, CallID: "x1", Parts: []agent.Part{{Text: "There is no such tool."}}, IsError: true},
	)
	if diff := cmp.Diff(want, u.asked[2].Messages); diff != "" {
		t.Errorf("the last transcript (-want +got)\n%s", diff)
	}
}

// A model that calls in vain again and again is stopped; what it has said is the answer then, and nothing is an error.
func TestRefusedCallsEndATurn(t *testing.T) {
	for text, want := range map[string]agent.Code{"": agent.Upstream, "So.": 0} {
		first := vain()
		if text != "" {
			first = vain(backendtest.Say(text))
		}
		u := &upstream{answers: []any{first, vain(), vain()}}
		run, err := Start(t.Context(), request(), Limits{}, nil, u.open)
		if err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		turn, err := backendtest.Collect(t.Context(), run)
		if agent.CodeOf(err) != want || turn.Text != text || len(u.asked) != 1+maxCorrections {
			t.Errorf("%q and %v after %d requests", turn.Text, err, len(u.asked))
		}
	}
}

// Beside a call that the client runs, a refused one waits for its result.
func TestRefusedCallsBesideOthers(t *testing.T) {
	mixed := vain()
	mixed.steps = steps(backendtest.CallTool("c1", "look", `{}`), backendtest.CallTool("c2", "look", `{}`), backendtest.Wait())
	mixed.refused[0].After = 1
	u := &upstream{answers: []any{mixed, steps(backendtest.Say("Done."), backendtest.End(""))}}
	run, err := Start(t.Context(), request(), Limits{}, nil, u.open)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if turn, err := backendtest.Collect(t.Context(), run); err != nil || len(turn.Calls) != 2 {
		t.Fatalf("%+v, %v", turn, err)
	}
	if err := run.Resume(t.Context(), []agent.ToolResult{{CallID: "c2"}, {CallID: "c1"}}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range u.asked[1].Messages[1:] {
		for _, c := range m.Calls {
			got = append(got, "call "+c.ID)
		}
		if m.CallID != "" {
			got = append(got, "result "+m.CallID)
		}
	}
	if diff := cmp.Diff([]string{"call c1", "call x1", "call c2", "result c2", "result c1", "result x1"}, got); diff != "" {
		t.Error(diff)
	}
}
