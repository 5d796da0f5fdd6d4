package pages

import (
	"testing"
	"time"

	"composer-api/internal/store"
)

func TestATurnIsPartedAtTheStagesThatItReached(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		log  store.RequestLog
		want string
	}{
		"all of them": {store.RequestLog{Status: 200, Duration: 1500 * ms, Timeline: store.Timeline{Queue: 2 * ms, Connect: 40 * ms, FirstToken: 300 * ms}},
			"queue 2 ms, connect 40 ms, wait 260 ms, answer 1.2 s"},
		"nothing but tool results before it": {store.RequestLog{Status: 200, Duration: 10 * ms, Timeline: store.Timeline{FirstToken: 4 * ms, ToolWait: time.Hour}},
			"connect 4 ms, answer 6 ms"},
		"it failed while it waited":    {store.RequestLog{Status: 504, Duration: 900 * ms, Timeline: store.Timeline{Queue: ms, Connect: 50 * ms}}, "queue 1 ms, connect 50 ms, wait 850 ms"},
		"upstream never accepted it":   {store.RequestLog{Status: 502, Duration: 900 * ms}, "connect 900 ms"},
		"refused before the turn":      {store.RequestLog{Status: 400, Timeline: store.Timeline{Queue: 3 * ms}}, "queue 3 ms"},
		"clocks that don't agree":      {store.RequestLog{Status: 200, Duration: 10 * ms, Timeline: store.Timeline{Connect: 8 * ms, FirstToken: 12 * ms}}, "connect 8 ms, wait 2 ms"},
		"under way, or a dead process": {store.RequestLog{Timeline: store.Timeline{Queue: ms}}, "under way"},
	} {
		line := newTimeline(&c.log)
		if got := line.Sentence(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		// The bar has no gaps and nothing stands outside of it.
		end := 0.0
		for _, s := range line.Steps {
			if diff := s.X - end; diff > .02 || diff < -.02 {
				t.Errorf("%s: %+v begins at %g", name, s, end)
			}
			end = s.X + s.Width
		}
		if len(line.Steps) > 0 && (end < barWidth-.05 || end > barWidth+.05) {
			t.Errorf("%s: the bar ends at %g", name, end)
		}
	}
}
