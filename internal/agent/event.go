package agent

import (
	"encoding/json"
	"time"
)

// Kind says which of the six events an [Event] is.
type Kind uint8

// The events. The set is closed: an encoder that handles these handles everything.
const (
	Text      Kind = iota + 1 // Event.Text: a piece of the answer
	Reasoning                 // Event.Text: a piece of the model's thinking
	Call                      // Event.Call: a whole tool call
	UsageKind                 // Event.Usage: what the run has cost so far; a later one replaces it
	DoneKind                  // Event.Done: the end of the turn
	Refusal                   // Event.Text: why the model declines to answer in the form that was asked for; backends give none
)

// An Event is one thing that a run yields. It is a struct and not an interface so that a streamed word costs no
// allocation.
type Event struct {
	// Kind says which of the fields below is set.
	Kind Kind

	// Text is the new text of Text, Reasoning and Refusal: a delta, never the text so far, never empty, valid UTF-8 on its
	// own (no character is split over two events). It is valid until the next call of Run.Next.
	Text []byte

	Call  *ToolCall // Call
	Usage *Usage    // UsageKind
	Done  *Done     // DoneKind
}

// A ToolCall is the model's request that the client runs a tool.
type ToolCall struct {
	// ID identifies the call within its run. NewCallID makes it, so that it is short, unique and
	// unguessable whatever upstream's own id looks like.
	ID string
	// Name is one of Request.Tools' names.
	Name string
	// Arguments is a JSON object. Backends guarantee that it is valid JSON.
	Arguments json.RawMessage
}

// A ToolResult is the client's answer to a ToolCall.
type ToolResult struct {
	// CallID is the ToolCall's.
	CallID  string
	Parts   []Part // text and images
	IsError bool   // the tool failed, and Parts says how
	// Said is what the user says along with the results, in the last of them. It is no result: the model must be able to
	// tell the two apart, whatever a tool gives back.
	Said []Part
}

// Usage counts tokens. Input excludes what the cache served. Numbers that upstream hasn't told
// are 0, or estimated.
type Usage struct {
	Input      int64 // tokens read without the cache
	CacheRead  int64 // tokens that the cache served
	CacheWrite int64 // tokens that were put into the cache
	Output     int64 // tokens written, Reasoning included
	Reasoning  int64 // the part of Output that is thinking

	// Estimated is true when upstream has not reported all of it and we have counted ourselves.
	Estimated bool
	// Price is what the model's tokens cost; zero when it isn't known. The gateway fills it in, backends leave it.
	Price Price
}

// A Price is what a model's tokens cost, in US dollars for a million of each kind.
type Price struct{ Input, CacheWrite, CacheRead, Output float64 }

// Prompt is the whole prompt, however it was served.
func (u Usage) Prompt() int64 { return u.Input + u.CacheRead + u.CacheWrite }

// Plus is both together. The price is u's. It is estimated as soon as one of them is.
func (u Usage) Plus(v Usage) Usage {
	u.Input += v.Input
	u.CacheRead += v.CacheRead
	u.CacheWrite += v.CacheWrite
	u.Output += v.Output
	u.Reasoning += v.Reasoning
	u.Estimated = u.Estimated || v.Estimated
	return u
}

// Total is prompt and output together.
func (u Usage) Total() int64 { return u.Prompt() + u.Output }

// million is the number of tokens that a Price is for.
const million = 1_000_000

// InputUSD is what the prompt costs in US dollars, the cache's part included; 0 when the price isn't known.
func (u Usage) InputUSD() float64 {
	return (float64(u.Input)*u.Price.Input + float64(u.CacheWrite)*u.Price.CacheWrite + float64(u.CacheRead)*u.Price.CacheRead) / million
}

// OutputUSD is what the output costs in US dollars; 0 when the price isn't known.
func (u Usage) OutputUSD() float64 { return float64(u.Output) * u.Price.Output / million }

// CostUSD is InputUSD and OutputUSD together.
func (u Usage) CostUSD() float64 { return u.InputUSD() + u.OutputUSD() }

// Reason says why a turn ended.
type Reason uint8

// The reasons. Only the first two come from backends; the gateway cuts answers off for the others.
const (
	Stop      Reason = iota + 1 // the model is done, or a stop sequence was met
	ToolCalls                   // the model waits for the results of the calls of this turn
	Length                      // the token limit of the request was reached
	Declined                    // the model declines to answer in the form that was asked for; Refusal events say why
)

// Done ends a turn.
type Done struct {
	// Reason is never the zero value.
	Reason Reason
	// StopText is which of Request.Stop was met; "" when the model ended by itself. Only the gateway sets it.
	StopText string
	// Conversation lets a later request continue from here; nil when it can't.
	Conversation Conversation
	// Repairs are the further attempts that the answer took, in order. The gateway fills it in, backends leave it.
	Repairs []Repair
}

// A Repair is why the model was given another attempt, as the x-composer-repair header shows it.
type Repair string

// The repairs.
const (
	RepairToolChoice Repair = "tool_choice" // it had not called the tool that it must call
	RepairJSON       Repair = "json"        // its answer was not the JSON that was asked for
	RepairArguments  Repair = "arguments"   // its arguments did not fit the tool's schema
)

// Accepted is what is known once upstream has accepted a run, before its first event: what the surface puts into the
// response's headers.
type Accepted struct {
	Upstream string // the backend's name
	// Resume says what the run continues.
	Resume Resume
	Model  Model
	// System says how the client's system text reaches the model; empty when there is none.
	System SystemWay
	// ConversationID is upstream's id of the conversation, for logs; empty when unknown.
	ConversationID string
	// Waited is how long the run was parked before this turn resumed it; 0 for others.
	Waited time.Duration
	// ParkedBy is the request whose turn has parked that run; zero for others.
	ParkedBy Origin
	// RateLimits are the limits that the caller's key has, for its client to see; nil without any.
	RateLimits []RateLimit
}

// A RateLimit is how much of something a key may use within a minute, and how much of that is left.
type RateLimit struct {
	Of string // "requests" or "tokens"
	// Limit is how much a minute has.
	Limit     int64
	Remaining int64     // never negative
	Reset     time.Time // when some of what was used counts no longer
}

// SystemWay is how the client's system text reaches the model, as the x-composer-system header shows it.
type SystemWay string

// The ways.
const (
	SystemNative SystemWay = "native" // as the model's system prompt
	SystemText   SystemWay = "text"   // as text in the first message
)

// Resume says what a turn continues.
type Resume string

// Where a turn came from, as the x-composer-resume header shows it.
const (
	ResumeNew        Resume = "new"        // a conversation's first turn
	ResumeParked     Resume = "parked"     // the run was waiting for these tool results
	ResumeMemory     Resume = "memory"     // a finished conversation that upstream still has
	ResumeTranscript Resume = "transcript" // rebuilt from the client's transcript
)
