package sdkbridge

import (
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/sdkv1"
)

func TestTheOutputOfTheTurnsAddsUpToTheRun(t *testing.T) {
	m := meter{prompt: 1000}
	m.written = 400
	first := m.pause()
	m.written = 100
	last := m.end(&sdkv1.TokenUsage{Input: 700, CacheRead: 300, Output: 250, Reasoning: 20})
	if first != (agent.Usage{Input: 1000, Output: 100, Estimated: true}) {
		t.Errorf("the first turn reports %+v", first)
	}
	if last != (agent.Usage{Input: 700, CacheRead: 300, Output: 150, Reasoning: 20, Estimated: true}) {
		t.Errorf("the last turn reports %+v", last)
	}
}

func TestTheUsageOfOneTurnIsWhatUpstreamSays(t *testing.T) {
	m := meter{prompt: 1000, written: 400}
	if got := m.end(&sdkv1.TokenUsage{Input: 7, Output: 8}); got != (agent.Usage{Input: 7, Output: 8}) {
		t.Errorf("got %+v", got)
	}
	if got := m.end(nil); got != (agent.Usage{Input: 1000, Output: 100, Estimated: true}) {
		t.Errorf("without a word of upstream's: %+v", got)
	}
}
