package script

import (
	"encoding/json"
	"time"
)

// A Step is one thing that happens in a turn. The set is closed: the types of this file. Steps are
// values, and nobody changes one after Parse; a Player yields changed copies.
//
// Most kinds have no meaning to the demo backend, which has no wire. It skips what it doesn't know,
// so a script written for the simulator runs there, too.
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
		// Steps are Call, Again, Abort, Delay, Text and Think, in the order in which they happen.
		Steps []Step
	}
	// Call is one tool call, only ever within Calls.
	Call struct {
		// Tool is the client's name for it, without the server's prefix.
		Tool    string
		Args    json.RawMessage // an object
		Builtin bool            // Tool is one of Cursor's own
		// N numbers the turn's calls from 1. A Player sets it; in a Script it is 0.
		N int
	}
	// Abort withdraws call number N of the turn: the server no longer wants its result.
	Abort struct{ N int }
	// Again sends call number N of the turn once more, as another exec of the same call. A client that runs it twice
	// has a bug. It stands only within Calls.
	Again struct{ N int }
	// Mirror is a call that the server reports although it runs the tool itself. A client that runs it
	// has a bug.
	Mirror struct {
		Tool string
		Args json.RawMessage
	}
	// Query asks the user something that only a person in an editor could answer. Kind is one of
	// queryKinds.
	Query struct{ Kind string }
	// Exec asks the client for an operation that it does not know, by the number of its protobuf
	// field. A client must refuse it and not leave it unanswered.
	Exec struct{ Field int }
)

// What the server keeps and counts.
type (
	// SetBlob gives the client bytes to keep, under a key that the player makes from Name.
	SetBlob struct{ Name, Text string }
	// GetBlob asks for what SetBlob of the same Name gave. The turn fails when the client has lost it.
	GetBlob struct{ Name string }
	// Checkpoint is the conversation's state so far, which the client sends back to continue. Used and
	// Max are tokens of the context window; zero leaves the numbers to the player.
	Checkpoint struct{ Used, Max int }
	// Tokens says that N more tokens were written.
	Tokens struct{ N int }
	// Usage is what the turn costs, said when it ends. Later Usage steps of a turn replace earlier ones until the
	// turn says that it has ended.
	Usage struct{ Input, Output, CacheRead, CacheWrite, Reasoning int64 }
	// TurnEnded says that the turn has ended although steps follow.
	TurnEnded struct{}
	// AskTools asks the client which tools it has now.
	AskTools struct{}
	// Delay waits.
	Delay struct{ For time.Duration }
	// Expect notes a failure unless What contains Text. A Player evaluates it itself, and the turn
	// goes on.
	Expect struct {
		What string // prompt, tools, model, answer, results or result
		N    int    // which result
		Text string
	}
	// Reached calls Note when the turn has come so far, and is no step on the wire: a [Model] learns by it what was really
	// played. No script can have one. A Player calls Note itself, on the goroutine that plays, and goes on.
	Reached struct{ Note func() }
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
	// Error ends the stream in an error, as Connect's end-of-stream message has it.
	Error struct {
		Code      string // Connect's name: "resource_exhausted"
		Detail    int    // number in Cursor's ErrorDetails enum; 0 is none
		Retryable *bool  // what the details say about it; nil when nothing
		Title     string
		Message   string
	}
	// Status answers with an HTTP status instead of a stream, as a proxy or a load balancer would.
	Status struct {
		Code int
		// RetryAfter becomes the Retry-After header, in whole seconds; 0 sends none.
		RetryAfter time.Duration
		Message    string
	}
	// Garbage sends bytes that are no message. Kind is one of garbageKinds.
	Garbage struct{ Kind string }
	// Unknown sends messages and fields that nobody knows. A client must ignore them.
	Unknown struct{}
	// Frames sets how frames are cut into writes from here on. How is one of frameModes.
	Frames struct{ How string }
	// Gzip turns compression on or off from here on. The player obeys it only if the client said that
	// it accepts gzip.
	Gzip struct{ On bool }
)

// The words that Query, Garbage and Frames take.
var (
	queryKinds   = []string{"web-search", "ask-question", "switch-mode", "create-plan", "web-fetch", "mcp-auth", "generate-image"}
	garbageKinds = []string{"payload", "gzip", "length", "end"}
	frameModes   = []string{"whole", "split", "merged"}
)

// connectCodes are the names that Connect gives to its codes, from the Connect protocol's
// specification.
var connectCodes = []string{
	"canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
	"resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable",
	"data_loss", "unauthenticated",
}
