package retry_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/retry"
	"composer-api/internal/cursor/cursorerr"
)

// middle makes pauses that are neither shorter nor longer than the policy's.
func middle() float64 { return 0.5 }

const (
	first  = 250 * time.Millisecond
	second = 2 * first
	third  = 2 * second
)

func passing(wait time.Duration) *cursorerr.Failure {
	return &cursorerr.Failure{Retryable: true, Err: &agent.Error{Code: agent.Overloaded, RetryAfter: wait}}
}

// TestNext plays the failures of one run, one after the other: the pause before each next attempt, and how it ends.
func TestNext(t *testing.T) {
	broken := passing(0)
	timeout := &cursorerr.Failure{Retryable: true, OwnTimeout: true, Err: &agent.Error{Code: agent.UpstreamTimeout}}
	slow := &cursorerr.Failure{OwnTimeout: true, Err: &agent.Error{Code: agent.UpstreamTimeout}}
	token := &cursorerr.Failure{BadToken: true, Err: &agent.Error{Code: agent.InvalidKey}}
	lasting := &cursorerr.Failure{Err: &agent.Error{Code: agent.ModelNotFound}}
	for _, tt := range []struct {
		name     string
		failures []*cursorerr.Failure
		resumes  bool
		pauses   []time.Duration
		final    bool
	}{
		{"a failure that lasts", []*cursorerr.Failure{lasting}, false, nil, false},
		{"before output", []*cursorerr.Failure{broken, broken, broken}, false, []time.Duration{first, second}, true},
		{"after output", []*cursorerr.Failure{broken, broken, broken}, true, []time.Duration{first, second}, true},
		{"a time-out of ours", []*cursorerr.Failure{timeout, timeout}, false, []time.Duration{first}, true},
		{"a time-out of ours after a retry", []*cursorerr.Failure{broken, timeout}, false, []time.Duration{first}, true},
		{"a start on a half-open connection, then a slow upstream", []*cursorerr.Failure{timeout, slow}, false, []time.Duration{first}, true},
		{"a slow upstream", []*cursorerr.Failure{slow}, false, nil, false},
		{"a token", []*cursorerr.Failure{token, token}, false, []time.Duration{0}, false},
		{"a token does not count", []*cursorerr.Failure{broken, token, broken, broken}, false, []time.Duration{first, 0, second}, true},
		{"a short wait", []*cursorerr.Failure{passing(2 * time.Second), passing(2 * time.Second), passing(2 * time.Second)}, false,
			[]time.Duration{2 * time.Second, 2 * time.Second}, true},
		{"a wait shorter than our pause", []*cursorerr.Failure{broken, passing(100 * time.Millisecond), lasting}, false, []time.Duration{first, second}, false},
		{"a long wait", []*cursorerr.Failure{passing(7 * time.Second)}, false, nil, false},
		{"a long wait after a retry", []*cursorerr.Failure{broken, passing(7 * time.Second)}, false, []time.Duration{first}, false},
		{"waits that no longer fit into the time-out", []*cursorerr.Failure{passing(4 * time.Second), passing(4 * time.Second)}, false,
			[]time.Duration{4 * time.Second}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := retry.New(middle, nil, "", false)
				a.Begin(7 * time.Second)
				for i, f := range tt.failures {
					pause, err := a.Next(f, tt.resumes)
					if i < len(tt.pauses) {
						if err != nil || pause != tt.pauses[i] {
							t.Fatalf("failure %d: pause %v, %v, want %v", i+1, pause, err, tt.pauses[i])
						}
						time.Sleep(pause)
						continue
					}
					if err == nil || err.Code != f.Err.Code || err.RetryAfter != f.Err.RetryAfter || err.Final != tt.final {
						t.Errorf("failure %d: %+v after %v, final %v wanted", i+1, err, pause, tt.final)
					}
					if f.Err.Final {
						t.Error("the failure itself was changed")
					}
				}
			})
		})
	}
}

