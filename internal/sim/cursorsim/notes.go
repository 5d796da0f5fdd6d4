package cursorsim

import (
	"fmt"
	"time"

	"composer-api/internal/cursor/pb"
)

// notes is where everything that belongs to one stream writes its part of the record. The journal holds the lock:
// record may be called at any time, but rec must not be changed in any other way, because tests read the records of
// runs in progress. The run's own goroutine is the only writer, so it may read rec without the lock.
type notes struct {
	// journal is the Sim's. rec is this stream's record in it.
	journal *journal
	rec     *Run
}

// record changes the stream's record.
func (n notes) record(change func(*Run)) { n.journal.update(n.rec, change) }

// violation writes down something that the client did wrong.
func (n notes) violation(format string, args ...any) {
	n.journal.violation(n.rec.Seq, fmt.Sprintf(format, args...))
}

// checkRhythm checks that something came once in every interval, over a time. One may be missing,
// because the last may be due at this very moment. Less than two intervals ask for nothing.
func (n notes) checkRhythm(what string, got int, over, every time.Duration) {
	if want := int(over/every) - 1; got < want {
		n.violation("%d %s in %s, where one comes every %s", got, what, over.Round(time.Second), every)
	}
}

// checkTools checks the tools that stand in a message of the client: each has a name with the prefix
// and one without, the one provider, and a schema. where says which message.
func (n notes) checkTools(where string, tools []*pb.McpToolDefinition) {
	for _, t := range tools {
		switch {
		case t.GetToolName() == "":
			n.violation("%s: a tool without tool_name", where)
		case t.GetName() != toolPrefix+t.GetToolName():
			n.violation("%s: tool %s has the name %q, not %q", where, t.GetToolName(), t.GetName(), toolPrefix+t.GetToolName())
		case t.GetProviderIdentifier() != provider:
			n.violation("%s: tool %s has the provider %q", where, t.GetToolName(), t.GetProviderIdentifier())
		case t.GetInputSchema().GetStructValue() == nil:
			n.violation("%s: tool %s has no schema", where, t.GetToolName())
		}
	}
}
