package cursorsim

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"composer-api/internal/cursor/pb"
)

// Questions to the user, which a real client shows in its window: may I search the web, shall I
// switch the mode. Each is one message in field 7 of AgentServerMessage, and its answer an
// InteractionResponse with the same id.

// queryFields are the field numbers of the questions in InteractionQuery, which are also those of their
// answers in InteractionResponse. The keys are script's words.
var queryFields = map[string]protowire.Number{
	"web-search": 2, "ask-question": 3, "switch-mode": 4, "create-plan": 7, "web-fetch": 9, "mcp-auth": 11, "generate-image": 12,
}

// queries keeps track of a stream's questions to the user: each is answered once, by its id. It belongs
// to the run's goroutine.
type queries struct {
	notes
	// wire is what questions are sent on.
	wire *wire
	next uint32            // id of the last question
	open map[uint32]string // kinds by id, unanswered
}

// ask asks the user something, and does not wait. The error is one of writing.
func (q *queries) ask(kind string) (id uint32, err error) {
	q.next++
	q.open[q.next] = kind
	// InteractionQuery{1: id, KIND: {}}, in field 7 of AgentServerMessage. The question itself is empty.
	query := protowire.AppendTag(nil, 1, protowire.VarintType)
	query = protowire.AppendVarint(query, uint64(q.next))
	query = appendMessage(query, queryFields[kind], nil)
	return q.next, q.wire.sendPayload(appendMessage(nil, 7, query))
}

// answered takes in an answer and returns what it says, as a script sees it ("approved", or "rejected:
// " and the reasons). It is false when the message answers no open question.
func (q *queries) answered(m *pb.InteractionResponse) (text string, ok bool) {
	q.record(func(r *Run) { r.Answers = append(r.Answers, Message[*pb.InteractionResponse]{m}) })
	kind, asked := q.open[m.GetId()]
	if !asked {
		q.violation("query %d was answered but not asked", m.GetId())
		return "", false
	}
	delete(q.open, m.GetId())
	answer := answerTo(m, queryFields[kind])
	if answer == nil {
		q.violation("query %d (%s) got an answer of another kind", m.GetId(), kind)
		return "", false
	}
	if reasons := texts(answer); len(reasons) > 0 {
		return "rejected: " + strings.Join(reasons, ", "), true
	}
	return "approved", true
}

// query asks the user something, and waits. A client without a user refuses most of it; whether
// it must is for the script to say (expect answer …). The answer is handed to the player by
// receive, before the wait ends.
func (p *run) query(kind string) error {
	id, err := p.queries.ask(kind)
	if err != nil {
		return err
	}
	return p.await("the answer to a query", func() bool { _, open := p.queries.open[id]; return !open })
}
