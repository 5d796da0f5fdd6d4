package localagent

import (
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/cursorsim"
)

func TestUsageOfTheTurnsAddsUpToTheRun(t *testing.T) {
	for name, want := range map[string]agent.Usage{
		"much":                    {Input: 1000, CacheRead: 2000, CacheWrite: 30, Output: 300, Reasoning: 50},
		"the cache serves nearly": {Input: 10, CacheRead: 2000, CacheWrite: 30, Output: 300, Reasoning: 50},
	} {
		t.Run(name, func(t *testing.T) {
			m := runMeter{prompt: 400}
			var sum agent.Usage
			add := func(u agent.Usage) {
				sum.Input += u.Input
				sum.CacheRead += u.CacheRead
				sum.CacheWrite += u.CacheWrite
				sum.Output += u.Output
				sum.Reasoning += u.Reasoning
				if u.Input < 0 || u.CacheRead < 0 || u.CacheWrite < 0 || u.Output < 0 || u.Reasoning > u.Output || !u.Estimated {
					t.Errorf("a turn reports %+v", u)
				}
			}
			m.tokens, m.context = 100, 300
			add(m.stopForTools())
			m.tokens, m.context = 200, 450
			add(m.stopForTools())
			m.turnEnded(&pb.TurnEnded{
				InputTokens: proto.Int64(want.Input), CacheReadTokens: proto.Int64(want.CacheRead),
				CacheWriteTokens: proto.Int64(want.CacheWrite), OutputTokens: proto.Int64(want.Output), ReasoningTokens: proto.Int64(want.Reasoning),
			})
			add(m.end())
			if sum.Prompt() != want.Prompt() || sum.Output != want.Output || sum.Reasoning != want.Reasoning {
				t.Errorf("upstream says %+v, the turns add up to %+v", want, sum)
			}
		})
	}
}

func TestUsageOfOneTurnIsWhatUpstreamSays(t *testing.T) {
	var m runMeter
	m.tokens, m.context = 100, 300
	m.turnEnded(&pb.TurnEnded{InputTokens: proto.Int64(7), OutputTokens: proto.Int64(8), CacheReadTokens: proto.Int64(9)})
	if got, want := m.end(), (agent.Usage{Input: 7, Output: 8, CacheRead: 9}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Clients read off the last answer how full the context is, so it never says 0.
func TestEstimatesThatWereTooHighLeaveThePrompt(t *testing.T) {
	m := runMeter{prompt: 400, tokens: 100}
	m.stopForTools()
	m.turnEnded(&pb.TurnEnded{InputTokens: proto.Int64(7), OutputTokens: proto.Int64(8), ReasoningTokens: proto.Int64(5)})
	if got, want := m.end(), (agent.Usage{Input: 7, Estimated: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestUsageOfARunWithToolCallsAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "turn\ntokens 100\ntext a\ncall look {}\ntokens 100\ntext b\ncall look {}\ntokens 100\ntext c\n"+
			"usage input=1000 output=300", cursorsim.Config{}, nil)
		run := r.start(t, backendtest.Request("hello"))
		var input, output int64
		for {
			turn := collect(t, run)
			input += turn.Usage.Input
			output += turn.Usage.Output
			if turn.Done.Reason == agent.Stop {
				break
			}
			resume(t, run, turn)
		}
		if input != 1000 || output != 300 {
			t.Errorf("the answers add up to %d tokens read and %d written, upstream says 1000 and 300", input, output)
		}
	})
}
