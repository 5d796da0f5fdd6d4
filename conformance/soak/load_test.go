package soak

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"composer-api/conformance/harness"
)

// A kind is something that clients do again and again. do returns an error when it did not go as it should; those of ctx
// don't count.
type kind struct {
	name    string
	clients int
	pause   time.Duration // of each client, between two
	do      func(l *load, ctx context.Context, n int) error
}

// kinds are the load. Each prompt is one of [variants], so that what is remembered of conversations does not grow for the
// whole run: a conversation with the same words takes the place of the one before.
var kinds = []kind{
	{"paced streams", 24, 0, (*load).paced},
	{"conversations that go on", 4, time.Second, (*load).goesOn},
	{"tool loops", 8, 500 * time.Millisecond, (*load).toolLoop},
	{"abandoned tool calls", 2, time.Second, (*load).abandoned},
	{"clients that leave", 6, 500 * time.Millisecond, (*load).leaves},
	{"faults of upstream", 3, time.Second, (*load).fault},
}

const variants = 50

// A load is the clients of all kinds.
type load struct {
	gateways []*harness.Gateway
	client   *http.Client
	*tally
}

// A tally is what has been done.
type tally struct {
	mu     sync.Mutex
	done   map[string]int
	failed map[string]failure
}

// A failure is how often one kind did not go as it should, and what the first was.
type failure struct {
	times int
	first string
}

func newLoad(gateways []*harness.Gateway) *load {
	return &load{
		gateways: gateways, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		tally: &tally{done: map[string]int{}, failed: map[string]failure{}},
	}
}

// run lets all clients work until ctx ends. The channel is closed when they have stopped.
func (l *load) run(ctx context.Context) <-chan struct{} {
	var all sync.WaitGroup
	for _, k := range kinds {
		for c := range k.clients {
			all.Go(func() {
				// Not all at once.
				wait(ctx, time.Duration(c)*(k.pause+4*time.Second)/time.Duration(k.clients))
				for n := c; ctx.Err() == nil; n += k.clients {
					err := k.do(l, ctx, n)
					if ctx.Err() == nil {
						l.count(k.name, err)
					}
					wait(ctx, k.pause)
				}
			})
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		all.Wait()
		l.client.CloseIdleConnections()
	}()
	return ended
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (c *tally) count(kind string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done[kind]++
	if err != nil {
		f := c.failed[kind]
		if f.times == 0 {
			f.first = err.Error()
		}
		f.times++
		c.failed[kind] = f
	}
}

// counts is how often each kind was done.
func (c *tally) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}

// failures is what did not go as it should, by kind.
func (c *tally) failures() map[string]failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// A message is one of a chat completion.
type message struct {
	Role       string            `json:"role"`
	Content    string            `json:"content"`
	ToolCalls  []json.RawMessage `json:"tool_calls,omitempty"`
	ToolCallID string            `json:"tool_call_id,omitempty"`
}

// prompt is what a user says, with the script that the simulator plays for it.
func prompt(kind string, n int, script ...string) message {
	return message{Role: "user", Content: fmt.Sprintf("%s %d\nsim: %s", kind, n%variants, strings.Join(script, "\nsim: "))}
}

const tools = `[{"type":"function","function":{"name":"look","description":"Looks at a file.","parameters":{"type":"object","properties":{"path":{"type":"string"}}}}}]`

// An answer is a whole stream of a chat completion.
type answer struct {
	text, id string // the id of its call, "" for none
	ended    bool   // with [DONE]
}

// ask sends a request to the n-th gateway, and returns its stream. most is after how many pieces the client leaves; 0 is never.
func (l *load) ask(ctx context.Context, n, most int, messages ...message) (*answer, error) {
	body, err := json.Marshal(map[string]any{"model": "composer-2.5", "stream": true, "messages": messages, "tools": json.RawMessage(tools)})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.gateways[n%len(l.gateways)].BaseURL()+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", fmt.Sprintf("Bearer crsr_soak_%d", n%10))
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		return nil, fmt.Errorf("%s: %s", resp.Status, text)
	}
	a, pieces := &answer{}, 0
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case !found:
			continue
		case data == "[DONE]":
			a.ended = true
			continue
		}
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content   string
					ToolCalls []struct{ ID string } `json:"tool_calls"`
				}
			}
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return nil, err
		}
		for _, c := range chunk.Choices {
			a.text += c.Delta.Content
			for _, call := range c.Delta.ToolCalls {
				if call.ID != "" {
					a.id = call.ID
				}
			}
		}
		if pieces++; pieces == most {
			return a, nil
		}
	}
	return a, lines.Err()
}

