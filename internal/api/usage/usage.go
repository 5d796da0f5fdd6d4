// Package usage is what a hosted key's turns took, for programs:
//
//	GET /v1/usage/turns?limit=&after=&request_id=
//
// It answers with a page of the request log, newest first, with each turn's timeline. The page /usage shows the same to
// people. A key sees its own turns and nothing of its account's other keys, because it may lie on a machine of somebody else.
// The log holds nothing of what was said.
package usage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/kept"
	"composer-api/internal/api/openai"
	"composer-api/internal/store"
)

// Logs is where the turns are: store.RequestLogs. Its errors are the store's.
type Logs interface {
	ListRequests(ctx context.Context, q store.RequestQuery) ([]store.RequestLog, error)
}

// Routes are the routes below the API's bases.
func Routes(logs Logs) []api.Route {
	return []api.Route{{Pattern: "GET /usage/turns", Handle: func(w http.ResponseWriter, r *http.Request, call *api.Call) error {
		return list(w, r, call, logs)
	}}}
}

// list answers GET /usage/turns.
func list(w http.ResponseWriter, r *http.Request, call *api.Call, logs Logs) error {
	if call.Caller.KeyID == "" {
		return agent.Errorf(agent.NotFound, "Turns are kept for hosted keys ('cmp_…') alone. What a turn with a Cursor key of your own cost is in its answer: 'usage', and the header x-composer-cost.")
	}
	query := r.URL.Query()
	page, err := kept.ReadPage(query, true)
	if err != nil {
		return err
	}
	// The log is read from its newest row on: the store has no other order.
	if !page.Descending {
		return openai.OneOf("order", "asc", "desc")
	}
	rows, err := logs.ListRequests(r.Context(), store.RequestQuery{
		KeyID: call.Caller.KeyID, RequestID: query.Get("request_id"), After: page.After, Limit: page.Limit + 1, // one more says whether more follow
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return kept.NotAfter(page.After)
	case err != nil:
		return kept.Error(err)
	}
	answer := kept.NewList()
	for i := range rows[:min(len(rows), page.Limit)] {
		// It can't fail: there are numbers and texts in it, and no number is infinite.
		row, err := json.Marshal(newTurn(&rows[i]))
		if err != nil {
			return err
		}
		answer.Add(rows[i].ID, row)
	}
	answer.HasMore = len(rows) > page.Limit
	w.Header().Set("Content-Type", "application/json")
	// The next turn makes another page of the same address.
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(answer)
}

// A turn is a row of the log. Times are in milliseconds.
type turn struct {
	Object string `json:"object"` // "usage.turn"
	// ID is the row's own, by which pages go on. RequestID is what the client was told in the header.
	ID        string  `json:"id"`
	RequestID string  `json:"request_id"`
	KeyID     string  `json:"key_id"`
	Endpoint  string  `json:"endpoint"`
	CreatedAt int64   `json:"created_at"` // Unix, in seconds
	Model     *string `json:"model"`      // null when upstream was not asked
	Status    *int    `json:"status"`     // HTTP; null while the turn runs, or for ever when its process died
	Error     *string `json:"error"`      // a code; null when all went well
	Usage     usage   `json:"usage"`
	// CostUSD is by the prices of our table; 0 where none is known.
	CostUSD float64 `json:"cost_usd"`
	// DurationMS is how long the turn took, from its beginning, which is the end of timeline.queue_ms.
	DurationMS int64    `json:"duration_ms"`
	Timeline   timeline `json:"timeline"`
}

// usage has the names of the Responses API. Estimated says that the tokens are this server's count and not upstream's.
type usage struct {
	// InputTokens include those from the cache, and OutputTokens the reasoning.
	InputTokens     int64 `json:"input_tokens"`
	CachedTokens    int64 `json:"cached_tokens"`
	OutputTokens    int64 `json:"output_tokens"`
	ReasoningTokens int64 `json:"reasoning_tokens"`
	Estimated       bool  `json:"estimated"`
}

// A timeline is when the turn reached its stages; null is a stage that it did not reach.
type timeline struct {
	Upstream     *string  `json:"upstream"`       // that answered
	Resume       *string  `json:"resume"`         // what the turn continued: new, parked, memory, transcript
	QueueMS      int64    `json:"queue_ms"`       // from the request's header to the beginning of the turn
	ConnectMS    *int64   `json:"connect_ms"`     // from there until upstream had accepted it
	FirstTokenMS *int64   `json:"first_token_ms"` // from the beginning of the turn to the first piece of the answer
	ToolWaitMS   *int64   `json:"tool_wait_ms"`   // how long the run had waited for tool results before this turn
	Parked       bool     `json:"parked"`         // the turn ended in tool calls, and its run waits for their results
	Repairs      []string `json:"repairs"`        // why the model was given further attempts: tool_choice, json, arguments
}

// newTurn is a row of the store in the API's form.
func newTurn(l *store.RequestLog) turn {
	return turn{
		Object: "usage.turn", ID: l.ID, RequestID: l.RequestID, KeyID: l.KeyID, Endpoint: l.Endpoint, CreatedAt: l.Created.Unix(),
		Model: orNull(l.Model), Status: orNull(l.Status), Error: orNull(l.ErrorCode), CostUSD: l.CostUSD, DurationMS: l.Duration.Milliseconds(),
		Usage: usage{
			InputTokens: l.InputTokens, CachedTokens: l.CachedTokens, OutputTokens: l.OutputTokens, ReasoningTokens: l.ReasoningTokens, Estimated: l.Estimated,
		},
		Timeline: timeline{
			Upstream: orNull(l.Timeline.Backend), Resume: orNull(l.Timeline.Resume), QueueMS: l.Timeline.Queue.Milliseconds(),
			ConnectMS: reached(l.Timeline.Connect), FirstTokenMS: reached(l.Timeline.FirstToken), ToolWaitMS: reached(l.Timeline.ToolWait),
			Parked: l.Timeline.Parked, Repairs: append([]string{}, strings.Fields(l.Timeline.Repairs)...),
		},
	}
}

// orNull is v, or null for the zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// reached is when a stage was reached, in milliseconds.
func reached(d time.Duration) *int64 {
	if d == 0 {
		return nil
	}
	ms := d.Milliseconds()
	return &ms
}
