package service

import (
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
)

// compactionDocument is what POST /responses/compact answers.
type compactionDocument struct {
	ID             string           `json:"id"`
	Object         string           `json:"object"` // "response.compaction"
	CreatedAt      int64            `json:"created_at"`
	Output         []jsontext.Value `json:"output"` // the conversation from now on: what the user said, and the summary
	Usage          *responses.Usage `json:"usage"`
	UsageEstimated bool             `json:"usage_estimated,omitzero"` // ours
}

// compact answers POST /responses/compact: a turn of the model summarises the conversation. Nothing of it is stored;
// the client holds the summary, which only we can read, and sends it as an item of its next input:
//
//	{"type": "compaction", "id": "cmp_…", "encrypted_content": "…"}
//
// It is not a stream, and a response of it doesn't exist afterwards: its id is only in the document.
func (s *Service) compact(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	req, err := s.decodePartial(r, call)
	if err != nil {
		return err
	}
	if req.Model == "" {
		return openai.Missing("model")
	}
	// Compact makes the encoder seal the answer as a compaction.
	req.Compact, req.Store = true, false
	// previous_response_id and conversation work here as for a turn: what they bring is summarised,
	// too.
	turn, history, err := s.prepare(r.Context(), call, req, nil)
	if err != nil {
		return err
	}
	rec, err := s.newRecord(call, req, false)
	if err != nil {
		return err
	}
	// No job and no journal: the client waits, and a connection that breaks ends the turn.
	sink := &summary{header: w.Header(), encoder: responses.NewBody(req, rec.options())}
	if err := s.cfg.Turns.Turn(r.Context(), turn, sink); err != nil {
		return err
	}
	resp := sink.encoder.Response()
	userMessages, err := repeated(resp.ID, responses.UserMessages(slices.Concat(history, req.Input)))
	if err != nil {
		return err
	}
	return api.WriteJSON(w, openai.Encode(compactionDocument{
		ID: resp.ID, Object: "response.compaction", CreatedAt: resp.CreatedAt,
		// The user's own words stay as they are, because a summary loses what the model took for
		// unimportant.
		Output: append(userMessages, resp.Output...), Usage: resp.Usage, UsageEstimated: resp.UsageEstimated,
	}))
}

// repeated are items of the input in the form of an output, for the client to send back: nothing of them may be lost.
//
// Their ids are made from the response's id, as those of stored items are.
func repeated(responseID string, items []responses.Item) ([]jsontext.Value, error) {
	encoded, err := responses.EncodeItems(responseID, items)
	if err != nil {
		return nil, err
	}
	listed, err := list(openai.Encode(encoded), responses.Everything())
	if err != nil {
		return nil, err
	}
	var raws []jsontext.Value
	for _, it := range listed {
		raws = append(raws, it.Item)
	}
	return raws, nil
}

// list brings a list of stored items into the form in which the API shows it.
func list(stored []byte, as *responses.Lister) ([]responses.Listed, error) {
	items, err := responses.StoredItems(stored)
	if err != nil {
		return nil, &agent.Error{Code: agent.Internal, Err: err}
	}
	return as.List(items)
}

// A summary is the sink of a compaction's turn.
//
// It collects the answer in the encoder and sends nothing: the document has more in it than the answer.
//
// A turn that fails leaves the client without an answer, and so with an error of its own status.
type summary struct {
	header  http.Header
	encoder *responses.Encoder
}

var (
	_ agent.Sink     = (*summary)(nil)
	_ agent.Rewinder = (*summary)(nil)
)

// Accept implements agent.Sink.
func (s *summary) Accept(a agent.Accepted) error {
	api.SetAccepted(s.header, a)
	return s.encoder.Accept(a)
}

// Event implements agent.Sink.
func (s *summary) Event(e *agent.Event) error { return s.encoder.Event(e) }

// Rewind implements agent.Rewinder.
func (s *summary) Rewind() bool { return s.encoder.Rewind() }

// Flush implements agent.Sink.
func (s *summary) Flush() error { return nil }

// decodePartial reads the body of a request of which nothing is required, not even model and input.
func (s *Service) decodePartial(r *http.Request, call *api.Call) (*responses.Request, error) {
	data, err := api.ReadBody(r)
	if err != nil {
		return nil, err
	}
	defer api.Decoded(r)
	return responses.DecodePartial(data, s.cfg.Sent.Of(call.Caller.Owner))
}