// whole is the error of an answer that has ended too early, or lacks a text.
func whole(a *answer, err error, want string) error {
	if err == nil && (!a.ended || !strings.Contains(a.text, want)) {
		err = fmt.Errorf("the answer is %q and ended: %v; it lacks %q", a.text, a.ended, want)
	}
	return err
}

// paced is an answer at the pace of a model: ten pieces a second.
func (l *load) paced(ctx context.Context, n int) error {
	a, err := l.ask(ctx, n, 0, prompt("paced", n, `many 50 100ms "word "`))
	return whole(a, err, strings.Repeat("word ", 50))
}

// goesOn asks twice in one conversation, which upstream still has.
func (l *load) goesOn(ctx context.Context, n int) error {
	first := prompt("goes on", n, "text First.", "checkpoint 100 200000")
	a, err := l.ask(ctx, n, 0, first)
	if err := whole(a, err, "First."); err != nil {
		return err
	}
	a, err = l.ask(ctx, n, 0, first, message{Role: "assistant", Content: a.text}, prompt("goes on", n, "text Second."))
	return whole(a, err, "Second.")
}

// calls asks for what makes the model call a tool.
func (l *load) calls(ctx context.Context, kind string, n int) (message, *answer, error) {
	said := prompt(kind, n, `call look {"path":"a"}`, "text I saw {result 1}.")
	a, err := l.ask(ctx, n, 0, said)
	if err == nil && a.id == "" {
		err = fmt.Errorf("no call came, but %q", a.text)
	}
	return said, a, err
}

// toolLoop answers a call, by way of the next gateway. Where that can't reach the run, it begins again from the transcript, and
// the simulator plays its script from the start: the call comes once more.
func (l *load) toolLoop(ctx context.Context, n int) error {
	said, a, err := l.calls(ctx, "loop", n)
	messages := []message{said}
	for range 5 {
		if err != nil {
			return err
		}
		if a.id == "" {
			break
		}
		wait(ctx, time.Second) // the tool
		call, err := json.Marshal(map[string]any{"id": a.id, "type": "function", "function": map[string]string{"name": "look", "arguments": `{"path":"a"}`}})
		if err != nil {
			return err
		}
		messages = append(messages, message{Role: "assistant", Content: a.text, ToolCalls: []json.RawMessage{call}}, message{Role: "tool", ToolCallID: a.id, Content: "a file"})
		l = l.other()
		if a, err = l.ask(ctx, n, 0, messages...); err != nil {
			return err
		}
		if a.id != "" {
			l.count(again, nil)
		}
	}
	return whole(a, err, "I saw a file.")
}

// again is what a loop is counted as that began again.
const again = "tool loops that began again"

// other is the same load, whose gateways are in another order: the number of a request chooses its key, too, which must stay.
func (l *load) other() *load {
	return &load{gateways: append(l.gateways[1:len(l.gateways):len(l.gateways)], l.gateways[0]), client: l.client, tally: l.tally}
}

// abandoned never answers the call.
func (l *load) abandoned(ctx context.Context, n int) error {
	_, _, err := l.calls(ctx, "abandoned", n)
	return err
}

// leaves breaks off in the middle.
func (l *load) leaves(ctx context.Context, n int) error {
	_, err := l.ask(ctx, n, 5+n%10, prompt("leaves", n, `many 50 50ms "word "`))
	return err
}

// faults are what upstream does wrong. What becomes of each is tested elsewhere.
var faults = []string{
	"cut", "drop", "error internal Ouch", "error unavailable", "garbage payload", "status 503", "status 429 retry-after=1s", "text a\nsim: cut", "text a\nsim: error internal Ouch",
}

func (l *load) fault(ctx context.Context, n int) error {
	_, _ = l.ask(ctx, n, 0, prompt("fault", n, faults[n%len(faults)]))
	return nil
}
