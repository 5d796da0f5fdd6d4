package sdkbridge_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/sim/bridgesim"
)

// fails reads a run that must fail, and returns what it said before.
func fails(t *testing.T, run agent.Run) (backendtest.Turn, *agent.Error) {
	t.Helper()
	turn, err := backendtest.Collect(t.Context(), run)
	if err == nil {
		t.Fatalf("the run ended well: %+v", turn)
	}
	return turn, agent.AsError(err)
}

// The bridge asks upstream again for 15 seconds before it says that something is wrong. The run is there at once, so
// that the client's headers don't wait; nobody asks a second time; and clients are told not to.
func TestTheBridgesOwnRetriesHoldNothingBackAndAreNotMultiplied(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\nerror unavailable try later", sdkbridge.Config{})
		began := time.Now()
		run := r.start(t, backendtest.Request("hi"))
		if took := time.Since(began); took > 0 {
			t.Errorf("the start took %v", took)
		}
		if at := run.(agent.Retrying).AcceptedAt(); !at.IsZero() {
			t.Errorf("accepted at %v, before the model has said anything", at)
		}
		_, err := fails(t, run)
		if took := time.Since(began); err.Code != agent.Overloaded || !err.Final || took != 16*time.Second {
			t.Errorf("%v (final: %v) after %v", err, err.Final, took)
		}
		if runs := r.host.Runs(); len(runs) != 1 || runs[0].Attempts != 4 || runs[0].End != bridgesim.EndedError {
			t.Errorf("%+v", runs)
		}
	})
}

// What a failed attempt has said is forgotten while nobody has heard it.
func TestAnAttemptOfTheBridgesThatSucceedsIsTheAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn\nerror unavailable try later\nturn\nthink Hm.\nerror unavailable try later\nturn\nthink Hm!\ntext hello\nusage input=7 output=3", sdkbridge.Config{})
		turn := collect(t, r.start(t, backendtest.Request("hi")))
		if turn.Text != "hello" || turn.Reasoning != "Hm.Hm!" || turn.Usage.Output != 3 {
			t.Errorf("%+v", turn)
		}
	})
}

// The bridge passes on what upstream says after its connection broke as if it were new. Text is never repeated: the run
// ends, here and upstream.
func TestTextIsNeverRepeated(t *testing.T) {
	for _, fault := range []string{"cut", "drop", "error unavailable later", "error aborted x"} {
		t.Run(fault, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newSim(t, "turn always\ntext It begins.\n"+fault, sdkbridge.Config{})
				turn, err := fails(t, r.start(t, backendtest.Request("hi")))
				if turn.Text != "It begins." || err.Code != agent.Upstream || !strings.Contains(err.UserMessage(), "in the middle") {
					t.Errorf("%q, %v", turn.Text, err)
				}
				synctest.Wait()
				if got := r.host.Runs()[0]; got.End != bridgesim.EndedCanceled || got.Attempts != 2 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// A run that waits for its client is given up as soon as upstream begins anew: it would make its calls again, at the user's
// cost. The client's next request starts from the transcript, which has the results.
func TestAParkedRunThatUpstreamBeginsAnewIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ntext Let me look.\ncall look {}\ntext {results}", sdkbridge.Config{})
		run := r.start(t, backendtest.Request("hi"))
		turn := collect(t, run)
		r.host.Bridges()[0].Disconnect()
		time.Sleep(time.Minute)
		if got := r.host.Runs()[0]; got.End != bridgesim.EndedCanceled || len(got.Results) > 0 {
			t.Errorf("%+v", got)
		}
		resume(t, run, turn, "seen")
		if rest, err := fails(t, run); rest.Text != "" || err.Code != agent.Upstream {
			t.Errorf("%+v, %v", rest, err)
		}
	})
}

// While nothing is said, the bridge would go on for minutes when connections break.
func TestTheBridgesPatienceIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ncut", sdkbridge.Config{})
		began := time.Now()
		_, err := fails(t, r.start(t, backendtest.Request("hi")))
		if took := time.Since(began); err.Code != agent.Upstream || !err.Final || took > 70*time.Second {
			t.Errorf("%v (final: %v) after %v", err, err.Final, took)
		}
		synctest.Wait()
		if got := r.host.Runs()[0]; got.End != bridgesim.EndedCanceled {
			t.Errorf("%+v", got)
		}
	})
}

// What only the bridge itself has tried once is tried again, as everywhere.
func TestACallThatCannotReachCursorIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, greet, sdkbridge.Config{})
		r.host.Refuse("CreateAgent", 2, "internal", "Network request failed")
		if turn := r.say(t, backendtest.Request("hi")); turn.Text != "hello" {
			t.Errorf("%+v", turn)
		}
		r.host.Refuse("CreateAgent", 9, "internal", "Network request failed")
		_, err := r.Start(t.Context(), backendtest.Request("hi"))
		if e := agent.AsError(err); e.Code != agent.Overloaded || !e.Final {
			t.Errorf("%v", err)
		}
		r.host.Refuse("CreateAgent", 9, "unauthenticated", "bad key")
		began := time.Now()
		if _, err := r.Start(t.Context(), backendtest.Request("hi")); agent.CodeOf(err) != agent.InvalidKey || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestARunThatHasSaidNothingBeginsAgainWhenItsBridgeDies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn\nhold\nturn\nhold\n"+greet, sdkbridge.Config{})
		run := r.start(t, backendtest.Request("hi"))
		go func() {
			for range 2 {
				time.Sleep(5 * time.Second)
				r.host.Bridges()[0].Kill()
			}
		}()
		if turn := collect(t, run); turn.Text != "hello" {
			t.Errorf("%+v", turn)
		}
		r.wantBridges(t, 1, 2, 3)
	})
}

