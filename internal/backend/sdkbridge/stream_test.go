package sdkbridge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/sdkv1"
	"composer-api/internal/golden"
	"composer-api/internal/memnet"
)

// A tape is a bridge that says what was recorded, line by line. A line is a message of the stream of a run in JSON, or
//
//	call JSON   the body of a callback; the next line that is none waits for the answers
//	end JSON    the last message
//
// It stands for a home, too, and answers every other call of ours with the agent's id.
type tape struct {
	lines    []string
	listener *memnet.Listener
	server   *http.Server
	callback *sdkv1.CallbackServer
	tools    *http.Client
	client   *sdkv1.Client
	exited   chan struct{}
	handlers sync.WaitGroup // requests that are being answered

	mu    sync.Mutex
	agent string // the id that was asked for
	calls []string
}

func (p *tape) Workspace() string            { return "/workspace" }
func (p *tape) Client() *sdkv1.Client        { return p.client }
func (p *tape) Exited() <-chan struct{}      { return p.exited }
func (p *tape) Memory() int64                { return 0 }
func (p *tape) NewHome() (sdkv1.Home, error) { return tapeHome{p}, nil }
func (p *tape) methods() []string            { p.mu.Lock(); defer p.mu.Unlock(); return p.calls }
func (p *tape) note(method string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, method)
}
func (p *tape) setAgent(id string) { p.mu.Lock(); defer p.mu.Unlock(); p.agent = id }
func (p *tape) asAgent(s string) (renamed string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.ReplaceAll(s, "agent-1", p.agent)
}

// A tapeHome is the home of a tape's one bridge.
type tapeHome struct{ *tape }

func (h tapeHome) Close() error { return nil }

func (h tapeHome) Start(_ context.Context, handle sdkv1.CallHandler) (sdkv1.Bridge, error) {
	p, tools := h.tape, memnet.Listen()
	p.listener, p.exited = memnet.Listen(), make(chan struct{})
	p.callback = sdkv1.NewCallbackServer(tools, handle)
	p.tools = &http.Client{Transport: tools.Transport(nil)}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go p.server.Serve(p.listener)
	p.client = sdkv1.NewClient("http://tape", agent.NewSecret("t"), &http.Client{Transport: p.listener.Transport(nil)})
	return p, nil
}

func (p *tape) Close() error {
	close(p.exited)
	p.server.Close()
	p.client.Close()
	p.tools.CloseIdleConnections()
	err := p.callback.Close()
	p.handlers.Wait()
	return err
}

func (p *tape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.handlers.Add(1)
	defer p.handlers.Done()
	method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	p.note(method)
	if method != "Send" {
		var in struct {
			AgentID string
			Options struct{ AgentID string }
		}
		json.NewDecoder(r.Body).Decode(&in)
		if method == "CreateAgent" {
			p.setAgent(in.Options.AgentID)
		}
		fmt.Fprintf(w, `{"agentId":%q}`, in.Options.AgentID)
		return
	}
	io.Copy(io.Discard, r.Body)
	var answered sync.WaitGroup
	for _, line := range p.lines {
		line = p.asAgent(line)
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "call":
			answered.Go(func() { p.call(r.Context(), rest) })
			select { // they come one after the other
			case <-time.After(time.Millisecond):
			case <-r.Context().Done():
			}
			continue
		case "end":
			answered.Wait()
			w.Write(connectwire.Append(nil, connectwire.EndOfStream, []byte(rest)))
			return
		}
		answered.Wait()
		w.Write(connectwire.Append(nil, 0, []byte(line)))
		w.(http.Flusher).Flush()
	}
	answered.Wait()
}

func (p *tape) call(ctx context.Context, body string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.callback.URL()+"/sdk.v1.SdkCustomToolCallbackService/CallCustomTool", strings.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+p.callback.Token().Reveal())
	if resp, err := p.tools.Do(req); err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// listen plays the tape and writes down what a run yields, one event a line. All calls are answered with "seen".