// TestFailuresThatTakeLongAreNotAllRetried guards against an upstream that answers each attempt with an error after most of a minute: the
// client once waited for all three.
func TestFailuresThatTakeLongAreNotAllRetried(t *testing.T) {
	for _, tt := range []struct {
		takes    time.Duration // each attempt, until it fails
		attempts int
		final    bool
	}{{time.Second, 3, true}, {10 * time.Second, 3, true}, {15 * time.Second, 2, true}, {30 * time.Second, 1, false}} {
		synctest.Test(t, func(t *testing.T) {
			a := retry.New(middle, nil, "", false)
			a.Begin(25 * time.Second)
			for attempt := 1; ; attempt++ {
				time.Sleep(tt.takes)
				pause, err := a.Next(passing(0), false)
				if err == nil {
					time.Sleep(pause)
					continue
				}
				if attempt != tt.attempts || err.Final != tt.final {
					t.Errorf("failures after %v each: %d attempts, final %v; want %d, %v", tt.takes, attempt, err.Final, tt.attempts, tt.final)
				}
				return
			}
		})
	}
}

func TestACheckpointAllowsAnotherResume(t *testing.T) {
	a := retry.New(middle, nil, "", false)
	for i, want := range []time.Duration{first, second, third} {
		if pause, err := a.Next(passing(0), true); err != nil || pause != want {
			t.Fatalf("resume %d: %v, %v", i+1, pause, err)
		}
		a.Checkpoint()
	}
	if _, err := a.Next(passing(0), true); err == nil || !err.Final {
		t.Errorf("a fourth resume: %v", err)
	}
}

func TestTheNextTurnBeginsToCountAnew(t *testing.T) {
	a := retry.New(middle, nil, "", false)
	token := &cursorerr.Failure{BadToken: true, Err: &agent.Error{Code: agent.InvalidKey}}
	for turn := range 3 {
		for i, f := range []*cursorerr.Failure{token, passing(0), passing(0)} {
			if _, err := a.Next(f, true); err != nil {
				t.Fatalf("turn %d, failure %d: %v", turn+1, i+1, err)
			}
		}
		if _, err := a.Next(passing(0), true); err == nil || !err.Final {
			t.Errorf("turn %d has a third resume without a checkpoint: %v", turn+1, err)
		}
		a.NextTurn()
	}
}

func TestJitterStaysWithinItsBounds(t *testing.T) {
	for _, tt := range []struct {
		random float64
		want   time.Duration
	}{{0, 200 * time.Millisecond}, {1, 300 * time.Millisecond}} {
		a := retry.New(func() float64 { return tt.random }, nil, "", false)
		if pause, err := a.Next(passing(0), false); err != nil || pause != tt.want {
			t.Errorf("%v: %v, %v", tt.random, pause, err)
		}
	}
}

func TestWaitEndsWithEitherContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if !retry.Wait(time.Millisecond, brief, brief) || retry.Wait(time.Minute, brief, t.Context()) || retry.Wait(time.Minute, t.Context(), brief) {
			t.Error("it waited when it had to end, or the other way round")
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// What is said of attempts is said before the pause, which may be long, and once when it is over.
// counted counts the attempts that it is told of.
type counted struct{ retries, repairs int }

func (c *counted) Retrying()              { c.retries++ }
func (c *counted) Repairing(agent.Repair) { c.repairs++ }

func TestTheLogHearsOfAttempts(t *testing.T) {
	var out strings.Builder
	a := retry.New(middle, slog.New(slog.NewTextHandler(&out, nil)), "req_1", false)
	told := new(counted)
	a.Told = told
	said := func(want ...string) {
		t.Helper()
		var lines []string
		for line := range strings.Lines(out.String()) {
			_, line, _ = strings.Cut(strings.TrimSpace(line), " ") // without the time
			lines = append(lines, line)
		}
		if !slices.Equal(lines, want) {
			t.Errorf("the log says %q, want %q", lines, want)
		}
		out.Reset()
	}
	a.Accepted()
	said()
	a.Next(passing(0), false)
	said(`level=INFO msg=retrying id=req_1 pause=250ms resumes=false code=overloaded`)
	a.Next(passing(0), false)
	a.Accepted()
	a.Accepted()
	said(`level=INFO msg=retrying id=req_1 pause=500ms resumes=false code=overloaded`, `level=INFO msg=recovered id=req_1 attempts=2`)
	a.Next(passing(0), false)
	said() // they are used up
	if told.retries != 2 {
		t.Errorf("told of %d further attempts, not of two", told.retries)
	}
}

func TestWhatWasRetriedBeforeHasOneAttempt(t *testing.T) {
	a := retry.New(middle, nil, "", true)
	if _, err := a.Next(passing(0), false); err == nil || !err.Final {
		t.Errorf("before output: %v, want a final error", err)
	}
	a = retry.New(middle, nil, "", true)
	if _, err := a.Next(passing(0), true); err != nil {
		t.Errorf("after output: %v, want a resume", err)
	}
}
