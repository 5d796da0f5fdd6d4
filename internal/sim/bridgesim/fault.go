package bridgesim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"composer-api/internal/sim/script"
)

// How a run fails. The rules are those of the bridge of cursor-sdk 1.1.0: it tries again by
// itself after most errors, without a word in the stream but for the numbers of steps, which
// begin again; and what it says at the end is often less than what upstream has said.

// A fault is how an attempt of a run failed. Which fields are set:
//
//	an error, a status   message, and again unless the bridge gives up at once
//	a broken stream      again and broken; message is filled in by pauseBefore
//	a canceled run       canceled alone, also when the whole bridge ends
type fault struct {
	message  string
	again    bool // the bridge tries again by itself
	broken   bool // upstream's stream broke: it tries more often
	canceled bool
}

// faultOf is the fault that a step stands for; nil when it is none.
func faultOf(step script.Step) *fault {
	switch s := step.(type) {
	case script.Error:
		return errorOf(&s)
	case script.Status:
		return statusOf(s.Code)
	case script.Cut, script.Drop:
		return disconnected()
	}
	return nil
}

// disconnected is the fault of a stream to Cursor that broke, by the script or by Bridge.Disconnect.
func disconnected() *fault { return &fault{again: true, broken: true} }

// atOnce are the codes that end a run at once when upstream says nothing more than the code. All others are tried again.
var atOnce = []string{"unauthenticated", "permission_denied"}

// errorOf is what the bridge makes of an error at the end of upstream's stream. The first row that fits counts:
//
//	code                                    details                       the fault
//	aborted, canceled                       any, or none                  a broken stream
//	invalid_argument, failed_precondition   without a word on retryable   the code; their words are lost; again
//	any                                     not retryable, or no word     their words; the code is lost; not again
//	any                                     retryable                     the code; their words are lost; again
//	any                                     none                          code and message; again, but for atOnce
func errorOf(s *script.Error) *fault {
	detailed := s.Detail != 0 || s.Title != "" || s.Retryable != nil
	switch s.Code {
	case "aborted", "canceled":
		return disconnected()
	case "invalid_argument", "failed_precondition":
		if detailed && s.Retryable == nil {
			return &fault{message: "[" + s.Code + "] Error", again: true}
		}
	}
	switch {
	case detailed && (s.Retryable == nil || !*s.Retryable):
		return &fault{message: strings.TrimSpace(s.Title + " " + s.Message)}
	case detailed:
		return &fault{message: "[" + s.Code + "] Error", again: true}
	}
	return &fault{message: "[" + s.Code + "] " + s.Message, again: !slices.Contains(atOnce, s.Code)}
}

// statusOf is what the bridge makes of a refusal by HTTP status. The body is lost.
func statusOf(status int) *fault {
	code := map[int]string{401: "unauthenticated", 403: "permission_denied", 404: "unimplemented", 429: "unavailable", 502: "unavailable", 503: "unavailable", 504: "unavailable"}[status]
	if code == "" {
		code = "unknown"
	}
	return &fault{message: fmt.Sprintf("[%s] HTTP %d", code, status), again: !slices.Contains(atOnce, code)}
}

// The pauses before another attempt: after an error, and after a stream that broke. A run is played
// once more than there are pauses: 4 times, and 11 times. Under synctest the minutes cost nothing.
var (
	afterError  = []time.Duration{2 * time.Second, 5 * time.Second, 9 * time.Second}
	afterBroken = []time.Duration{
		500 * time.Millisecond, 4 * time.Second, 9 * time.Second, 16 * time.Second, 30 * time.Second,
		time.Minute, time.Minute, time.Minute, time.Minute, time.Minute,
	}
)

// pauseBefore waits before the attempt that follows one that has failed; false when there is no
// other one. attempt counts from 1. An attempt that breaks after one that had an error, or the
// other way round, goes on in the other list where its number is. A run that is canceled in the
// pause changes f into that.
//
// The pauses are real ones of the bubble's clock, in which heartbeats and time-outs of the client
// go on.
func (r *run) pauseBefore(attempt int, f *fault) bool {
	pauses := afterError
	if f.broken {
		pauses = afterBroken
		f.message = "[aborted] the connection was lost"
	}
	if !f.again || attempt > len(pauses) {
		return false
	}
	r.wait(pauses[attempt-1])
	if r.life.Err() != nil {
		*f = fault{canceled: true}
		return false
	}
	return true
}
