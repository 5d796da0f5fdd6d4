package demo

import (
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/sim/script"
)

func TestExam(t *testing.T) {
	backendtest.Exam(t, backendtest.Features{}, func(_ *testing.T, s *script.Script) agent.Backend { return New(s) })
}

// TestAPromptMayHoldItsScript also shows that only what the user said last counts.
func TestAPromptMayHoldItsScript(t *testing.T) {
	req := backendtest.Request("sim: text old news")
	req.Messages = append(req.Messages,
		agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: "old news"}}},
		agent.Message{Role: agent.User, Parts: []agent.Part{{Text: "say it\nsim: text {prompt} with {tools}"}}})
	run, err := New(nil).Start(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	turn, err := backendtest.Collect(t.Context(), run)
	if err != nil || turn.Text != "say it with look, listen" {
		t.Errorf("%q, %v", turn.Text, err)
	}
}

// TestOnlyTheClientsToolsAreCalled also shows that the script hears of it and goes on.
func TestOnlyTheClientsToolsAreCalled(t *testing.T) {
	for call, want := range map[string]string{
		"call smell {}":  "error: tool not found: smell",
		"builtin ls {}":  "error: the demo has no tools of its own",
		"call look {}":   "",
		"call listen {}": "",
	} {
		run, err := New(nil).Start(t.Context(), backendtest.Request("sim: "+call+"\nsim: text {result 1}"))
		if err != nil {
			t.Fatal(err)
		}
		turn, err := backendtest.Collect(t.Context(), run)
		if err != nil || turn.Text != want || (len(turn.Calls) == 0) != (want != "") {
			t.Errorf("%s: %q, %d calls, %v; want %q", call, turn.Text, len(turn.Calls), err, want)
		}
	}
}

func TestARefusalIsStartsError(t *testing.T) {
	for source, want := range map[string]agent.Code{
		"status 429 retry-after=3s Slow down.": agent.RateLimited,
		"status 418 Teapot.":                   agent.Upstream,
		"error unavailable Busy.":              agent.Overloaded,
		"play bad-key":                         agent.InvalidKey,
		"play rate-limited":                    agent.RateLimited,
		"play usage-limit":                     agent.QuotaExceeded,
		"play payment":                         agent.PaymentRequired,
		"play bad-model":                       agent.ModelNotFound,
		"play too-long":                        agent.ContextTooLong,
		"play internal":                        agent.Upstream,
	} {
		_, err := New(nil).Start(t.Context(), backendtest.Request("sim: "+source))
		if agent.CodeOf(err) != want {
			t.Errorf("%s: %v, want %v", source, err, want)
		}
	}
}

func TestDelaysTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		run, err := New(nil).Start(t.Context(), backendtest.Request("sim: many 3 1s tick\nsim: hold 1m\nsim: text end"))
		if err != nil {
			t.Fatal(err)
		}
		turn, err := backendtest.Collect(t.Context(), run)
		if err != nil || turn.Text != "tickticktickend" || time.Since(began) != time.Minute+2*time.Second {
			t.Errorf("%q after %v: %v", turn.Text, time.Since(began), err)
		}
	})
}
