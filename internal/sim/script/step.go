package script

import (
	"encoding/json"
	"time"
)

// A Step is one thing that happens in a turn. The set is closed: the types of this file.
type Step interface {
	// format writes the step as Parse reads it, without a line break at the end.
	format() string
}

// What the model says.
type (
	// Text is a piece of the answer. It is one piece on the wire, too, even when it ends inside a character.
	Text struct {
		Text   string
		Notice bool // the server's words, not the model's
	}
	// Think is a piece of reasoning.
	Think struct{ Text string }
	// Say is Text in pieces of a word. A Player yields the pieces.
	Say struct{ Text string }
	// Many is N times the same Text, Gap apart. A Player yields the pieces.
	Many struct {
		N    int
		Gap  time.Duration
		Text string
	}
)

// What the model asks for.
type (
	// Calls are tool calls that are open at the same time. The step after them waits for all results.
	Calls struct {
		// Announced is how many calls the server says it will make; 0 when it doesn't say. It need not be true.
		Announced int
		// Steps are Call, Abort, Delay, Text and Think, in the order in which they happen.
		Steps []Step
	}
	// Call is one tool call, only ever within Calls.
	Call struct {
		Tool    string
		Args    json.RawMessage // an object
		Builtin bool            // Tool is one of Cursor's own
		// N numbers the turn's calls from 1. A Player sets it; in a Script it is 0.
		N int
	}
	// Abort withdraws call number N of the turn.
	Abort struct{ N int }
	// Mirror is a call that is reported and not to be run.
	Mirror struct {
		Tool string
		Args json.RawMessage
	}
	// Query asks the user something. Kind is one of the words below.
	Query struct{ Kind string }
	// Exec asks the client for an operation that it does not know.
	Exec struct{ Field int }
)

// What the server keeps and counts.
type (
	// SetBlob gives the client bytes to keep.
	SetBlob struct{ Name, Text string }
	// GetBlob asks for them.
	GetBlob struct{ Name string }
	// Checkpoint is the conversation's state so far. Zero Used and Max leave the numbers to the player.
	Checkpoint struct{ Used, Max int }
	// Tokens says that N more tokens were written.
	Tokens struct{ N int }
	// Usage is what the turn costs, said when it ends. Later Usage steps of a turn replace earlier ones until the
	// turn says that it has ended.
	Usage struct{ Input, Output, CacheRead, CacheWrite, Reasoning int64 }
	// TurnEnded says that the turn has ended although steps follow.
	TurnEnded struct{}
	// Delay waits.
	Delay struct{ For time.Duration }
	// Expect notes a failure unless What contains Text. A Player evaluates it itself.
	Expect struct {
		What string // prompt, tools, model, answer, results or result
		N    int    // which result
		Text string
	}
	// Play stands for the first turn of a script of the library. A Player yields that turn's steps.
	Play struct{ Name string }
)

// Faults.
type (
	// Hold sends heartbeats only, for a time; For 0 is until the client leaves.
	Hold struct{ For time.Duration }
	// Stall sends nothing at all, for a time; For 0 is until the client leaves.
	Stall struct{ For time.Duration }
	// Cut breaks the connection.
	Cut struct{}
	// Drop ends the stream properly but too early.
	Drop struct{}
	// Error ends the stream in an error.
	Error struct {
		Code      string // Connect's name: "resource_exhausted"
		Detail    int    // number in Cursor's ErrorDetails enum; 0 is none
		Retryable *bool  // what the details say about it; nil when nothing
		Title     string
		Message   string
	}
	// Status answers with an HTTP status instead of a stream.
	Status struct {
		Code       int
		RetryAfter time.Duration
		Message    string
	}
	// Garbage sends bytes that are no message. Kind is one of the words below.
	Garbage struct{ Kind string }
	// Unknown sends messages and fields that nobody knows.
	Unknown struct{}
	// Frames sets how frames are cut into writes. How is one of the words below.
	Frames struct{ How string }
	// Gzip turns compression on or off.
	Gzip struct{ On bool }
)

// The words that Query, Garbage and Frames take.
var (
	queryKinds   = []string{"web-search", "ask-question", "switch-mode", "create-plan", "web-fetch", "mcp-auth", "generate-image"}
	garbageKinds = []string{"payload", "gzip", "length", "end"}
	frameModes   = []string{"whole", "split", "merged"}
)

// connectCodes are the names that Connect gives to its codes.
var connectCodes = []string{
	"canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
	"resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable",
	"data_loss", "unauthenticated",
}
