package doctor

import (
	"context"
	"fmt"
	"time"

	"composer-api/internal/agent"
)

// turn asks the model for one word, through the same parts as a client's request.
func turn(ctx context.Context, s *Subject, r *report) {
	if s.Turn == nil {
		r.skip("left out, as was asked for")
		return
	}
	// It costs money, if little. That is why it comes last, and can be left out.
	t, err := s.Turn(ctx)
	if err != nil {
		// All that a turn needs was looked at before, so what is left is rare.
		r.broken("the findings above may say why; 'COMPOSER_LOG=debug composer-api serve' says more", "a turn fails: %s", sentence(agent.AsError(err).UserMessage()))
		return
	}
	round := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	// A price of 0 is a model that isn't in our table.
	cost := "no price is known"
	if t.CostUSD > 0 {
		cost = fmt.Sprintf("$%.4f", t.CostUSD)
	}
	r.add(Finding{Level: OK, Text: fmt.Sprintf("%s answers through %s", t.Model, t.Upstream), Details: []string{
		fmt.Sprintf("accepted after %v, first word after %v, done after %v", round(t.Accepted), round(t.FirstWord), round(t.Ended)),
		fmt.Sprintf("%d tokens, %s", t.Tokens, cost),
	}})
}