func (p *tape) listen(ctx context.Context) string {
	var out strings.Builder
	b := sdkbridge.New(sdkbridge.Config{NewHome: p.NewHome, MaxPerPool: 1})
	defer b.Close()
	run, err := b.Start(ctx, backendtest.Request("hi"))
	if err != nil {
		fmt.Fprintf(&out, "start: %s\n", failure(err))
		return out.String()
	}
	defer run.Close()
	began := time.Now()
	var calls []agent.ToolResult
	for {
		e, err := run.Next(ctx)
		if err != nil {
			fmt.Fprintf(&out, "error: %s\n", failure(err))
			return out.String()
		}
		switch e.Kind {
		case agent.Text:
			fmt.Fprintf(&out, "text %q\n", e.Text)
		case agent.Reasoning:
			fmt.Fprintf(&out, "thinking %q\n", e.Text)
		case agent.Call:
			fmt.Fprintf(&out, "call %s %s\n", e.Call.Name, e.Call.Arguments)
			calls = append(calls, agent.ToolResult{CallID: e.Call.ID, Parts: []agent.Part{{Text: "seen"}}})
		case agent.UsageKind:
			u := e.Usage
			fmt.Fprintf(&out, "usage %d in, %d cached, %d to cache, %d out, %d reasoning, estimated: %v\n", u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, u.Estimated)
		case agent.DoneKind:
			fmt.Fprintf(&out, "done after %v\n", time.Since(began))
			if e.Done.Reason != agent.ToolCalls {
				return out.String()
			}
			if err := run.Resume(ctx, calls); err != nil {
				fmt.Fprintf(&out, "resume: %s\n", failure(err))
				return out.String()
			}
			calls = nil
		}
	}
}

// failure is an error as a client meets it.
func failure(err error) string {
	e := agent.AsError(err)
	text := fmt.Sprintf("%s: %s", e.Code, e.UserMessage())
	if e.Final {
		text += " (final)"
	}
	return text
}

// TestStreams plays the streams that the real bridge (cursor-sdk 1.1.0) was recorded with.
func TestStreams(t *testing.T) {
	golden.Cases(t, "testdata/streams/*.txtar", func(t *testing.T, c *golden.Case) {
		var events string
		var methods []string
		synctest.Test(t, func(t *testing.T) {
			p := &tape{lines: strings.Split(strings.TrimSpace(c.Section("stream")), "\n")}
			events = p.listen(t.Context())
			methods = p.methods()
		})
		c.Want(t, "events", events)
		c.Want(t, "asked", strings.Join(methods, "\n")+"\n")
	})
}

// FuzzStream checks that whatever the bridge streams, a run ends, and yields what agent.Run promises.
func FuzzStream(f *testing.F) {
	paths, err := filepath.Glob("testdata/streams/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatal("no streams", err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.TrimSpace(archive.Files[0].Data))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		const longest = 200 // lines, so that an execution stays short
		lines := strings.Split(string(stream), "\n")
		if len(lines) > longest {
			t.Skip("too long")
		}
		synctest.Test(t, func(t *testing.T) {
			p := &tape{lines: lines}
			b := sdkbridge.New(sdkbridge.Config{NewHome: p.NewHome, MaxPerPool: 1})
			defer b.Close()
			run, err := b.Start(t.Context(), backendtest.Request("hi"))
			if err != nil {
				coded(t, err)
				return
			}
			defer run.Close()
			for turns := 0; turns < longest; turns++ {
				turn, err := checked(t, run)
				if err != nil {
					coded(t, err)
					return
				}
				if turn.Done.Reason == agent.Stop {
					return
				}
				resume(t, run, turn, "seen")
			}
			t.Error("the run has more turns than lines")
		})
	})
}

func coded(t *testing.T, err error) {
	t.Helper()
	var e *agent.Error
	if !errors.As(err, &e) || e.UserMessage() == "" {
		t.Errorf("not an error for a client: %v", err)
	}
}

// checked collects a turn whose events must keep to agent.Event's contract.
func checked(t *testing.T, run agent.Run) (turn backendtest.Turn, err error) {
	t.Helper()
	for {
		e, err := run.Next(t.Context())
		if err != nil {
			return turn, err
		}
		switch e.Kind {
		case agent.Text, agent.Reasoning:
			if len(e.Text) == 0 || !utf8.Valid(e.Text) {
				t.Errorf("a piece of text is %q", e.Text)
			}
		case agent.Call:
			if !json.Valid(e.Call.Arguments) || e.Call.ID == "" {
				t.Errorf("a call is %+v", e.Call)
			}
			turn.Calls = append(turn.Calls, *e.Call)
		case agent.UsageKind:
			if u := e.Usage; u.Input < 0 || u.Output < 0 || u.CacheRead < 0 || u.CacheWrite < 0 || u.Reasoning < 0 || u.Reasoning > u.Output {
				t.Errorf("usage %+v", u)
			}
		case agent.DoneKind:
			turn.Done = *e.Done
			return turn, nil
		}
	}
}