func TestARunThatHasSaidSomethingEndsWithItsBridge(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ntext It begins.\nhold", sdkbridge.Config{})
		run := r.start(t, backendtest.Request("hi"))
		if e, err := run.Next(t.Context()); err != nil || string(e.Text) != "It begins." {
			t.Fatalf("%+v, %v", e, err)
		}
		r.host.Bridges()[0].Kill()
		if _, err := fails(t, run); err.Code != agent.Upstream || len(r.host.Runs()) != 1 {
			t.Errorf("%v after %d runs", err, len(r.host.Runs()))
		}
	})
}

// The agent may have got the message, so it is not sent again: the gateway starts from the transcript.
func TestAContinuedRunWhoseBridgeDiesIsLost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn\ntext hello\nturn always\nhold", sdkbridge.Config{})
		run := r.start(t, followUp(r.say(t, backendtest.Request("hi")), "and now?"))
		r.host.Bridges()[0].Kill()
		if _, err := fails(t, run); err.Code != agent.ConversationLost {
			t.Errorf("%v", err)
		}
	})
}

// A call of a tool that the bridge doesn't know never comes to us, although it was announced.
func TestACallOfAnUnknownToolIsNotWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ncalls 2\ncall smell {}\ncall look {}\nend\ntext {result 1}; {result 2}", sdkbridge.Config{})
		began := time.Now()
		run := r.start(t, backendtest.Request("hi"))
		turn := collect(t, run)
		if took := time.Since(began); len(turn.Calls) != 1 || took > 0 {
			t.Errorf("%d calls after %v", len(turn.Calls), took)
		}
		resume(t, run, turn, "seen")
		if last := collect(t, run); last.Text != "error: Unknown custom tool: smell; seen" {
			t.Errorf("%+v", last)
		}
	})
}

func TestCallsThatWereNotAnnouncedSettle(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ncalls\ncall look {}\ndelay 100ms\ncall listen {}\nend\ntext {results}", sdkbridge.Config{})
		began := time.Now()
		turn := collect(t, r.start(t, backendtest.Request("hi")))
		if took := time.Since(began); len(turn.Calls) != 2 || took != 300*time.Millisecond {
			t.Errorf("%d calls after %v", len(turn.Calls), took)
		}
	})
}

func TestARunThatSaysNothingForTooLongEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ntext It begins.\nhold", sdkbridge.Config{})
		began := time.Now()
		if _, err := fails(t, r.start(t, backendtest.Request("hi"))); err.Code != agent.UpstreamTimeout || time.Since(began) != 5*time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// What the bridge says that nobody knows, or that is no JSON.
func TestOddMessages(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn\nunknown\ntext hello\nturn\ntext It begins.\ngarbage payload\nhold", sdkbridge.Config{})
		if turn := r.say(t, backendtest.Request("hi")); turn.Text != "hello" {
			t.Errorf("%+v", turn)
		}
		turn, err := fails(t, r.start(t, backendtest.Request("hi")))
		synctest.Wait()
		if end := r.host.Runs()[1].End; turn.Text != "It begins." || err.Code != agent.Upstream || end != bridgesim.EndedCanceled {
			t.Errorf("%q, %v; upstream the run has ended %q", turn.Text, err, end)
		}
	})
}

// The turns of a tool loop report usage that adds up to what upstream says of the run.
func TestUsageOfAToolLoopAddsUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newSim(t, "turn always\ntokens 100\ntext Let me look.\ncall look {\"path\":\"a\"}\ntokens 30\ntext I see.\nusage input=5000 output=140 cache_read=700 reasoning=9", sdkbridge.Config{})
		run := r.start(t, backendtest.Request("hi"))
		first := collect(t, run)
		resume(t, run, first, "seen")
		last := collect(t, run)
		if u := first.Usage; !u.Estimated || u.Output != 100 || u.Input == 0 {
			t.Errorf("the first turn reports %+v", u)
		}
		if sum := first.Usage.Output + last.Usage.Output; sum != 140 || !last.Usage.Estimated || last.Usage.Reasoning != 9 {
			t.Errorf("together they report %d tokens of output; the last %+v", sum, last.Usage)
		}
		if sum := first.Usage.Prompt() + last.Usage.Prompt(); sum != 5700 || last.Usage.CacheRead != 700 {
			t.Errorf("together they report %d tokens of prompt; the last %+v", sum, last.Usage)
		}
	})
}
