package sqlstore

import (
	"context"
	"strconv"
	"strings"

	"composer-api/internal/store"
)

// Request logs of hosted keys. They hold numbers and names of ours, nothing of a request's content.

// BeginRequest implements store.RequestLogs. The columns that only the end of a request knows have defaults until FinishRequest; a
// process that dies in between leaves them so.
func (db *DB) BeginRequest(ctx context.Context, l store.RequestLog) error {
	return db.inTx(ctx, func(t *tx) error { return t.beginRequest(l) })
}

// beginRequest inserts the row.
func (t *tx) beginRequest(l store.RequestLog) error {
	_, err := t.exec(`INSERT INTO request_logs (id, account, key_id, request_id, endpoint, created, runner) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		l.ID, l.Account, l.KeyID, l.RequestID, l.Endpoint, l.Created, l.Runner)
	return err
}

// FinishRequest implements store.RequestLogs. The account may have been deleted meanwhile, and its logs with it: store.ErrNotFound.
func (db *DB) FinishRequest(ctx context.Context, l store.RequestLog) error {
	return db.inTx(ctx, func(t *tx) error {
		// Before the row is completed: spend finds out by it whether the request was counted already.
		if err := t.spend(&l); err != nil {
			return err
		}
		return t.finishRequest(&l)
	})
}

// finishRequest fills in what was not known when the request began.
func (t *tx) finishRequest(l *store.RequestLog) error {
	return t.exec1(`
		UPDATE request_logs SET model = $2, status = $3, input_tokens = $4, cached_tokens = $5, output_tokens = $6,
			reasoning_tokens = $7, cost_usd = $8, estimated = $9, duration_ms = $10, upstream_run = $11, error_code = $12,
			backend = $13, resume = $14, queue_ms = $15, connect_ms = $16, first_token_ms = $17, tool_wait_ms = $18,
			parked = $19, repairs = $20
		WHERE id = $1`,
		l.ID, l.Model, l.Status, l.InputTokens, l.CachedTokens, l.OutputTokens,
		l.ReasoningTokens, l.CostUSD, l.Estimated, l.Duration, l.UpstreamRun, l.ErrorCode,
		l.Timeline.Backend, l.Timeline.Resume, l.Timeline.Queue, l.Timeline.Connect, l.Timeline.FirstToken, l.Timeline.ToolWait,
		l.Timeline.Parked, l.Timeline.Repairs)
}

// ListRequests implements store.RequestLogs. A page begins behind the place (created, id) of q.After, as ListDocuments says.
//
// The order of the fields is that of the columns below.
func (db *DB) ListRequests(ctx context.Context, q store.RequestQuery) ([]store.RequestLog, error) {
	wanted := requestConditions(q)
	if q.After != "" {
		// A copy: the condition on the id is for this one look only.
		place := wanted
		place.add("id = ?", q.After)
		var created int64
		if err := db.row(ctx, []any{&created}, `SELECT created FROM request_logs WHERE `+place.text, place.args...); err != nil {
			return nil, err
		}
		wanted.add("(created, id) < (?, ?)", created, q.After)
	}
	wanted.args = append(wanted.args, q.Limit)
	return queryAll(ctx, db, func(l *store.RequestLog) []any {
		return []any{&l.ID, &l.Account, &l.KeyID, &l.RequestID, &l.Endpoint, asTime{&l.Created}, &l.Model, &l.Status,
			&l.InputTokens, &l.CachedTokens, &l.OutputTokens, &l.ReasoningTokens, &l.CostUSD, &l.Estimated,
			asDuration{&l.Duration}, &l.UpstreamRun, &l.ErrorCode,
			&l.Timeline.Backend, &l.Timeline.Resume, asDuration{&l.Timeline.Queue}, asDuration{&l.Timeline.Connect},
			asDuration{&l.Timeline.FirstToken}, asDuration{&l.Timeline.ToolWait}, &l.Timeline.Parked, &l.Timeline.Repairs, &l.Runner}
	}, `
		SELECT id, account, key_id, request_id, endpoint, created, model, status,
			input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd, estimated,
			duration_ms, upstream_run, error_code,
			backend, resume, queue_ms, connect_ms, first_token_ms, tool_wait_ms, parked, repairs, runner
		FROM request_logs WHERE `+wanted.text+` ORDER BY created DESC, id DESC LIMIT $`+strconv.Itoa(len(wanted.args)), wanted.args...)
}

// requestConditions is what the rows that q asks for have in common, without their place. What it doesn't ask for is no
// condition, so that the indexes are of use.
func requestConditions(q store.RequestQuery) conditions {
	c := conditions{text: "1 = 1"}
	for _, column := range []struct{ name, value string }{{"account", q.Account}, {"key_id", q.KeyID}, {"id", q.ID}, {"request_id", q.RequestID}} {
		if column.value != "" {
			c.add(column.name+" = ?", column.value)
		}
	}
	if q.Failed {
		c.add("error_code <> ''")
	}
	return c
}

// conditions are what stands behind WHERE, and the arguments in it. A copy may be added to: the original stays as it is.
type conditions struct {
	// text numbers its arguments from $1. It never holds a value that came from a client.
	text string
	args []any
}

// add adds a condition in which each ? is the place of an argument.
func (c *conditions) add(condition string, args ...any) {
	// The capacity is cut, so append makes a new array and a copy of c keeps its own.
	for _, arg := range args {
		c.args = append(c.args[:len(c.args):len(c.args)], arg)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(c.args)), 1)
	}
	c.text += " AND " + condition
}
