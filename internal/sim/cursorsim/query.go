package cursorsim

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"composer-api/internal/cursor/pb"
)

// queryFields are the numbers of the questions in InteractionQuery, and of their answers in InteractionResponse.
var queryFields = map[string]protowire.Number{
	"web-search": 2, "ask-question": 3, "switch-mode": 4, "create-plan": 7, "web-fetch": 9, "mcp-auth": 11, "generate-image": 12,
}

// query asks the user something. A client without a user refuses most of it; whether it must is for the script to say.
func (p *run) query(kind string) error {
	p.nextQuery++
	id := p.nextQuery
	p.queries[id] = kind
	query := protowire.AppendTag(nil, 1, protowire.VarintType)
	query = protowire.AppendVarint(query, uint64(id))
	query = appendMessage(query, queryFields[kind], nil)
	if err := p.wire.sendPayload(appendMessage(nil, 7, query)); err != nil {
		return err
	}
	return p.await("the answer to a query", func() bool { _, open := p.queries[id]; return !open })
}

func (p *run) responded(m *pb.InteractionResponse) {
	p.record(func(r *Run) { r.Answers = append(r.Answers, Message[*pb.InteractionResponse]{m}) })
	kind, asked := p.queries[m.GetId()]
	if !asked {
		p.violation("query %d was answered but not asked", m.GetId())
		return
	}
	delete(p.queries, m.GetId())
	answer := answerTo(m, queryFields[kind])
	if answer == nil {
		p.violation("query %d (%s) got an answer of another kind", m.GetId(), kind)
		return
	}
	said := "approved"
	if reasons := texts(answer); len(reasons) > 0 {
		said = "rejected: " + strings.Join(reasons, ", ")
	}
	p.player.Answer(said)
}
