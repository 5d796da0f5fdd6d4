package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

// A probed backend answers probes as answer does, and counts them.
type probed struct {
	agent.Backend
	asked  atomic.Int64
	answer func(ctx context.Context) error
}

func (p *probed) Probe(ctx context.Context) error {
	p.asked.Add(1)
	return p.answer(ctx)
}

func newProbed(answer func(context.Context) error) *probed {
	return &probed{Backend: backendtest.NewFake("fake", nil), answer: answer}
}

var errAway = agent.Errorf(agent.Upstream, "Cursor can't be reached.")

func TestReachableAsksNowAndThenHoweverManyWantToKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		b := newProbed(func(context.Context) error {
			time.Sleep(time.Second)
			if away.Load() {
				return errAway
			}
			return nil
		})
		g := newGateway(t, b)
		for range 10 {
			go g.Reachable(t.Context(), "")
		}
		if err := g.Reachable(t.Context(), ""); err != nil {
			t.Error(err)
		}
		away.Store(true)
		time.Sleep(reachableFor - time.Millisecond)
		if err := g.Reachable(t.Context(), "fake"); err != nil || b.asked.Load() != 1 {
			t.Errorf("%v after %d probes, want what the first found", err, b.asked.Load())
		}
		time.Sleep(time.Millisecond)
		if err := g.Reachable(t.Context(), ""); !errors.Is(err, errAway) || b.asked.Load() != 2 {
			t.Errorf("%v after %d probes, want a second", err, b.asked.Load())
		}
		away.Store(false)
		time.Sleep(unreachableFor)
		if err := g.Reachable(t.Context(), ""); err != nil || b.asked.Load() != 3 {
			t.Errorf("%v after %d probes: an upstream that is back is found soon", err, b.asked.Load())
		}
	})
}

func TestAProbeThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newProbed(func(ctx context.Context) error {
			<-ctx.Done()
			return errAway
		})
		g := newGateway(t, b)
		begin := time.Now()
		leaving, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if err := g.Reachable(leaving, ""); agent.CodeOf(err) != agent.Canceled || time.Since(begin) != time.Second {
			t.Errorf("who leaves gets %v after %v", err, time.Since(begin))
		}
		if err := g.Reachable(t.Context(), ""); !errors.Is(err, errAway) || time.Since(begin) != probeTimeout || b.asked.Load() != 1 {
			t.Errorf("who stays gets %v after %v and %d probes", err, time.Since(begin), b.asked.Load())
		}
	})
}

// Whoever operates the gateway reads when an upstream went away and when it came back, and no line for each look.
func TestTheLogHearsOfAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		away := false
		b := newProbed(func(context.Context) error {
			if away {
				return errAway
			}
			return nil
		})
		g := New(Config{Backends: []agent.Backend{b}, Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer g.Close(t.Context())
		for _, step := range []struct {
			away bool
			want string
		}{{false, ""}, {true, "can't be reached"}, {true, ""}, {false, "can be reached again"}, {false, ""}} {
			log.Reset()
			away = step.away
			time.Sleep(reachableFor)
			_ = g.Reachable(t.Context(), "")
			synctest.Wait()
			if got := log.String(); (got == "") != (step.want == "") || !strings.Contains(got, step.want) {
				t.Errorf("away: %v, the log says %q, want %q", step.away, got, step.want)
			}
		}
	})
}

func TestReachableWithoutAnUpstreamOrWithOneThatCanNotTell(t *testing.T) {
	g := newGateway(t, backendtest.NewFake("fake", nil))
	if err := g.Reachable(t.Context(), ""); err != nil {
		t.Errorf("one that can't tell: %v", err)
	}
	for name, got := range map[string]error{"Reachable": g.Reachable(t.Context(), "chat"), "Configured": g.Configured("chat")} {
		if e := agent.AsError(got); e.Code != agent.NotConfigured || !strings.Contains(e.Message, "No upstream") {
			t.Errorf("%s: %v", name, got)
		}
	}
}
