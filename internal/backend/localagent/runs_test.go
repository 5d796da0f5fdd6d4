package localagent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/golden"
	"composer-api/internal/sim/cursorsim"
)

// TestRuns plays the runs of testdata/runs. Each file says what it is about, what upstream does (script), what the
// client does (client), and what must come of it: the events with the time at which each turn ends (events), and what
// upstream saw of us (upstream).
//
// Lines of client:
//
//	prompt TEXT          the user's message
//	tools NAME SCHEMA    a tool instead of the exam's two; may be repeated
//	no tools
//	think DURATION       how long each tool takes
//	leave after DURATION
//	seed N               how upstream misbehaves
//	count heartbeats     which must not be due at the moment when something else happens
func TestRuns(t *testing.T) {
	golden.Cases(t, "testdata/runs/*.txtar", func(t *testing.T, c *golden.Case) {
		synctest.Test(t, func(t *testing.T) { playCase(t, c) })
	})
}

func playCase(t *testing.T, c *golden.Case) {
	client := &client{t: t, req: backendtest.Request("hello")}
	client.configure(c.Section("client"))
	r := newRig(t, c.Section("script"), cursorsim.Config{Seed: client.seed}, nil)
	events := client.run(r)
	synctest.Wait()
	r.noViolations(t)
	c.Want(t, "events", events)
	c.Want(t, "upstream", upstream(r.sim, client.count))
}

// A client makes one request and runs the tools that the model calls.
type client struct {
	t     *testing.T
	req   *agent.Request
	think time.Duration
	leave time.Duration
	seed  uint64
	count bool

	out   bytes.Buffer
	start time.Time
	calls int
}

func (c *client) configure(lines string) {
	ownTools := false
	for line := range strings.Lines(lines) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		var err error
		switch verb {
		case "prompt":
			c.req.Messages[0].Parts[0].Text = rest
		case "tools":
			if !ownTools {
				c.req.Tools, ownTools = nil, true
			}
			name, schema, _ := strings.Cut(rest, " ")
			c.req.Tools = append(c.req.Tools, agent.Tool{Name: name, Parameters: json.RawMessage(schema)})
		case "no":
			c.req.Tools = nil
		case "think":
			c.think, err = time.ParseDuration(rest)
		case "leave":
			c.leave, err = time.ParseDuration(strings.TrimPrefix(rest, "after "))
		case "count":
			c.count = true
		case "seed":
			_, err = fmt.Sscan(rest, &c.seed)
		default:
			c.t.Fatalf("client: %q", line)
		}
		if err != nil {
			c.t.Fatalf("client: %q: %v", line, err)
		}
	}
}

// run plays the request to its end and returns what happened.
func (c *client) run(b agent.Backend) string {
	c.start = time.Now()
	ctx := c.t.Context()
	if c.leave > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.leave)
		defer cancel()
	}
	run, err := b.Start(ctx, c.req)
	if err != nil {
		c.failed(err)
		return c.out.String()
	}
	defer run.Close()
	for c.turn(ctx, run) {
	}
	return c.out.String()
}

// turn plays one turn and answers its calls. It reports whether there is another.
func (c *client) turn(ctx context.Context, run agent.Run) bool {
	var results []agent.ToolResult
	for {
		e, err := run.Next(ctx)
		if err != nil {
			c.failed(err)
			return false
		}
		switch e.Kind {
		case agent.Text:
			fmt.Fprintf(&c.out, "text %q\n", e.Text)
		case agent.Reasoning:
			fmt.Fprintf(&c.out, "reasoning %q\n", e.Text)
		case agent.Call:
			c.calls++
			fmt.Fprintf(&c.out, "call %s %s\n", e.Call.Name, e.Call.Arguments)
			results = append(results, agent.ToolResult{
				CallID: e.Call.ID, Parts: []agent.Part{{Text: fmt.Sprintf("result %d", c.calls)}},
			})
		case agent.UsageKind:
			u := *e.Usage
			fmt.Fprintf(&c.out, "usage in %d cached %d written %d out %d reasoning %d", u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning)
			if u.Estimated {
				c.out.WriteString(" estimated")
			}
			c.out.WriteByte('\n')
		case agent.DoneKind:
			if e.Done.Reason == agent.Stop {
				fmt.Fprintf(&c.out, "%sdone, can be continued: %v\n", c.clock(), e.Done.Conversation != nil)
				return false
			}
			fmt.Fprintf(&c.out, "%swaits for results\n", c.clock())
			time.Sleep(c.think)
			if err := run.Resume(ctx, results); err != nil {
				c.failed(err)
				return false
			}
			return true
		}
	}
}

func (c *client) clock() string {
	grain := time.Millisecond
	if c.seed != 0 {
		grain = time.Minute // upstream takes its time
	}
	return fmt.Sprintf("%v ", time.Since(c.start).Round(grain))
}

func (c *client) failed(err error) {
	if e := (*agent.Error)(nil); !isAgentError(err, &e) {
		fmt.Fprintf(&c.out, "%sended: %v\n", c.clock(), err)
	} else {
		fmt.Fprintf(&c.out, "%serror %v: %s", c.clock(), e.Code, e.UserMessage())
		if e.RetryAfter > 0 {
			fmt.Fprintf(&c.out, " (retry after %v)", e.RetryAfter)
		}
		if e.Final {
			c.out.WriteString(" (final)")
		}
		c.out.WriteByte('\n')
	}
}

func isAgentError(err error, e **agent.Error) bool {
	var ok bool
	*e, ok = err.(*agent.Error)
	return ok
}

// upstream says what the simulator saw.
func upstream(sim *cursorsim.Sim, count bool) string {
	var b strings.Builder
	beats := func(n int) {
		if count {
			fmt.Fprintf(&b, ", %d heartbeats", n)
		}
		b.WriteByte('\n')
	}
	for _, run := range sim.Runs() {
		fmt.Fprintf(&b, "stream %d: attempt %d", run.Seq, run.Attempt)
		if run.Resume {
			b.WriteString(", resumes")
		}
		b.WriteString(", ended " + run.End)
		beats(run.Heartbeats)
		for _, x := range run.Execs {
			switch x.Kind {
			case "request_context", "mcp_state", "mcp_allowlist_precheck":
				continue // always the same
			}
			result := x.Result
			if x.Thrown != "" {
				result = "thrown: " + x.Thrown
			}
			if x.Aborted {
				result += " (aborted)"
			}
			fmt.Fprintf(&b, "  %s %s: %q", x.Kind, x.Tool, result)
			beats(x.Heartbeats)
		}
		for _, a := range run.Answers {
			data, _ := a.MarshalJSON()
			fmt.Fprintf(&b, "  %s\n", data)
		}
		for _, f := range run.Failures {
			fmt.Fprintf(&b, "  failed: %s\n", f)
		}
	}
	return b.String()
}
