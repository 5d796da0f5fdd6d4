package control_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/gateway/control"
	"composer-api/internal/schema"
)

// FuzzAnswer checks what must hold for every answer: that it does not matter how it comes in pieces, and that a client
// which asks for JSON gets JSON that fits, or nothing but an error, a refusal or the end at its token limit.
func FuzzAnswer(f *testing.F) {
	f.Add("one two STOP three", "", "STOP", 0, uint8(0), uint8(3))
	f.Add("žluťoučký kůň", "", "ů", 3, uint8(0), uint8(2))
	f.Add("I say: {\"n\": \"a\"} or {\"n\": 1}.", "", "", 0, uint8(2), uint8(1))
	f.Add("no", "```json\n{\"n\":2}\n```", "", 0, uint8(2), uint8(5))
	f.Add("no", "{\"n\":2,\"m\":3}", "3", 4, uint8(1), uint8(5))
	f.Add("I can't.", "I’m sorry, no.", "", 0, uint8(1), uint8(2))
	f.Add("text", "call", "e", 1, uint8(3), uint8(1))
	f.Add("a <|tool_calls_begin|><|tool_call_begin|>look\n<|tool_sep|>path\na\n<|tool_call_end|><|tool_calls_end|> b", "", "", 0, uint8(4), uint8(3))
	f.Add("<|tool_call_begin|>smell()<|tool_call_end|>", "look(path: a)", "", 0, uint8(4), uint8(1))
	f.Add("```\nlook(path: a)\n```", "so", "", 0, uint8(4), uint8(2))
	strict, err := schema.Compile([]byte(numberSchema), true)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, second, stop string, maxTokens int, mode, step uint8) {
		if !utf8.ValidString(first + second + stop) {
			t.Skip()
		}
		// White space before a marker of a call goes with the marker when both come together, and is text when it has
		// come before: words pass at once.
		if strings.Contains(first+second, "<") && (maxTokens > 0 || stop != "") {
			t.Skip()
		}
		req := backendtest.Request("hello")
		req.MaxOutputTokens = max(0, maxTokens)
		if stop != "" {
			req.Stop = []string{stop}
		}
		switch mode % 5 {
		case 1:
			req.Format = agent.Format{Kind: agent.JSONObject}
		case 2:
			req.Format = agent.Format{Kind: agent.JSONSchema, Schema: []byte(numberSchema), Strict: true}
		case 3:
			req.ToolChoice.Mode = agent.ToolsRequired
		}
		whole, outcome := answerTo(t, req, first, second, 1<<20)
		pieces, other := answerTo(t, req, first, second, int(step%16)+1)
		if outcome != other {
			t.Errorf("whole: %s\nin pieces: %s", outcome, other)
		}
		for _, turn := range []backendtest.Turn{whole, pieces} {
			switch {
			case turn.Text == "":
			case mode%5 == 1 && !strings.HasPrefix(turn.Text, "{"), mode%5 == 2 && strict.Check([]byte(turn.Text)) != nil:
				t.Errorf("the client gets %q", turn.Text)
			case stop != "" && strings.Contains(turn.Text, stop):
				t.Errorf("%q contains the stop text %q", turn.Text, stop)
			}
		}
	})
}

const numberSchema = `{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`

// answerTo has a model say first and, when it is told to try again, second, in pieces of about size bytes.
func answerTo(t *testing.T, req *agent.Request, first, second string, size int) (turn backendtest.Turn, outcome string) {
	fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
		answer := first
		if req.Continue != nil {
			answer = second
		}
		var steps []backendtest.Step
		for answer != "" {
			end := min(size, len(answer))
			for end < len(answer) && !utf8.RuneStart(answer[end]) {
				end++
			}
			steps = append(steps, backendtest.Say(answer[:end]))
			answer = answer[end:]
		}
		return backendtest.Turns{append(steps, backendtest.End("conversation"))}, nil
	})
	layer := control.New(control.Config{RepairNarrated: true})
	asked, err := layer.Turn(req, control.Account{})
	if err != nil {
		t.Fatal(err)
	}
	run, err := layer.Start(t.Context(), asked, fake, req)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	turn, err = backendtest.Collect(context.Background(), run)
	if n := len(fake.Runs()); n > 4 {
		t.Errorf("%d attempts", n)
	}
	if err != nil && (turn.Text != "" && req.Format.Kind != agent.PlainText || agent.CodeOf(err) == agent.Internal) {
		t.Errorf("%v after %q", err, turn.Text)
	}
	calls := ""
	for _, c := range turn.Calls {
		calls += c.Name + string(c.Arguments)
	}
	said := strings.Join(strings.Fields(turn.Text), "")
	if !strings.Contains(first+second, "<") {
		said = turn.Text
	}
	return turn, fmt.Sprintf("%q %q %q %v %v %v", said, calls, turn.Refusal, turn.Done.Reason, turn.Done.Repairs, agent.CodeOf(err))
}

// Messages tells its client which of the stop texts was met.
func TestTheStopTextThatWasMetIsTold(t *testing.T) {
	for text, want := range map[string]string{"one END two": "END", "one FIN two END": "FIN", "one two": "", "one EN": ""} {
		req := backendtest.Request("hello")
		req.Stop = []string{"END", "FIN"}
		for _, size := range []int{1, 1 << 20} {
			turn, outcome := answerTo(t, req, text, "", size)
			if turn.Done.Reason != agent.Stop || turn.Done.StopText != want {
				t.Errorf("%q in pieces of %d: %s, met %q, want %q", text, size, outcome, turn.Done.StopText, want)
			}
		}
	}
}
