package control

import (
	"errors"
	"slices"

	"composer-api/internal/agent"
	"composer-api/internal/schema"
)

// Config is what the operator asks of every answer. Its zero value asks nothing: what requests ask is enforced all the same.
//
// internal/cli fills it in from the environment. It applies to all requests alike.
type Config struct {
	// MaxRepeats is how often the model may make the same call one after the other; 0 is as often as it likes.
	MaxRepeats int
	// SameCall reports whether two calls ask for the same. Required with MaxRepeats.
	SameCall func(a, b *agent.ToolCall) bool

	// RepairNarrated has a model that tells of a call, instead of making it, asked to make it, also where it may choose.
	RepairNarrated bool

	// System says where the client's system text goes; "" means SystemText.
	System SystemMode

	// Conversation bounds what one conversation may spend, and Key what one key may spend on a day (UTC).
	Conversation, Key Budget
}

// A Layer makes turns and runs. It is safe for concurrent use, and has nothing to close.
type Layer struct {
	// cfg doesn't change. ledger and refusers have locks of their own.
	cfg      Config
	ledger   *ledger
	refusers *refusers
}

// New makes a Layer.
func New(cfg Config) *Layer { return &Layer{cfg, newLedger(), newRefusers()} }

// A Turn is what one request asks of its answer, and what has become of it: limits that are partly used up, attempts
// that were made. It belongs to one request and one goroutine, and outlives a run that is given up for another.
//
// The gateway makes one for each request (Layer.Turn), before any run exists, so that a request
// that asks for something impossible, or has no budget left, costs upstream nothing.
type Turn struct {
	// req is the client's request, which is only read.
	req *agent.Request

	format *format                   // of the answer; nil is plain text
	strict map[string]*schema.Schema // of strict tools, by name, as far as they were called; see strictSchema

	// text cuts what the client gets. Text that is held back until the turn's end is counted on its way in, by count, and
	// searched for stop texts on its way out, by text.
	count, text limiter

	repairs []agent.Repair // attempts that were made
	renewed int            // how many of them the model of the present run knows nothing of; see Renew
	bill    *bill          // nil when nothing bounds what may be spent
}

// Turn reads what req asks of its answer, which will be charged to the account. Errors are *agent.Error: about a field of
// the request, or because a budget is spent. req is kept, and must not be changed while the turn lives.
//
// The budget is looked at first: a schema may take a moment to compile.
func (l *Layer) Turn(req *agent.Request, account Account) (*Turn, error) {
	t := &Turn{req: req}
	var err error
	if t.bill, err = l.newBill(req, account); err != nil {
		return nil, err
	}
	if t.format, err = newFormat(&req.Format); err != nil {
		return nil, err
	}
	t.Restart()
	return t, nil
}

// Restart renews the limits. It is for a turn whose client has got nothing but thinking yet, before another run.
//
//	what the turn must give   count (on the way in)   text (on the way out)
//	a call, or JSON           the token limit         the stop texts
//	anything                  nothing                 both
func (t *Turn) Restart() {
	if t.mustCall() || t.mustBeJSON() {
		t.count, t.text = newLimiter(nil, t.req.MaxOutputTokens), newLimiter(t.req.Stop, 0)
		return
	}
	t.count, t.text = limiter{}, newLimiter(t.req.Stop, t.req.MaxOutputTokens)
}

// Renew lets the model be told everything once more. It is for a turn that another run begins again from the client's
// transcript, which has nothing of what we have said. The gateway does so a few times in a turn at most.
func (t *Turn) Renew() { t.renewed = len(t.repairs) }

// leaves takes the arguments of a call, so many bytes, off what the token limit allows. It reports whether they fit.
func (t *Turn) leaves(size int) bool {
	if t.mustCall() || t.mustBeJSON() {
		return t.count.spendWhole(size)
	}
	return t.text.spendWhole(size)
}

// limited reports whether anything can cut the answer.
func (t *Turn) limited() bool { return t.req.MaxOutputTokens > 0 || len(t.req.Stop) > 0 }

// repairing notes that the model is given another attempt.
func (t *Turn) repairing(why agent.Repair) {
	t.repairs = append(t.repairs, why)
	if t.req.Watcher != nil {
		t.req.Watcher.Repairing(why)
	}
}

// repaired reports whether the model was given another attempt for this reason, and knows of it.
func (t *Turn) repaired(why agent.Repair) bool { return slices.Contains(t.repairs[t.renewed:], why) }

// ErrEmpty is the error of a turn that ends without an answer. Thinking is none: the client
// would show nothing. The gateway starts such a turn again, once, from the transcript.
var ErrEmpty = &agent.Error{Code: agent.Upstream, Final: true, Message: "The model ended its turn without an answer. Please try again."}

// errClosed is what a closed run answers.
var errClosed = errors.New("control: the run is closed")
