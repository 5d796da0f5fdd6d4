package localagent

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// brokenAfterACall is a run whose stream ends with rest after one call.
func brokenAfterACall(t *testing.T, rest []byte) *run {
	src := connectwire.Append(nil, 0, encode(callOfLook(1, "toolu_1")))
	return bareRun(t, bytes.NewReader(append(src, rest...)), agent.Tool{Name: "look"})
}

// On a stream that has broken no other call can come.
func TestABrokenStreamIsNotWaitedForAfterACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := brokenAfterACall(t, nil)
		begin := time.Now()
		turn := collect(t, r)
		if took := time.Since(begin); len(turn.Calls) != 1 || turn.Done.Reason != agent.ToolCalls || took != 0 {
			t.Errorf("%d calls, ended with %v after %v", len(turn.Calls), turn.Done.Reason, took)
		}
	})
}

// What upstream said when it ended the stream is what the client has to know, and the results go nowhere.
func TestResumeTellsWhyTheStreamEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const end = 2 // the flag of a stream's last message
		r := brokenAfterACall(t, connectwire.Append(nil, end, []byte(`{"error":{"code":"permission_denied","message":"No more of that."}}`)))
		turn := collect(t, r)
		before := r.stream.out.waiting()
		err := r.Resume(t.Context(), []agent.ToolResult{{CallID: turn.Calls[0].ID}})
		if agent.CodeOf(err) != agent.PermissionDenied || r.stream.out.waiting() != before {
			t.Errorf("%v, %d bytes more to send", err, r.stream.out.waiting()-before)
		}
		if _, again := r.Next(t.Context()); again != err {
			t.Errorf("then %v", again)
		}
	})
}

// A checkpoint from before the results doesn't hold them, so the run can't carry on from it.
func TestResultsAreNotInTheCheckpointBeforeThem(t *testing.T) {
	r := newOfflineRun(t)
	r.receive(t, callOfLook(7, "toolu_1"))
	r.tries.checkpoint()
	broken := failed(io.ErrUnexpectedEOF)
	if _, err := r.tries.next(broken); err != nil {
		t.Errorf("before the results: %v", err)
	}
	r.giveCall(t, "found")
	if _, err := r.tries.next(broken); err == nil {
		t.Error("another attempt would ask for the call again")
	}
}

// A turn that ended while a call was open was a sub-agent's when the results are taken: the answer is still to come.
func TestResultsAreNotAfterTheEnd(t *testing.T) {
	r := newOfflineRun(t)
	r.receive(t, callOfLook(7, "toolu_1"))
	r.receiveBytes(t, updateMessage(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_TurnEnded{TurnEnded: &pb.TurnEnded{}}}))
	if !r.endedWell(io.ErrUnexpectedEOF) {
		t.Error("a stream that breaks after the turn's end has brought no answer")
	}
	r.giveCall(t, "found")
	if r.endedWell(io.ErrUnexpectedEOF) {
		t.Error("a stream that breaks after the results has brought the answer")
	}
}

// Resumes that bring the run no further are few; one that brought a checkpoint counts no more.
func TestACheckpointMakesResumingWorthWhileAgain(t *testing.T) {
	r := newOfflineRun(t)
	r.tries.output = true
	broken := failed(io.ErrUnexpectedEOF)
	for i := range 3 {
		if _, err := r.tries.next(broken); err != nil {
			t.Fatalf("resume %d: %v", i+1, err)
		}
		r.tries.checkpoint()
	}
}

// While a call is open, upstream's messages are read in the background, whether or not Next has something to give.
func TestTheBackgroundReaderStaysWhileACallIsOpen(t *testing.T) {
	r := newOfflineRun(t)
	r.receive(t, callOfLook(7, "toolu_1"))
	r.inBackground, r.waiting = true, true
	read := func() bool {
		if err := r.message.Parse(textMessage("text")); err != nil {
			t.Fatal(err)
		}
		return r.readOne(nil)
	}
	if read() || !r.inBackground {
		t.Error("the reading role was given back with an open call")
	}
	r.execs.drop(r.execs.byID(7))
	if !read() || r.inBackground {
		t.Error("the reading role was not given back although Next waits for it")
	}
}

// What the background reader records of output is written by Resume, too. The lock is held here while both are under way:
// a reader that does not wait for it is seen by the race detector, in whatever order they go.
func TestTheBackgroundReaderRecordsOutputUnderTheLock(t *testing.T) {
	r := newOfflineRun(t)
	if err := r.message.Parse(textMessage("text")); err != nil {
		t.Fatal(err)
	}
	r.inBackground = true
	done := make(chan struct{})
	r.mu.Lock()
	go func() {
		defer close(done)
		r.readOne(nil)
	}()
	r.recordOutput()
	r.tries.checkpoint()
	r.mu.Unlock()
	<-done
	if !r.tries.dirty || r.queue.len() != 1 {
		t.Errorf("%d events for the client, to be repeated by a resume: %v", r.queue.len(), r.tries.dirty)
	}
}

func TestACallThatIsSentTwiceIsGivenOnce(t *testing.T) {
	r := newOfflineRun(t)
	r.receive(t, callOfLook(7, "toolu_1"))
	r.receive(t, callOfLook(7, "toolu_1"))
	if r.queue.len() != 1 || len(r.execs.open) != 1 {
		t.Errorf("%d events for the client, %d open", r.queue.len(), len(r.execs.open))
	}
}

func TestACallThatIsWithdrawnInTimeIsNotGiven(t *testing.T) {
	r := newOfflineRun(t)
	r.receive(t, callOfLook(7, "toolu_1"))
	r.receive(t, callOfLook(8, "toolu_2"))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.abort(7)
	if r.queue.len() != 1 || r.execs.byCall(r.queue.events[0].Call.ID)[0].id != 8 {
		t.Errorf("%d events for the client", r.queue.len())
	}
}

// The beginning of a character from a stream that broke is no beginning of what another stream sends.
func TestAnotherStreamBeginsWithWholeCharacters(t *testing.T) {
	r := bareRun(t, strings.NewReader(""))
	r.text.Add([]byte("\xc5"))
	r.thinking.Add([]byte("\xc5"))
	if f := r.install(bareRun(t, strings.NewReader("")).stream); f != nil {
		t.Fatal(f.Err)
	}
	if text, thinking := r.text.Rest(), r.thinking.Rest(); len(text)+len(thinking) > 0 {
		t.Errorf("left over: %q and %q", text, thinking)
	}
}

// A turn's context ends with its turn, and whoever is told of it in a goroutine may come late: the run is parked by then, and
// somebody else's next turn is to go on with it.
func TestTheEndOfATurnThatIsOverDoesNotEndTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := brokenAfterACall(t, nil)
		number := r.watched.number
		collect(t, r)
		r.leftTurn(number, t.Context().Err())
		if r.over != nil {
			t.Errorf("the run ended: %v", r.over)
		}
		r.leftTurn(r.watched.number, io.EOF) // that of the turn that is on
		if r.over == nil {
			t.Error("the run goes on")
		}
	})
}
