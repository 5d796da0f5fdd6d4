package chat_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/chat"
	"composer-api/internal/sim/cursorsim"

	"github.com/google/go-cmp/cmp"
)

// turn starts a run and reads its first turn.
func (u *upstream) turn(t *testing.T, req *agent.Request) (backendtest.Turn, agent.Run, error) {
	t.Helper()
	run, err := u.Start(t.Context(), req)
	if err != nil {
		return backendtest.Turn{}, nil, err
	}
	t.Cleanup(func() { run.Close() })
	turn, err := backendtest.Collect(t.Context(), run)
	return turn, run, err
}

// good checks that the simulator saw nothing wrong, and returns its only run.
func (u *upstream) good(t *testing.T) cursorsim.Run {
	t.Helper()
	for _, v := range u.Violations() {
		t.Errorf("violation: %+v", v)
	}
	runs := u.Runs()
	if len(runs) != 1 {
		t.Fatalf("%d runs", len(runs))
	}
	return runs[0]
}

func question(text string) *agent.Request {
	req := backendtest.Request(text)
	req.Tools = nil
	return req
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		name   string
		force  bool
		change func(*agent.Request)
		want   string
	}{
		{"tools", false, func(*agent.Request) {}, "Agent"},
		{"no tools", false, func(r *agent.Request) { r.Tools = nil }, "Ask"},
		{"tools that may not be called", false, func(r *agent.Request) { r.ToolChoice.Mode = agent.ToolsNone }, "Ask"},
		{"no tools on a route that forces it", true, func(r *agent.Request) { r.Tools = nil }, "Agent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := start(t, 0, "", func(config *chat.Config) { config.ForceAgent = c.force })
			req := backendtest.Request("hello")
			c.change(req)
			if _, _, err := u.turn(t, req); err != nil {
				t.Fatal(err)
			}
			if got := u.good(t).Mode; got != c.want {
				t.Errorf("the mode is %s, want %s", got, c.want)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	u := start(t, 0, "", func(config *chat.Config) {
		config.Headers, _ = chat.ParseHeaders("X-Operator: yes\nX-Cursor-Client-Type: other\nAuthorization: Bearer stolen\nContent-Type: text/plain")
	})
	if _, _, err := u.turn(t, question("hello")); err != nil {
		t.Fatal(err)
	}
	run := u.good(t)
	for name, want := range map[string]string{
		"x-operator": "yes", "x-cursor-client-type": "other", "x-cursor-client-version": "2.6.22",
		"content-type": "application/connect+proto", "x-session-id": run.ConversationID,
	} {
		if got := run.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestImagesReachUpstream(t *testing.T) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 2, 1))); err != nil {
		t.Fatal(err)
	}
	part := agent.Part{Image: &agent.Image{MIME: "image/png", Data: picture.Bytes()}}
	u := start(t, 0, "turn\ncall look {\"path\":\"a\"}\ntext {images} images\n", nil)
	req := backendtest.Request("Which?")
	req.Messages[0].Parts = append(req.Messages[0].Parts, part, part)
	turn, run, err := u.turn(t, req)
	if err != nil {
		t.Fatal(err)
	}
	// The picture that a tool took comes as well.
	if err := run.Resume(t.Context(), []agent.ToolResult{{CallID: turn.Calls[0].ID, Parts: []agent.Part{{Text: "see"}, part}}}); err != nil {
		t.Fatal(err)
	}
	runs := u.Runs()
	if runs[0].Images != 2 || runs[1].Images != 3 || len(u.Violations()) > 0 {
		t.Errorf("%d and %d images, %v", runs[0].Images, runs[1].Images, u.Violations())
	}
}

func TestABadImageIsTheClientsMistake(t *testing.T) {
	u := start(t, 0, "", nil)
	req := question("Which?")
	req.Messages[0].Parts = append(req.Messages[0].Parts, agent.Part{Image: &agent.Image{Data: []byte("no picture")}})
	if _, _, err := u.turn(t, req); agent.CodeOf(err) != agent.InvalidValue {
		t.Errorf("got %v", err)
	}
	if n := len(u.Runs()); n != 0 {
		t.Errorf("%d requests went out", n)
	}
}

// One conversation id for all turns of a run, and for all runs of a session.
func TestConversationIDs(t *testing.T) {
	u := start(t, 0, "turn always when tools\ncall look {\"path\":\"a\"}\ntext ok\n", nil)
	for range 2 {
		req := backendtest.Request("hello")
		req.Session = "s"
		turn, run, err := u.turn(t, req)
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Resume(t.Context(), []agent.ToolResult{{CallID: turn.Calls[0].ID}}); err != nil {
			t.Fatal(err)
		}
		if _, err := backendtest.Collect(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := u.turn(t, question("hello")); err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for _, r := range u.Runs() {
		ids[r.ConversationID]++
	}
	if len(ids) != 2 || ids[u.Runs()[0].ConversationID] != 4 {
		t.Errorf("the conversations are %v", ids)
	}
}

// The model hears that it has called a tool that the client has not offered, and the client hears nothing of it.
func TestTheModelIsToldOfAnUnknownTool(t *testing.T) {
	u := start(t, 0, "turn\ntext \"Now. \"\nbuiltin shell {\"command\":\"ls\"}\ntext \"Then {result 1}\"\n", nil)
	turn, _, err := u.turn(t, backendtest.Request("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("Now.Then error: There is no tool of that name. The tools are: look, listen.", turn.Text); diff != "" || len(turn.Calls) > 0 || turn.Done.Reason != agent.Stop {
		t.Errorf("calls %v (-want +got)\n%s", turn.Calls, diff)
	}
	prompt := u.Runs()[1].Prompt
	if !strings.Contains(prompt, "There is no tool of that name. The tools are: look, listen.") || !strings.Contains(prompt, "shell\n<|tool_sep|>command\nls\n") {
		t.Errorf("the model is told\n%s", prompt)
	}
}

// A call of such a tool beside another one is answered with the other's result.
func TestAnUnknownToolBesideAnother(t *testing.T) {
	u := start(t, 0, "turn\ncalls\nbuiltin shell {\"command\":\"ls\"}\ncall LOOK {\"path\":\"a\"}\nend\ntext \"{result 1}/{result 2}\"\n", nil)
	turn, run, err := u.turn(t, backendtest.Request("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if len(turn.Calls) != 1 || turn.Calls[0].Name != "look" {
		t.Fatalf("calls %+v", turn.Calls)
	}
	if err := run.Resume(t.Context(), []agent.ToolResult{{CallID: turn.Calls[0].ID, Parts: []agent.Part{{Text: "seen"}}}}); err != nil {
		t.Fatal(err)
	}
	turn, err = backendtest.Collect(t.Context(), run)
	if want := "error: There is no tool of that name. The tools are: look, listen./seen"; err != nil || turn.Text != want {
		t.Errorf("%q, %v", turn.Text, err)
	}
}

// Where nobody has spoken of tools, the markup of a call is what the user has asked about.
func TestMarkupWithoutToolsIsText(t *testing.T) {
	const markup = "<|tool_calls_begin|><|tool_call_begin|>\nshell\n<|tool_call_end|><|tool_calls_end|>"
	u := start(t, 0, "turn\ntext "+strconv.Quote(markup)+"\n", nil)
	if turn, _, err := u.turn(t, question("How are calls written?")); err != nil || turn.Text != markup {
		t.Errorf("%q, %v", turn.Text, err)
	}
}

func TestUsageIsEstimated(t *testing.T) {
	u := start(t, 0, "turn\nthink \"12345678\"\ntext 1234\n", nil)
	turn, _, err := u.turn(t, question("1234567890123456"))
	if err != nil {
		t.Fatal(err)
	}
	want := &agent.Usage{Input: 4, Output: 3, Reasoning: 2, Estimated: true}
	if diff := cmp.Diff(want, turn.Usage); diff != "" {
		t.Error(diff)
	}
}

// What upstream does to a run before it has said anything: how often the run is tried and how it ends.
func TestFailuresBeforeOutput(t *testing.T) {
	for _, c := range []struct {
		name, script string
		runs         int
		want         agent.Code // 0 is success
	}{
		{"cut once", "turn when attempt 1\ncut\nturn\ntext ok\n", 2, 0},
		{"cut for ever", "turn always\ncut\n", 3, agent.Upstream},
		{"an outage", "turn always\nstatus 503\n", 3, agent.Overloaded},
		{"an outage that says how short", "turn when attempt 1\nstatus 503 retry-after=2s\nturn\ntext ok\n", 2, 0},
		{"an outage that says how long", "turn always\nstatus 503 retry-after=9s\n", 1, agent.Overloaded},
		{"a limit", "turn always\nstatus 429 retry-after=9s\n", 1, agent.RateLimited},
		{"a bad model", "turn always\nerror not_found No such model.\n", 1, agent.ModelNotFound},
		{"an error inside", "turn when attempt 1\nerror internal Oops\nturn\ntext ok\n", 2, 0},
		{"garbage", "turn always\ngarbage payload\n", 1, agent.Upstream},
		{"no end", "turn always\ngarbage end\n", 1, agent.Upstream},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := start(t, 0, c.script, nil)
				turn, _, err := u.turn(t, question("hello"))
				if agent.CodeOf(err) != c.want || c.want == 0 && turn.Text != "ok" {
					t.Errorf("got %v and %q", err, turn.Text)
				}
				if n := len(u.Runs()); n != c.runs {
					t.Errorf("%d requests, want %d", n, c.runs)
				}
			})
		})
	}
}

// Text is never repeated, so a stream that breaks after it is over.
func TestFailuresAfterOutput(t *testing.T) {
	for name, source := range map[string]string{
		"cut":      "turn always\ntext \"It begins.\"\ncut\n",
		"an error": "turn always\ntext \"It begins.\"\nerror unavailable Busy.\n",
		"garbage":  "turn always\ntext \"It begins.\"\ngarbage length\n",
		"stall":    "turn always\ntext \"It begins.\"\nstall\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := start(t, 0, source, nil)
				turn, _, err := u.turn(t, question("hello"))
				if err == nil || turn.Text != "It begins." || len(u.Runs()) != 1 {
					t.Errorf("%v after %q and %d requests", err, turn.Text, len(u.Runs()))
				}
			})
		})
	}
}

// A stall before any output is retried once, because the client waits as long as we do.
func TestAStallIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := start(t, 0, "turn always\nstall\n", nil)
		begin := time.Now()
		_, _, err := u.turn(t, question("hello"))
		if agent.CodeOf(err) != agent.UpstreamTimeout || time.Since(begin).Truncate(time.Second) != 60*time.Second || len(u.Runs()) != 2 {
			t.Errorf("%v after %v and %d runs", err, time.Since(begin), len(u.Runs()))
		}
		if !agent.AsError(err).Final {
			t.Error("the client is not told that our retries are used up")
		}
	})
}

// A model that thinks for long is not a stall, as long as the connection shows that it lives.
func TestHeartbeatsAreNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := start(t, 0, "turn\nhold 4m\ntext ok\n", nil)
		if turn, _, err := u.turn(t, question("hello")); err != nil || turn.Text != "ok" {
			t.Errorf("%q, %v", turn.Text, err)
		}
	})
}

func TestHeartbeatsAreNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := start(t, 0, "turn\nhold 4m\ntext one\nhold\n", nil)
		begin := time.Now()
		turn, _, err := u.turn(t, question("hello"))
		if agent.CodeOf(err) != agent.UpstreamTimeout || turn.Text != "one" || time.Since(begin) != 9*time.Minute {
			t.Errorf("%v after %q and %v", err, turn.Text, time.Since(begin))
		}
	})
}

func TestATokenThatEndedIsExchangedOnce(t *testing.T) {
	u := start(t, 0, "turn always\ntext ok\n", nil)
	if _, _, err := u.turn(t, question("hello")); err != nil {
		t.Fatal(err)
	}
	u.RevokeTokens()
	if turn, _, err := u.turn(t, question("hello")); err != nil || turn.Text != "ok" {
		t.Fatalf("%q, %v", turn.Text, err)
	}
	if runs, exchanges := len(u.Runs()), u.Exchanges(); runs != 3 || exchanges != 2 {
		t.Errorf("%d requests and %d exchanges", runs, exchanges)
	}
}

func TestABadKeyIsNotTriedAgain(t *testing.T) {
	u := start(t, 0, "", nil)
	req := question("hello")
	req.Caller.CursorKey = agent.NewSecret("crsr_bad_secret")
	_, _, err := u.turn(t, req)
	if agent.CodeOf(err) != agent.InvalidKey || strings.Contains(err.Error(), "crsr_bad") || len(u.Runs()) != 0 {
		t.Errorf("%v after %d requests", err, len(u.Runs()))
	}
}

func TestCloseReachesUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := start(t, 0, "turn\ntext \"It begins.\"\nhold\n", nil)
		run, err := u.Start(t.Context(), question("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		begin := time.Now()
		run.Close()
		synctest.Wait()
		r := u.good(t)
		if r.End != cursorsim.EndedLeft || r.Ended.Sub(begin) != 0 {
			t.Errorf("upstream's run ended %q after %v", r.End, r.Ended.Sub(begin))
		}
	})
}

func TestNotConfigured(t *testing.T) {
	_, err := chat.New(chat.Config{}).Start(t.Context(), question("hello"))
	if agent.CodeOf(err) != agent.NotConfigured || !strings.Contains(err.Error(), "CURSOR_CHAT_ENDPOINT") {
		t.Errorf("got %v", err)
	}
}

// An older server answers with server-sent events; calls stand in its text, too.
func TestServerSentEvents(t *testing.T) {
	sim := cursorsim.New(cursorsim.Config{})
	mux := http.NewServeMux()
	mux.Handle("POST /auth/", sim)
	mux.HandleFunc("POST /chat", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		io.WriteString(w, "event: interaction_update\ndata: {\"type\":\"summary\",\"summary\":\"Hm.\"}\n\n"+
			"event: interaction_update\ndata: {\"type\":\"text-delta\",\"text\":\"Look:\\n<|tool_call_begin|>look\\n<|tool_\"}\n\n"+
			"event: interaction_update\ndata: {\"type\":\"text-delta\",\"text\":\"sep|>path\\na\\n<|tool_call_end|>\"}\n\n"+
			"event: done\ndata: {}\n\n")
	})
	u := serve(t, sim, mux, nil)
	turn, _, err := u.turn(t, backendtest.Request("hello"))
	if err != nil || turn.Text != "Look:" || turn.Reasoning != "Hm." || len(turn.Calls) != 1 || string(turn.Calls[0].Arguments) != `{"path":"a"}` {
		t.Errorf("%+v, %v", turn, err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := cursorsim.New(cursorsim.Config{})
		mux := http.NewServeMux()
		mux.Handle("POST /auth/", sim)
		left := make(chan struct{})
		mux.HandleFunc("POST /chat", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			close(left)
		})
		u := serve(t, sim, mux, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := u.Start(ctx, question("hello")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		<-left
	})
}
